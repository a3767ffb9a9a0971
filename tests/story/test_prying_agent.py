"""The agent that looks for secrets finds what is there to be found: else it would prove nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.story import prying_agent

ENVIRON = {"PATH": os.environ["PATH"]}
NEEDLE = f"a-secret-that-was-planted-{os.getpid()}"


def found(workspace: Path, *, top: int = 0, **environ: str) -> set[str]:
    """Let it look for one secret, in `top` and what that started too; the places it names."""
    plan = workspace.parent / "plan.json"
    plan.write_text(json.dumps(prying_agent.plan([NEEDLE], [], top)))
    done = subprocess.run(
        [sys.executable, prying_agent.__file__, str(plan)],
        cwd=workspace,
        env={**ENVIRON, **environ},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return {finding["where"] for finding in json.loads(done.stdout)}


@contextmanager
def other_process(file: Path, **environ: str) -> Iterator[int]:
    """A process of the same user that holds a variable and an open file."""
    with (
        file.open("rb") as held,
        subprocess.Popen(
            ["sh", "-c", "echo; read -r _"],
            env={**ENVIRON, **environ},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[held.fileno()],
        ) as process,
    ):
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid
        process.communicate()


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    made = tmp_path / "workspace"
    made.mkdir()
    return made


def test_it_finds_nothing_where_there_is_nothing(workspace: Path) -> None:
    assert found(workspace) == set()


def test_it_finds_what_its_environment_holds(workspace: Path) -> None:
    assert found(workspace, X=NEEDLE) == {"own environment"}


def test_it_finds_what_a_file_holds(workspace: Path) -> None:
    (workspace / "deep").mkdir()
    (workspace / "deep" / "file").write_text(f"x{NEEDLE}x")
    assert found(workspace) == {str(workspace / "deep" / "file")}


def test_it_finds_what_gits_config_holds(workspace: Path) -> None:
    url = f"https://x:{NEEDLE}@host/x.git"
    subprocess.run(["git", "init", "-q", workspace], check=True)
    subprocess.run(["git", "-C", workspace, "remote", "add", "origin", url], check=True)
    assert found(workspace) == {"git config", "git remotes", str(workspace / ".git" / "config")}


def test_it_finds_what_another_process_holds(workspace: Path, tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    hidden.write_text(NEEDLE)
    with other_process(hidden, X=NEEDLE) as pid:
        places = found(workspace, top=pid)
    assert {f"/proc/{pid}/environ", f"/proc/{pid}/mem"} <= places
    assert any(place.startswith(f"/proc/{pid}/fd/") for place in places)
    assert all(place.startswith(f"/proc/{pid}/") for place in places)
