from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from covend.core.contract.result import RESULT_BYTES_MAX
from covend.core.errors import GitError, InvalidResultError
from covend.core.model import TaskId
from covend.core.settings import Checkout as Kind
from covend.core.settings import Secret
from covend.edges.workspace.checkout import (
    Checkout,
    Directory,
    Spec,
    checkout,
    make_directory,
    read_result,
    remove_directory,
    write_brief,
)

ODD = "-$(touch${IFS}owned);id"
"""A branch name that git allows."""


def run_git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "protocol.file.allow=always"]
    done = subprocess.run(
        ["git", *who, "-C", str(folder), *arguments], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@dataclass(frozen=True)
class Forge:
    """A bare repository with a pull request 7 against `main`, one commit each after `start`."""

    path: Path
    start: str
    base: str
    head: str

    @property
    def url(self) -> str:
        return f"file://{self.path}"

    def spec(self, kind: Kind, **changes: Any) -> Spec:
        values: dict[str, Any] = {
            "kind": kind,
            "url": self.url,
            "number": 7,
            "head_sha": self.head,
            "base_sha": self.base,
            "base_ref": "main",
            "default_branch": "main",
        }
        return Spec(**{**values, **changes})


def commit(folder: Path, name: str, text: str) -> str:
    (folder / name).write_text(text)
    run_git(folder, "add", "--", name)
    run_git(folder, "commit", "--quiet", "-m", name)
    return run_git(folder, "rev-parse", "HEAD")


@pytest.fixture
def forge(tmp_path: Path) -> Forge:
    work, bare = tmp_path / "work", tmp_path / "widget.git"
    work.mkdir()
    run_git(work, "init", "--quiet", "-b", "main")
    start = commit(work, "a.txt", "one\n")
    run_git(work, "checkout", "--quiet", "-b", "topic")
    head = commit(work, "head.txt", "new\n")
    run_git(work, "checkout", "--quiet", "main")
    base = commit(work, "base.txt", "moved on\n")
    run_git(tmp_path, "clone", "--quiet", "--bare", str(work), str(bare))
    run_git(bare, "update-ref", "refs/pull/7/head", head)
    run_git(bare, "update-ref", f"refs/heads/{ODD}", head)
    run_git(bare, "branch", "-D", "topic")
    return Forge(path=bare, start=start, base=base, head=head)


async def checked_out(forge: Forge, tmp_path: Path, spec: Spec) -> tuple[Checkout, Path]:
    directory = await make_directory(tmp_path / "attempts", TaskId("01task"), 1)
    done = await checkout(spec, directory)
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
    assert done == Checkout(path=folder, head_sha=forge.head, base_sha=forge.base)
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
    script = tmp_path / "bin" / "git"
    script.parent.mkdir()
    real = shutil.which("git")
    script.write_text(
        f'#!/bin/sh\ncase "$*" in *" +{forge.head}:"*) exit 1;; esac\nexec {real} "$@"\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}:{os.environ['PATH']}")


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
    left = [path for path in folder.rglob("*") if path.is_file() and b"t0ken" in path.read_bytes()]
    config = (folder / ".git" / "config").read_text()
    assert left == []
    assert "xtraheader" not in config.lower()


async def test_the_attempts_directory_is_private_and_the_result_is_outside_the_checkout(
    tmp_path: Path,
) -> None:
    directory = await make_directory(tmp_path / "attempts", TaskId("01task"), 2)
    write_brief(directory, b"{}")
    assert directory.root == tmp_path / "attempts" / "01task-2"
    assert directory.root.stat().st_mode & 0o777 == 0o700
    assert directory.places.result == directory.root / "exchange" / "result.json"
    assert directory.brief.read_bytes() == b"{}"
    assert files(directory.workspace) == set()


async def test_what_an_earlier_start_left_is_removed(tmp_path: Path) -> None:
    before = await make_directory(tmp_path, TaskId("01task"), 1)
    before.result.write_text("stale")
    (before.workspace / "link").symlink_to(tmp_path.parent)
    again = await make_directory(tmp_path, TaskId("01task"), 1)
    assert not again.result.exists()
    assert files(again.workspace) == set()
    assert tmp_path.parent.exists()


async def test_read_only_caches_can_be_removed(tmp_path: Path) -> None:
    directory = await make_directory(tmp_path, TaskId("01task"), 1)
    locked = directory.workspace / "cache" / "deep"
    locked.mkdir(parents=True)
    (locked / "file").write_text("x")
    locked.chmod(0o500)
    locked.parent.chmod(0o500)
    await remove_directory(directory)
    await remove_directory(directory)
    assert not directory.root.exists()


@pytest.fixture
async def directory(tmp_path: Path) -> Directory:
    return await make_directory(tmp_path, TaskId("01task"), 1)


async def test_no_result_is_none(directory: Directory) -> None:
    assert read_result(directory.result) is None


async def test_a_result_is_read_up_to_its_limit(directory: Directory) -> None:
    directory.result.write_bytes(b"x" * RESULT_BYTES_MAX)
    assert read_result(directory.result) == b"x" * RESULT_BYTES_MAX
    directory.result.write_bytes(b"x" * (RESULT_BYTES_MAX + 1))
    with pytest.raises(InvalidResultError, match="larger"):
        read_result(directory.result)


async def test_a_result_is_never_read_through_a_link(directory: Directory) -> None:
    directory.result.symlink_to("/etc/hostname")
    with pytest.raises(InvalidResultError, match="link"):
        read_result(directory.result)


async def test_a_directory_that_became_a_link_is_not_followed(
    directory: Directory, tmp_path: Path
) -> None:
    (tmp_path / "result.json").write_text("{}")
    directory.exchange.rmdir()
    directory.exchange.symlink_to(tmp_path)
    with pytest.raises(InvalidResultError, match="link"):
        read_result(directory.result)


async def test_a_pipe_or_directory_is_no_result_and_does_not_block(directory: Directory) -> None:
    os.mkfifo(directory.result)
    with pytest.raises(InvalidResultError, match="regular"):
        read_result(directory.result)
    directory.result.unlink()
    directory.result.mkdir()
    with pytest.raises(InvalidResultError, match="regular"):
        read_result(directory.result)
