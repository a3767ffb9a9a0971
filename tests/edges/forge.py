"""A forge in a folder: a bare repository with a pull request, and hands to make more of it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest

from covend.core.settings import Checkout as Kind
from covend.edges.workspace.checkout import Checkout, checkout
from covend.edges.workspace.directory import Directory, make_directory
from covend.edges.workspace.mirror import Mirrors
from covend.edges.workspace.spec import Spec

ODD = "-$(touch${IFS}owned);id"
"""A branch name that git allows."""


def run_git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "protocol.file.allow=always"]
    done = subprocess.run(
        ["git", *who, "-C", str(folder), *arguments], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


WITHIN_S = 20.0


async def poll_until(look: Callable[[], object], *, within_s: float = WITHIN_S) -> None:
    with anyio.fail_after(within_s):
        while not look():  # noqa: ASYNC110  it is another process's doing
            await anyio.sleep(0.01)


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


def endless_commit(folder: Path) -> str:
    """Make a commit of ten small trees, and as many files as no disk holds."""
    inner = run_git(folder, "rev-parse", "HEAD^{tree}")
    for _ in range(10):
        raw = b"".join(b"40000 %d\0" % n + bytes.fromhex(inner) for n in range(10))
        (folder / "raw").write_bytes(raw)
        inner = run_git(folder, "hash-object", "-t", "tree", "-w", "--", "raw")
    (folder / "raw").unlink()
    return run_git(folder, "commit-tree", "-p", "HEAD", "-m", "x", inner)


def make_forge(tmp_path: Path) -> Forge:
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


async def attempt(tmp_path: Path, spec: Spec, *, number: int = 1) -> tuple[Checkout, Directory]:
    """Check out into `tmp_path/workspaces`, with the mirrors beside it."""
    directory = await make_directory(tmp_path / "workspaces", f"01task-{number}")
    return await checkout(spec, directory, Mirrors(tmp_path / "mirrors")), directory


def fake_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str) -> Path:
    """Put a `git` first on the PATH that does `before`, shell with "$@", and then the real thing;
    gives the file in which it counts its fetches, a line each.
    """
    script, log = tmp_path / "bin" / "git", tmp_path / "fetches"
    script.parent.mkdir()
    log.write_text("")
    real = shutil.which("git")
    count = f'case " $* " in *" fetch "*) echo fetch >> {log};; esac'
    script.write_text(f'#!/bin/sh\n{count}\n{before}\nexec {real} "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}:{os.environ['PATH']}")
    return log
