"""A mirror is fetched once, keeps what it has, is made anew where it breaks, and is covend's."""

from __future__ import annotations

import shutil
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from covend.core.errors import GitError
from covend.core.settings import Checkout as Kind
from covend.edges.workspace import checkout, mirror
from covend.edges.workspace.checkout import Checkout
from covend.edges.workspace.directory import Directory, make_directory
from covend.edges.workspace.mirror import Mirror, Mirrors
from tests.edges.forge import Forge, attempt, commit, fake_git, make_forge, run_git


@pytest.fixture
def forge(tmp_path: Path) -> Forge:
    return make_forge(tmp_path)


def mirrors(tmp_path: Path) -> Mirrors:
    return Mirrors(tmp_path / "mirrors")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def path_of(made: Checkout) -> Path:
    assert made.mirror is not None
    return made.mirror.path


def files(directory: Directory) -> set[str]:
    return set(names(directory.workspace)) - {".git"}


# --- what is fetched ------------------------------------------------------------------------------


async def test_what_is_there_already_is_not_asked_of_the_forge(
    forge: Forge, tmp_path: Path
) -> None:
    await attempt(tmp_path, forge.spec(Kind.HEAD), number=1)
    shutil.rmtree(forge.path)
    _, again = await attempt(tmp_path, forge.spec(Kind.MERGE), number=2)
    assert files(again) == {"a.txt", "base.txt", "head.txt"}


async def test_only_what_is_new_is_fetched(forge: Forge, tmp_path: Path) -> None:
    made, _ = await attempt(tmp_path, forge.spec(Kind.HEAD), number=1)
    work = tmp_path / "work"
    new = commit(work, "later.txt", "x")
    run_git(work, "push", "--quiet", str(forge.path), "main")
    await attempt(tmp_path, forge.spec(Kind.BASE, base_sha=new), number=2)
    packs = (path_of(made) / "objects" / "pack").glob("*.idx")
    newest = max(packs, key=lambda path: path.stat().st_mtime_ns)
    told = run_git(path_of(made), "verify-pack", "-v", str(newest))
    kinds = [line.split()[1] for line in told.splitlines() if len(line.split()) > 4]
    # What the thin pack leaned on comes along; no second commit, and no other file.
    assert sorted(kinds).count("commit") == 1
    assert kinds.count("blob") == 1


async def test_nothing_but_what_was_asked_for_is_fetched(forge: Forge, tmp_path: Path) -> None:
    made, _ = await attempt(tmp_path, forge.spec(Kind.BASE, head_sha=forge.base, number=None))
    with pytest.raises(Exception, match="cat-file"):
        run_git(path_of(made), "cat-file", "-e", forge.head)


async def test_a_commit_that_the_forge_forgets_is_kept(forge: Forge, tmp_path: Path) -> None:
    made, _ = await attempt(tmp_path, forge.spec(Kind.HEAD))
    run_git(path_of(made), "gc", "--quiet", "--prune=now")
    assert run_git(path_of(made), "cat-file", "-t", forge.head) == "commit"


async def test_a_clone_borrows_and_has_next_to_nothing_of_its_own(
    forge: Forge, tmp_path: Path
) -> None:
    made, directory = await attempt(tmp_path, forge.spec(Kind.HEAD))
    objects = directory.workspace / ".git" / "objects"
    assert made.borrows == path_of(made) / "objects"
    assert (objects / "info" / "alternates").read_text() == f"{made.borrows}\n"
    assert [path for path in objects.rglob("*") if path.is_file()] == [
        objects / "info" / "alternates"
    ]


# --- its name and place ---------------------------------------------------------------------------


async def test_a_renamed_repository_keeps_its_mirror(forge: Forge, tmp_path: Path) -> None:
    first, _ = await attempt(tmp_path, forge.spec(Kind.HEAD, repository_id=7), number=1)
    renamed = forge.path.rename(tmp_path / "renamed.git")
    spec = forge.spec(Kind.HEAD, repository_id=7, url=f"file://{renamed}")
    second, _ = await attempt(tmp_path, spec, number=2)
    assert path_of(first) == path_of(second)


async def test_two_repositories_never_share_a_mirror(forge: Forge, tmp_path: Path) -> None:
    shutil.copytree(forge.path, tmp_path / "other.git")
    specs = [
        forge.spec(Kind.HEAD),
        forge.spec(Kind.HEAD, url=f"file://{tmp_path}/other.git"),
        forge.spec(Kind.HEAD, repository_id=7),
        forge.spec(Kind.HEAD, repository_id=8),
    ]
    made = [await attempt(tmp_path, spec, number=n) for n, spec in enumerate(specs)]
    assert len({path_of(each) for each, _ in made}) == len(specs)


@pytest.mark.parametrize("name", ["-x", "$(id)", "ä b", "a%2fb", "..", "x" * 200])
async def test_an_odd_name_of_a_repository_is_no_name_of_a_file(
    forge: Forge, tmp_path: Path, name: str
) -> None:
    (tmp_path / "deep").mkdir()
    odd = tmp_path / "deep" / name / "x.git"
    odd.parent.mkdir(exist_ok=True)
    shutil.copytree(forge.path, odd)
    url = f"file://{str(odd).replace('%', '%25')}"
    made, _ = await attempt(tmp_path, forge.spec(Kind.HEAD, url=url))
    assert names(tmp_path / "mirrors") == [path_of(made).name]
    assert path_of(made).name.isascii()


async def test_mirrors_are_private(forge: Forge, tmp_path: Path) -> None:
    made, _ = await attempt(tmp_path, forge.spec(Kind.HEAD))
    for path in (path_of(made), path_of(made).parent):
        assert path.stat().st_mode & 0o777 == 0o700


# --- mended, or made anew -------------------------------------------------------------------------

LEFT = (
    *("HEAD.lock", "config.lock", "packed-refs.lock", "shallow.lock", "index.lock", "gc.pid"),
    *("refs/covend/arrived.lock", "refs/covend/commits/x.lock", "objects/maintenance.lock"),
    *("objects/info/commit-graph.lock", "objects/pack/tmp_pack_x", "objects/tmp_objdir-x/00/x"),
)


def leave(path: Path, head: str) -> None:
    for name in (*LEFT, f"refs/covend/commits/{head}.lock"):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text("")


async def test_what_a_killed_git_left_is_in_nobodys_way(forge: Forge, tmp_path: Path) -> None:
    made, _ = await attempt(tmp_path, forge.spec(Kind.BASE, head_sha=forge.base), number=1)
    leave(path_of(made), forge.head)
    again, _ = await attempt(tmp_path, forge.spec(Kind.HEAD), number=2)
    assert path_of(again) == path_of(made)
    assert not any((path_of(made) / name).exists() for name in LEFT)


async def test_the_start_clears_locks_and_what_was_half_made(forge: Forge, tmp_path: Path) -> None:
    made, _ = await attempt(tmp_path, forge.spec(Kind.HEAD))
    leave(path_of(made), forge.head)
    (tmp_path / "mirrors" / ".making-x").mkdir()
    (tmp_path / "mirrors" / ".harvest-x" / "objects").mkdir(parents=True)
    await mirrors(tmp_path).clean_up_locks()
    assert names(tmp_path / "mirrors") == [path_of(made).name]
    assert not any((path_of(made) / name).exists() for name in LEFT)
    assert run_git(path_of(made), "fsck", "--strict") == ""


async def test_a_start_without_any_mirror_has_nothing_to_do(tmp_path: Path) -> None:
    await mirrors(tmp_path).clean_up_locks()
    await mirrors(tmp_path).maintain()
    assert not (tmp_path / "mirrors").exists()


def empty(path: Path) -> None:
    shutil.rmtree(path)
    path.mkdir()


def without_head(path: Path) -> None:
    (path / "HEAD").unlink()


def with_empty_packs(path: Path) -> None:
    for pack in (path / "objects" / "pack").iterdir():
        pack.chmod(0o600)
        pack.write_bytes(b"")


def with_spoilt_packs(path: Path) -> None:
    for pack in (path / "objects" / "pack").glob("*.pack"):
        pack.chmod(0o600)
        data = bytearray(pack.read_bytes())
        data[20:-20] = b"x" * len(data[20:-20])
        pack.write_bytes(data)


def with_a_broken_config(path: Path) -> None:
    (path / "config").write_text("[core")


@pytest.mark.parametrize(
    "spoil",
    [
        *(empty, without_head, with_empty_packs, with_spoilt_packs),
        with_a_broken_config,
    ],
)
async def test_a_mirror_that_cannot_be_read_is_made_anew(
    forge: Forge, tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    made, living = await attempt(tmp_path, forge.spec(Kind.HEAD), number=1)
    spoil(path_of(made))
    again, directory = await attempt(tmp_path, forge.spec(Kind.MERGE), number=2)
    assert files(directory) == {"a.txt", "base.txt", "head.txt"}
    assert run_git(directory.workspace, "status", "--porcelain") == ""
    # Whoever borrows from the old one is not given another under the same name.
    assert path_of(again) != path_of(made)
    assert living.mirror_note.read_text() == path_of(made).name
    third, _ = await attempt(tmp_path, forge.spec(Kind.HEAD), number=3)
    assert path_of(third) == path_of(again)


async def test_a_mirror_that_lost_its_objects_gets_them_again(forge: Forge, tmp_path: Path) -> None:
    made, _ = await attempt(tmp_path, forge.spec(Kind.HEAD), number=1)
    empty(path_of(made) / "objects" / "pack")
    _, directory = await attempt(tmp_path, forge.spec(Kind.MERGE), number=2)
    assert files(directory) == {"a.txt", "base.txt", "head.txt"}


async def test_a_mirror_that_stays_broken_is_an_error_and_no_loop(
    forge: Forge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = (
        'case " $* " in *" checkout "*) echo "fatal: unable to read tree x" >&2; exit 128;; esac'
    )
    fake_git(tmp_path, monkeypatch, broken)
    with pytest.raises(GitError, match="unable to read tree"):
        await attempt(tmp_path, forge.spec(Kind.HEAD))
    assert len(mirrors(tmp_path).all()) == 2


async def test_a_link_in_a_mirrors_place_is_not_followed(forge: Forge, tmp_path: Path) -> None:
    made, _ = await attempt(tmp_path, forge.spec(Kind.HEAD), number=1)
    moved = path_of(made).rename(tmp_path / "elsewhere.git")
    path_of(made).symlink_to(moved)
    again, _ = await attempt(tmp_path, forge.spec(Kind.HEAD), number=2)
    assert not path_of(again).is_symlink()
    assert moved.is_dir()


# --- used by several ------------------------------------------------------------------------------


async def test_attempts_at_once_share_one_fetch_after_the_other(
    forge: Forge, tmp_path: Path
) -> None:
    shared, made = mirrors(tmp_path), []

    async def prepare(number: int) -> None:
        directory = await make_directory(tmp_path / "workspaces", f"01task-{number}")
        made.append(await checkout.checkout(forge.spec(Kind.HEAD), directory, shared))

    async with anyio.create_task_group() as group:
        for number in range(6):
            group.start_soon(prepare, number)
    assert len({path_of(each) for each in made}) == 1
    assert {run_git(each.path, "rev-parse", "HEAD") for each in made} == {forge.head}


async def test_packs_are_put_together_and_nothing_that_is_borrowed_is_lost(
    forge: Forge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "PACKS_MAX", 3)
    work, shared = tmp_path / "work", mirrors(tmp_path)
    made, directory = await attempt(tmp_path, forge.spec(Kind.HEAD), number=0)
    for number in range(1, 6):
        sha = commit(work, f"{number}.txt", f"{number}")
        run_git(work, "push", "--quiet", str(forge.path), "main")
        await attempt(tmp_path, forge.spec(Kind.BASE, base_sha=sha), number=number)
    pack = path_of(made) / "objects" / "pack"
    before = {path.name for path in pack.glob("*.pack")}
    assert len(before) > 3
    # Nothing of ours names it any more; a living clone does.
    run_git(path_of(made), "update-ref", "-d", f"refs/covend/commits/{forge.head}")
    await shared.maintain()
    assert len({path.name for path in pack.glob("*.pack")}) <= 3
    assert run_git(directory.workspace, "fsck", "--strict", "--no-dangling") == ""
    assert run_git(directory.workspace, "show", "--stat", "HEAD")


def test_all_who_ask_at_once_are_given_one_lock(tmp_path: Path) -> None:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(50):
            assert len(locks_given(mirrors(tmp_path))) == 1
    finally:
        sys.setswitchinterval(interval)


def locks_given(shared: Mirrors) -> set[int]:
    """Let eight threads meet a mirror that nobody has asked for before."""
    begin, given = threading.Barrier(8), list[Mirror]()

    def ask() -> None:
        begin.wait()
        given.append(shared._at(shared.root / "1-a.0.git"))  # noqa: SLF001  as each list does

    asking = [threading.Thread(target=ask) for _ in range(8)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert len(given) == len(asking)
    return {id(each.lock) for each in given}
