from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import pytest
from anyio import from_thread

from covend.core.errors import GitError
from covend.core.secret import Secret
from covend.core.settings import Checkout as Kind
from covend.edges.workspace import checkout as making
from covend.edges.workspace import git, handover, steps
from covend.edges.workspace.checkout import Checkout, checkout
from covend.edges.workspace.directory import (
    make_directory,
)
from covend.edges.workspace.mirror import Mirrors
from covend.edges.workspace.spec import Spec
from tests.edges.forge import (
    ODD,
    WITHIN_S,
    Forge,
    attempt,
    commit,
    endless_commit,
    fake_git,
    make_forge,
    poll_until,
    run_git,
)
from tests.services.alive import is_alive


@pytest.fixture
def forge(tmp_path: Path) -> Forge:
    return make_forge(tmp_path)


async def checked_out(forge: Forge, tmp_path: Path, spec: Spec) -> tuple[Checkout, Path]:
    done, directory = await attempt(tmp_path, spec)
    return done, directory.workspace


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {".git"}


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (Kind.NONE, set()),
        (Kind.BASE, {"a.txt", "base.txt"}),
        (Kind.HEAD, {"a.txt", "head.txt"}),
        (Kind.MERGE, {"a.txt", "base.txt", "head.txt"}),
    ],
)
async def test_each_kind_of_checkout_has_its_files(
    forge: Forge, tmp_path: Path, kind: Kind, expected: set[str]
) -> None:
    _, folder = await checked_out(forge, tmp_path, forge.spec(kind))
    assert files(folder) == expected


async def test_an_agent_can_diff_head_against_base(forge: Forge, tmp_path: Path) -> None:
    done, folder = await checked_out(forge, tmp_path, forge.spec(Kind.HEAD))
    assert (done.path, done.start_sha) == (folder, forge.head)
    assert (done.head_sha, done.base_sha) == (forge.head, forge.base)
    for base in (forge.base, "origin/main"):
        assert run_git(folder, "diff", "--name-only", f"{base}...HEAD") == "head.txt"
    assert run_git(folder, "rev-parse", "HEAD") == forge.head
    assert run_git(folder, "status", "--porcelain") == ""


async def test_the_exact_head_is_checked_out_though_the_pull_request_has_moved(
    forge: Forge, tmp_path: Path
) -> None:
    run_git(forge.path, "update-ref", "refs/pull/7/head", forge.base)
    _, folder = await checked_out(forge, tmp_path, forge.spec(Kind.HEAD))
    assert run_git(folder, "rev-parse", "HEAD") == forge.head


@pytest.fixture
def only_refs(tmp_path: Path, forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every fetch of a bare SHA fail, as an old server does."""
    refuse = f'case "$*" in *" +{forge.head}:"*) exit 1;; esac'
    fake_git(tmp_path, monkeypatch, refuse)


@pytest.mark.usefixtures("only_refs")
async def test_a_server_that_gives_only_refs_is_asked_for_the_pull_requests(
    forge: Forge, tmp_path: Path
) -> None:
    tree = f"{forge.head}^{{tree}}"
    ahead = run_git(forge.path, "commit-tree", "-p", forge.head, "-m", "x", tree)
    run_git(forge.path, "update-ref", "refs/pull/7/head", ahead)
    _, folder = await checked_out(forge, tmp_path, forge.spec(Kind.HEAD))
    assert run_git(folder, "rev-parse", "HEAD") == forge.head


@pytest.mark.usefixtures("only_refs")
async def test_a_head_that_was_pushed_over_is_an_error_there(forge: Forge, tmp_path: Path) -> None:
    run_git(forge.path, "update-ref", "refs/pull/7/head", forge.base)
    with pytest.raises(GitError, match="is not in refs/pull/7/head any more"):
        await checked_out(forge, tmp_path, forge.spec(Kind.HEAD))


async def test_a_commit_that_is_nowhere_is_an_error(forge: Forge, tmp_path: Path) -> None:
    with pytest.raises(GitError, match="f" * 40):
        await checked_out(forge, tmp_path, forge.spec(Kind.HEAD, head_sha="f" * 40))


async def test_without_a_head_the_default_branch_is_checked_out(
    forge: Forge, tmp_path: Path
) -> None:
    spec = Spec(kind=Kind.HEAD, url=forge.url, default_branch="main")
    done, folder = await checked_out(forge, tmp_path, spec)
    assert (done.head_sha, done.base_sha) == (forge.base, None)
    assert files(folder) == {"a.txt", "base.txt"}


async def test_without_a_branch_it_is_what_the_repository_points_at(
    forge: Forge, tmp_path: Path
) -> None:
    done, _ = await checked_out(forge, tmp_path, Spec(kind=Kind.BASE, url=forge.url))
    assert done.head_sha == forge.base


@pytest.mark.parametrize("field", ["default_branch", "base_ref"])
async def test_a_branch_that_looks_like_an_option_or_a_command_is_a_name(
    forge: Forge, tmp_path: Path, field: str
) -> None:
    unknown = {"number": None, "head_sha": None, "base_sha": None, "base_ref": None}
    spec = forge.spec(Kind.BASE, **{**unknown, field: ODD})
    _, folder = await checked_out(forge, tmp_path, spec)
    assert files(folder) == {"a.txt", "head.txt"}
    assert "owned" not in files(tmp_path)


async def test_head_and_base_that_conflict_are_an_error(forge: Forge, tmp_path: Path) -> None:
    work = tmp_path / "work"
    run_git(work, "checkout", "--quiet", "-B", "clash", forge.start)
    clash = commit(work, "base.txt", "something else\n")
    run_git(work, "push", "--quiet", str(forge.path), "+clash:refs/pull/7/head")
    with pytest.raises(GitError, match="does not merge"):
        await checked_out(forge, tmp_path, forge.spec(Kind.MERGE, head_sha=clash))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"head_sha": "--upload-pack=touch owned"}, "no commit's SHA"),
        ({"base_sha": "main"}, "no commit's SHA"),
        ({"url": "https://user:secret@forge/x.git"}, "credentials"),
        ({"url": "ext::sh -c x"}, "http, https or file"),
        ({"url": "--upload-pack=x"}, "http, https or file"),
        ({"url": "/etc"}, "http, https or file"),
        ({"base_sha": None, "base_ref": "*"}, "no branch's name"),
        ({"base_ref": "main:refs/heads/other"}, "no branch's name"),
        ({"default_branch": "a\nb"}, "no branch's name"),
    ],
)
async def test_what_no_repository_would_send_is_refused(
    forge: Forge, tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(GitError, match=words) as caught:
        await checked_out(forge, tmp_path, forge.spec(Kind.HEAD, **changes))
    assert "secret@" not in str(caught.value)


async def test_no_credentials_are_left_in_the_clone(forge: Forge, tmp_path: Path) -> None:
    token = "ghs_" + "t0ken" * 8
    _, folder = await checked_out(forge, tmp_path, forge.spec(Kind.HEAD, token=Secret(token)))
    places = (folder, tmp_path / "mirrors")
    every = [path for place in places for path in place.rglob("*") if path.is_file()]
    assert {path.name for path in every} >= {"alternates", "config", "used"}
    assert [path for path in every if b"t0ken" in path.read_bytes()] == []
    assert [path for path in every if b"xtraheader" in path.read_bytes().lower()] == []
    assert run_git(folder, "remote", "get-url", "origin") == forge.url


async def test_a_tree_that_unfolds_without_end_is_an_error(
    forge: Forge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(git, "DATA_BYTES_MAX", 128 << 20)
    sha = endless_commit(tmp_path / "work")
    run_git(tmp_path / "work", "push", "--quiet", str(forge.path), f"+{sha}:refs/pull/7/head")
    with pytest.raises(GitError, match=r"[Oo]ut of memory"):
        await checked_out(forge, tmp_path, forge.spec(Kind.HEAD, head_sha=sha))


# --- tried again ----------------------------------------------------------------------------------

TRIES = len(steps.PAUSES_S) + 1


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "PAUSES_S", (0.0,) * (TRIES - 1))


def unreachable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, times: int, words: str) -> Path:
    """Let the first fetches fail in these words, each with its number."""
    fail = (
        f'case " $* " in *" fetch "*) n=$(wc -l < {tmp_path}/fetches);'
        f' if [ $n -le {times} ]; then echo "fatal: try $n: {words}" >&2; exit 128; fi;; esac'
    )
    return fake_git(tmp_path, monkeypatch, fail)


@pytest.mark.usefixtures("at_once")
async def test_a_network_fault_is_tried_again(
    forge: Forge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = "unable to access 'https://x/': Could not resolve host: x"
    unreachable(tmp_path, monkeypatch, times=TRIES - 1, words=words)
    _, folder = await checked_out(forge, tmp_path, forge.spec(Kind.HEAD))
    assert files(folder) == {"a.txt", "head.txt"}


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize(
    ("words", "tries"),
    [
        ("unable to access 'https://x/': The requested URL returned error: 503", TRIES),
        ("the remote end hung up unexpectedly", TRIES),
        ("unable to access 'https://x/': Operation too slow.", TRIES),
        # Once for the commits, once for the ref of the first that is missing.
        ("unable to access 'https://x/': The requested URL returned error: 403", 2),
        ("Authentication failed for 'https://x/'", 2),
        ("repository 'https://x/' not found", 2),
    ],
)
async def test_a_refusal_is_told_at_once_and_a_lasting_fault_in_its_last_words(
    forge: Forge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, tries: int
) -> None:
    log = unreachable(tmp_path, monkeypatch, times=99, words=words)
    with pytest.raises(GitError) as caught:
        await checked_out(
            forge, tmp_path, Spec(kind=Kind.HEAD, url=forge.url, head_sha=forge.head, number=7)
        )
    assert log.read_text().splitlines() == ["fetch"] * tries
    assert f"try {tries}: {words}" in str(caught.value)


@pytest.mark.usefixtures("at_once")
async def test_a_clone_that_was_half_made_is_made_again_from_nothing(
    forge: Forge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second try failed by "remote origin already exists", and hid what had really happened."""
    once = tmp_path / "once"
    fail = (
        f'case " $* " in *" checkout "*) if [ ! -e {once} ]; then touch {once} head.txt;'
        " touch .git/index.lock; echo 'fatal: Resource temporarily unavailable' >&2; exit 128; fi;;"
        " esac"
    )
    fake_git(tmp_path, monkeypatch, fail)
    _, folder = await checked_out(forge, tmp_path, forge.spec(Kind.BASE))
    assert once.exists()
    assert files(folder) == {"a.txt", "base.txt"}
    assert run_git(folder, "status", "--porcelain") == ""


@pytest.mark.parametrize("command", ["fetch", "init", "checkout"])
async def test_cancellation_ends_git_at_every_step_and_the_next_checkout_works(
    forge: Forge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    pid, once = tmp_path / "pid", tmp_path / "once"
    hang = (
        f'case " $* " in *" {command} "*) if [ ! -e {once} ]; then touch {once};'
        f" sleep 1000 & echo $! > {pid}.new; mv {pid}.new {pid}; wait; fi;; esac"
    )
    fake_git(tmp_path, monkeypatch, hang)
    with anyio.fail_after(WITHIN_S):
        async with anyio.create_task_group() as group:
            group.start_soon(attempt, tmp_path, forge.spec(Kind.HEAD))
            await poll_until(pid.exists)
            group.cancel_scope.cancel()
        await poll_until(lambda: not is_alive(int(pid.read_text())))
    _, folder = await checked_out(forge, tmp_path, forge.spec(Kind.HEAD))
    assert files(folder) == {"a.txt", "head.txt"}


@pytest.mark.parametrize("place", ["workspaces", "mirrors"])
async def test_a_full_disk_is_told_as_a_checkout_that_failed(
    forge: Forge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """The task would have ended for good, as by a fault of covend's."""
    mkdir = Path.mkdir

    def refuse(path: Path, *args: Any, **options: Any) -> None:
        if path.is_relative_to(tmp_path / place):
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        mkdir(path, *args, **options)

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(GitError, match="No space left on device"):
        await attempt(tmp_path, forge.spec(Kind.HEAD))


# --- for an agent that is somebody else -----------------------------------------------------------

AGENT = (65534, 65534) if os.geteuid() == 0 else (os.getuid(), os.getgid())
AS_AGENT: dict[str, Any] = (
    {"user": AGENT[0], "group": AGENT[1], "extra_groups": []} if os.geteuid() == 0 else {}
)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that others may pass through, which pytest's own are not."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


async def test_an_agent_that_is_another_user_has_a_repository_of_its_own(open_folder: Path) -> None:
    forge = make_forge(open_folder)
    made, directory = await attempt(open_folder, forge.spec(Kind.MERGE, owner=AGENT))
    (directory.root.parent).chmod(0o711)
    script = (
        "cd $0 && echo more > b.txt && git add . && "
        "git -c user.name=a -c user.email=a@a commit -qm more && git diff --stat origin/main...HEAD"
        " && git fsck --strict && touch $1/x $2/y"
    )
    places = (directory.workspace, directory.home, directory.exchange)
    done = subprocess.run(  # noqa: ASYNC221  nothing else runs here
        ["sh", "-c", script, *map(str, places)],
        **AS_AGENT,
        env={"PATH": os.environ["PATH"], "HOME": str(directory.home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "b.txt" in done.stdout
    assert made.borrows is None
    shutil.rmtree(open_folder / "mirrors")
    assert run_git(directory.workspace, "-c", "safe.directory=*", "fsck", "--strict") == ""


async def test_what_is_the_mirrors_stays_covends(open_folder: Path) -> None:
    forge = make_forge(open_folder)
    made, directory = await attempt(open_folder, forge.spec(Kind.HEAD, owner=AGENT))
    assert made.mirror is not None
    mirrored = [path for path in made.mirror.path.rglob("*") if path.is_file()]
    assert {path.stat().st_uid for path in mirrored} == {os.getuid()}
    assert {path.lstat().st_uid for path in directory.workspace.iterdir()} == {AGENT[0]}


async def test_handing_over_follows_no_link(open_folder: Path) -> None:
    other = open_folder / "other"
    other.mkdir()
    (other / "file").write_text("x")
    directory = await make_directory(open_folder / "workspaces", "01task-1")
    spec = Spec(kind=Kind.NONE, url="", owner=AGENT)
    (directory.workspace / "folder").symlink_to(other)
    (directory.workspace / "file").symlink_to(other / "file")
    await checkout(spec, directory, Mirrors(open_folder / "mirrors"))
    assert {path.lstat().st_uid for path in directory.workspace.iterdir()} == {AGENT[0]}
    assert {path.lstat().st_uid for path in (other, other / "file")} == {os.getuid()}


async def test_no_packs_are_put_together_while_they_are_handed_out(
    open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forge, mirrors = make_forge(open_folder), Mirrors(open_folder / "mirrors")
    held: list[bool] = []

    def share(source: Path, clone: Path) -> None:
        (mirror,) = mirrors.all()
        held.append(from_thread.run_sync(mirror.lock.locked))
        handover.share_objects(source, clone)

    monkeypatch.setattr(making, "share_objects", share)
    directory = await make_directory(open_folder / "workspaces", "01task-1")
    await checkout(forge.spec(Kind.HEAD, owner=AGENT), directory, mirrors)
    assert held == [True]


async def test_an_agent_can_commit_without_a_home_of_its_own(forge: Forge, tmp_path: Path) -> None:
    _, workspace = await checked_out(forge, tmp_path, forge.spec(Kind.HEAD))
    commit_as_an_agent(workspace)
    told = run_git(workspace, "log", "-1", "--format=%an <%ae>")
    assert told.strip() == "covend <covend@localhost>"


def commit_as_an_agent(workspace: Path) -> None:
    nowhere = {"HOME": "/nonexistent", "PATH": os.environ["PATH"]}
    (workspace / "made.txt").write_text("made")
    for words in (["add", "made.txt"], ["commit", "--quiet", "-m", "made"]):
        subprocess.run(["git", *words], cwd=workspace, env=nowhere, check=True)
