"""A state directory with secrets in it, and agents that are confined in one of its workspaces."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from covend.core.settings import Agent, Sandbox
from covend.edges.agents.confinement import Confined, Confinement
from covend.edges.agents.sandbox import account_of, confine

IS_ROOT = os.geteuid() == 0
USER = "nobody" if IS_ROOT else None
"""Root gives its agents to somebody else; nobody else can."""
SECRET = "planted-f3a91c"
SOON = 20.0


class House:
    """Two attempts, "T1-1" and "T2-1", and what lies about."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.state = root / "state"
        self.mirrors = self.state / "mirrors"
        self.attempt = self.state / "workspaces" / "T1-1"
        self.other = self.state / "workspaces" / "T2-1"
        self.workspace = self.attempt / "workspace"
        self.exchange = self.attempt / "exchange"
        self.home = self.attempt / "home"

    def build(self) -> None:
        for attempt in (self.attempt, self.other):
            for name in ("workspace", "exchange", "home"):
                (attempt / name).mkdir(parents=True)
        for name in ("covend.db", "admin.token", "logs/T2-1.jsonl", "mirrors/packed"):
            plant(self.state / name)
        plant(self.other / "workspace" / "seen")
        # Whoever hides something here does so alone: nobody's permissions stand in the way.
        for path in (self.root, *self.root.rglob("*")):
            path.chmod(0o777 if path.is_dir() else 0o666)
        (self.exchange / "brief.json").write_text('{"contract":1}')
        self.give(self.attempt)

    def give(self, path: Path) -> None:
        """Let a tree belong to whom the agents run as."""
        account = account_of(agent())
        if account is not None:
            for one in (path, *path.rglob("*")):
                os.chown(one, account.uid, account.gid, follow_symlinks=False)

    def wish(self, what: Agent, program: str = "sh", **changes: Any) -> Confinement:
        values: dict[str, Any] = {
            "agent": what,
            "program": program,
            "name": "T1-1",
            "workspace": self.workspace,
            "exchange": self.exchange,
            "home": self.home,
            "hidden": (self.state,),
            "environment": {"PATH": os.defpath, "COVEND_TASK": "T1", "KEY": "value"},
            "surrounding": {"PATH": os.defpath, "ADMIN": SECRET},
            "is_root": IS_ROOT,
        }
        return Confinement(**{**values, **changes})


@contextmanager
def house() -> Iterator[House]:
    """Not in pytest's own directory, through which only its user can pass."""
    root = Path(tempfile.mkdtemp(prefix="covend-house-"))
    try:
        built = House(root)
        built.build()
        yield built
    finally:
        shutil.rmtree(root)


def plant(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(SECRET)


def agent(**changes: Any) -> Agent:
    values: dict[str, Any] = {
        "name": "tool",
        "command": ("sh",),
        "sandbox": Sandbox.BUBBLEWRAP,
        "user": USER,
    }
    return Agent(**{**values, **changes})


def say(confined: Confined, house: House, *argv: str) -> subprocess.CompletedProcess[str]:
    """Run to the end."""
    return subprocess.run(
        [*confined.prefix, *argv],
        env=dict(confined.environment),
        cwd=house.workspace,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SOON,
        check=False,
    )


def said(house: House, script: str, *words: str, **changes: Any) -> str:
    """Give what a shell script prints in bubblewrap; it must end well."""
    result = say(confine(house.wish(agent(**changes))), house, "sh", "-c", script, "sh", *words)
    assert result.returncode == 0, result
    return result.stdout.strip()


def poll_until_gone(pid: int, within_s: float = SOON) -> None:
    until = monotonic() + within_s
    while Path(f"/proc/{pid}").exists() and state_of(pid) != "Z":
        assert monotonic() < until, f"{pid} lives"
        sleep(0.01)


def state_of(pid: int) -> str | None:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return None
