"""An agent's commits come out of its workspace, and nothing else comes with them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from covend.core.errors import GitError
from covend.core.settings import Checkout as Kind
from covend.edges.workspace import git as edge_git
from covend.edges.workspace import harvest, quarantine
from covend.edges.workspace.checkout import Checkout
from covend.edges.workspace.directory import Directory
from covend.edges.workspace.harvest import Taken, take_commits
from tests.edges.forge import Forge, attempt, commit, endless_commit, make_forge, run_git

REF = "refs/covend/attempts/01task-1"


@pytest.fixture
def forge(tmp_path: Path) -> Forge:
    return make_forge(tmp_path)


Attempt = tuple[Checkout, Directory]


@pytest.fixture
async def at_work(forge: Forge, tmp_path: Path) -> Attempt:
    return await attempt(tmp_path, forge.spec(Kind.HEAD))


async def taken(at_work: Attempt) -> Taken | None:
    made, directory = at_work
    return await take_commits(directory, made, "01task-1")


def mirror_of(at_work: Attempt) -> Path:
    made, _ = at_work
    assert made.mirror is not None
    return made.mirror.path


def in_mirror(at_work: Attempt, sha: str) -> bool:
    """Ask without any borrowing from elsewhere."""
    return sha in run_git(
        mirror_of(at_work), "cat-file", "--batch-all-objects", "--batch-check=%(objectname)"
    )


async def must_be_refused(at_work: Attempt, words: str) -> None:
    with pytest.raises(GitError, match=words):
        await taken(at_work)
    assert run_git(mirror_of(at_work), "for-each-ref", REF) == ""
    assert not list(mirror_of(at_work).parent.glob(".harvest-*"))


# --- what an honest agent leaves ------------------------------------------------------------------


def as_it_is(workspace: Path) -> None:
    assert workspace.is_dir()


def on_a_branch(workspace: Path) -> None:
    run_git(workspace, "checkout", "--quiet", "-b", "deep/er")


def on_a_packed_branch(workspace: Path) -> None:
    on_a_branch(workspace)
    run_git(workspace, "pack-refs", "--all")


def packed(workspace: Path) -> None:
    run_git(workspace, "repack", "-a", "-d", "--quiet")


def collected(workspace: Path) -> None:
    run_git(workspace, "gc", "--quiet", "--prune=now")


@pytest.mark.parametrize("kind", [Kind.HEAD, Kind.BASE, Kind.MERGE])
@pytest.mark.parametrize("arrange", [as_it_is, packed, collected])
async def test_what_the_agent_committed_is_taken(
    forge: Forge, tmp_path: Path, kind: Kind, arrange: Callable[[Path], None]
) -> None:
    at_work = await attempt(tmp_path, forge.spec(kind))
    workspace = at_work[1].workspace
    commit(workspace, "one.txt", "1")
    sha = commit(workspace, "ä\ttwo.txt", "2")
    arrange(workspace)
    assert await taken(at_work) == Taken(
        sha=sha, ref=REF, commits_count=2, files_changed=("one.txt", "ä\ttwo.txt")
    )
    assert run_git(mirror_of(at_work), "rev-parse", REF) == sha
    assert run_git(mirror_of(at_work), "fsck", "--strict", "--no-dangling") == ""


@pytest.mark.parametrize("arrange", [on_a_branch, on_a_packed_branch])
async def test_a_branch_of_the_agents_own_is_followed(
    at_work: Attempt, arrange: Callable[[Path], None]
) -> None:
    workspace = at_work[1].workspace
    run_git(workspace, "commit", "--quiet", "--allow-empty", "-m", "x")
    arrange(workspace)
    done = await taken(at_work)
    assert done is not None
    assert done.sha == run_git(workspace, "rev-parse", "HEAD")
    assert (done.commits_count, done.files_changed) == (1, ())


async def test_nothing_committed_is_nothing_taken(at_work: Attempt) -> None:
    (at_work[1].workspace / "new.txt").write_text("not committed")
    assert await taken(at_work) is None
    run_git(at_work[1].workspace, "checkout", "--quiet", "--orphan", "empty")
    assert await taken(at_work) is None


async def test_a_step_back_is_nothing_taken(at_work: Attempt, forge: Forge) -> None:
    run_git(at_work[1].workspace, "checkout", "--quiet", forge.start)
    assert await taken(at_work) is None


async def test_a_repository_taken_away_is_nothing_taken(at_work: Attempt) -> None:
    shutil.rmtree(at_work[1].workspace / ".git")
    assert await taken(at_work) is None
    shutil.rmtree(at_work[1].root)
    assert await taken(at_work) is None


async def test_without_a_checkout_there_is_nothing_to_take(at_work: Attempt) -> None:
    directory = at_work[1]
    assert await take_commits(directory, Checkout(path=directory.workspace), "x") is None


async def test_the_workspace_of_another_user_is_harvested_as_well(
    forge: Forge, tmp_path: Path
) -> None:
    owner = (65534, 65534) if os.geteuid() == 0 else (os.getuid(), os.getgid())
    at_work = await attempt(tmp_path, forge.spec(Kind.HEAD, owner=owner))
    workspace = at_work[1].workspace
    who = ("-c", "safe.directory=*")
    run_git(workspace, *who, "commit", "--quiet", "--allow-empty", "-m", "x")
    done = await taken(at_work)
    assert done is not None
    assert done.sha == run_git(workspace, *who, "rev-parse", "HEAD")


# --- what points elsewhere ------------------------------------------------------------------------


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """Another repository, which only covend may read; its objects lie in a pack."""
    folder = tmp_path / "secret"
    folder.mkdir()
    run_git(folder, "init", "--quiet", "-b", "main")
    commit(folder, "key.txt", "another customer's")
    run_git(folder, "repack", "-a", "-d", "--quiet")
    run_git(folder, "prune-packed")
    return folder


def tip(folder: Path) -> str:
    return run_git(folder, "rev-parse", "HEAD")


def by_alternates(git: Path, secret: Path) -> None:
    (git / "objects" / "info" / "alternates").write_text(f"{secret}/.git/objects\n")


def by_a_link_to_its_pack(git: Path, secret: Path) -> None:
    for path in (secret / ".git" / "objects" / "pack").iterdir():
        (git / "objects" / "pack" / path.name).symlink_to(path)


def by_a_link_to_its_packs(git: Path, secret: Path) -> None:
    shutil.rmtree(git / "objects" / "pack")
    (git / "objects" / "pack").symlink_to(secret / ".git" / "objects" / "pack")


def by_a_link_to_its_objects(git: Path, secret: Path) -> None:
    shutil.rmtree(git / "objects")
    (git / "objects").symlink_to(secret / ".git" / "objects")


def by_a_link_to_it(git: Path, secret: Path) -> None:
    shutil.rmtree(git)
    git.symlink_to(secret / ".git")


def by_a_file(git: Path, secret: Path) -> None:
    shutil.rmtree(git)
    git.write_text(f"gitdir: {secret}/.git\n")


def by_a_link_for_the_workspace(git: Path, secret: Path) -> None:
    shutil.rmtree(git.parent)
    git.parent.symlink_to(secret)


@pytest.mark.parametrize(
    "plant",
    [
        *(by_alternates, by_a_link_to_its_pack, by_a_link_to_its_packs, by_a_link_to_its_objects),
        *(by_a_link_to_it, by_a_file, by_a_link_for_the_workspace),
    ],
)
async def test_the_objects_of_another_repository_do_not_come_along(
    at_work: Attempt, secret: Path, plant: Callable[[Path, Path], None]
) -> None:
    workspace, sha = at_work[1].workspace, tip(secret)
    (workspace / ".git" / "HEAD").write_text(f"{sha}\n")
    plant(workspace / ".git", secret)
    # Whoever runs git in there does read what is not the agent's.
    assert "another" in run_git(workspace, "show", "HEAD:key.txt")
    await must_be_refused(at_work, r"link|Needed a single revision|bad object|not a valid")
    assert not in_mirror(at_work, sha)


async def test_a_commit_on_top_of_what_is_not_ours_is_refused(
    at_work: Attempt, secret: Path
) -> None:
    workspace, sha = at_work[1].workspace, tip(secret)
    by_alternates(workspace / ".git", secret)
    with (workspace / ".git" / "objects" / "info" / "alternates").open("a") as alternates:
        alternates.write(f"{at_work[0].borrows}\n")
    run_git(workspace, "checkout", "--quiet", sha)
    commit(workspace, "more.txt", "x")
    await must_be_refused(at_work, "git")
    assert not in_mirror(at_work, sha)


@pytest.mark.parametrize("place", ["HEAD", "refs/heads/x", "refs/heads", "packed-refs"])
async def test_no_ref_is_read_through_a_link(at_work: Attempt, tmp_path: Path, place: str) -> None:
    git, other = at_work[1].workspace / ".git", tmp_path / "other"
    sha = commit(at_work[1].workspace, "new.txt", "x")
    (git / "HEAD").write_text("ref: refs/heads/x\n")
    if place == "refs/heads":
        other.mkdir()
        (other / "x").write_text(f"{sha}\n")
        shutil.rmtree(git / place)
    else:
        other.write_text(f"{sha} refs/heads/x\n" if place == "packed-refs" else f"{sha}\n")
        (git / place).unlink(missing_ok=True)
    (git / place).symlink_to(other)
    if place != "HEAD":
        assert run_git(at_work[1].workspace, "rev-parse", "HEAD") == sha
    await must_be_refused(at_work, "link")


@pytest.mark.parametrize(
    "head",
    [
        *("", "ref: refs/heads/../../../../secret", "ref: ../secret", "ref: refs/heads/", "x" * 41),
        *("ref: refs/x\0y", "ref: HEAD", "-x", "f" * 40, "ref: refs/heads//x", "\udcff"),
    ],
)
async def test_a_head_that_is_none_is_refused(at_work: Attempt, head: str) -> None:
    commit(at_work[1].workspace, "new.txt", "x")
    data = head.encode("utf-8", "surrogateescape")
    (at_work[1].workspace / ".git" / "HEAD").write_bytes(data)
    await must_be_refused(at_work, "HEAD|rev-parse|refs/")


async def test_a_head_that_goes_in_circles_is_refused(at_work: Attempt) -> None:
    git = at_work[1].workspace / ".git"
    (git / "HEAD").write_text("ref: refs/heads/x\n")
    (git / "refs" / "heads" / "x").write_text("ref: refs/heads/x\n")
    await must_be_refused(at_work, "neither a commit nor a branch")


@pytest.mark.parametrize("place", ["HEAD", "packed-refs", "objects/aa/" + "b" * 38])
async def test_a_pipe_holds_up_nobody(at_work: Attempt, place: str) -> None:
    path = at_work[1].workspace / ".git" / place
    commit(at_work[1].workspace, "new.txt", "x")
    if place == "packed-refs":
        (path.parent / "HEAD").write_text("ref: refs/heads/x\n")
    path.unlink(missing_ok=True)
    path.parent.mkdir(exist_ok=True)
    os.mkfifo(path)
    await must_be_refused(at_work, "no regular file")


# --- what lies ------------------------------------------------------------------------------------


async def test_an_object_is_what_it_holds_and_not_what_it_is_called(at_work: Attempt) -> None:
    workspace = at_work[1].workspace
    commit(workspace, "new.txt", "x")
    blob = run_git(workspace, "rev-parse", "HEAD:new.txt")
    other = run_git(workspace, "hash-object", "-w", "--", ".git/config")
    objects = workspace / ".git" / "objects"
    lying = objects / blob[:2] / blob[2:]
    lying.chmod(0o600)
    lying.write_bytes((objects / other[:2] / other[2:]).read_bytes())
    await must_be_refused(at_work, "git")


async def test_replacements_and_grafts_change_nothing(at_work: Attempt, forge: Forge) -> None:
    workspace = at_work[1].workspace
    first = commit(workspace, "one.txt", "1")
    sha = commit(workspace, "two.txt", "2")
    run_git(workspace, "replace", "--graft", sha)
    (workspace / ".git" / "info").mkdir(exist_ok=True)
    (workspace / ".git" / "info" / "grafts").write_text(f"{first} {forge.base}\n")
    done = await taken(at_work)
    assert done is not None
    assert (done.sha, done.commits_count) == (sha, 2)


async def test_a_false_index_of_a_pack_is_not_believed(at_work: Attempt) -> None:
    workspace = at_work[1].workspace
    sha = commit(workspace, "new.txt", "x")
    packed(workspace)
    for path in (workspace / ".git" / "objects" / "pack").glob("*.idx"):
        path.chmod(0o600)
        path.write_bytes(b"\xff" * 5000)
    done = await taken(at_work)
    assert done is not None
    assert done.sha == sha


async def test_what_git_forbids_in_a_tree_is_refused(at_work: Attempt) -> None:
    workspace = at_work[1].workspace
    blob = run_git(workspace, "hash-object", "-w", "--", "a.txt")
    raw = b"100644 .git\0" + bytes.fromhex(blob)
    (workspace / "raw").write_bytes(raw)
    tree = run_git(workspace, "hash-object", "-t", "tree", "-w", "--literally", "--", "raw")
    sha = run_git(workspace, "commit-tree", "-p", "HEAD", "-m", "x", tree)
    (workspace / ".git" / "HEAD").write_text(f"{sha}\n")
    await must_be_refused(at_work, "hasDotgit")
    assert not in_mirror(at_work, sha)


# --- what is too much -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("module", "limit", "value", "words"),
    [
        (quarantine, "BYTES_MAX", 100, "more objects than are taken"),
        (quarantine, "OBJECTS_MAX", 2, "more objects than are taken"),
        (quarantine, "COPY_S", -1.0, "take longer"),
        (harvest, "COMMITS_MAX", 1, "more than 1 new commits"),
        (harvest, "HARVEST_S", 0.0, "could not be taken out within"),
    ],
)
async def test_more_than_is_allowed_is_refused_whole(
    at_work: Attempt,
    monkeypatch: pytest.MonkeyPatch,
    module: object,
    limit: str,
    value: float,
    words: str,
) -> None:
    commit(at_work[1].workspace, "one.txt", "1")
    sha = commit(at_work[1].workspace, "two.txt", "2")
    monkeypatch.setattr(module, limit, value)
    await must_be_refused(at_work, words)
    assert not in_mirror(at_work, sha)


async def test_a_tree_that_unfolds_without_end_is_refused(
    at_work: Attempt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(harvest, "DATA_BYTES_MAX", 128 << 20)
    workspace = at_work[1].workspace
    sha = endless_commit(workspace)
    (workspace / ".git" / "HEAD").write_text(f"{sha}\n")
    await must_be_refused(at_work, "[Oo]ut of memory")


async def test_a_tree_of_more_names_than_fit_is_refused(
    at_work: Attempt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge_git, "OUTPUT_BYTES_MAX", 1 << 10)
    workspace = at_work[1].workspace
    for number in range(50):
        (workspace / f"{number:050d}").write_text("x")
    run_git(workspace, "add", "--all")
    run_git(workspace, "commit", "--quiet", "-m", "x")
    await must_be_refused(at_work, "printed more than")


async def test_commits_are_not_forgotten_where_the_mirror_is_gone(at_work: Attempt) -> None:
    commit(at_work[1].workspace, "new.txt", "x")
    shutil.rmtree(mirror_of(at_work).parent)
    with pytest.raises(GitError, match="could not be taken out"):
        await taken(at_work)
