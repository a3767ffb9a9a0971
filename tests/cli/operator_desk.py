"""An operator before a running admin listener: commands in this process, or on a terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path

import anyio
from click.testing import CliRunner, Result

from covend.cli import main
from covend.store.queries import load_queries
from covend.store.sqlite.connection import open_sqlite
from covend.store.sqlite.migrate import migrate
from tests.web.desk import TOKEN, Desk, open_desk

COVEND = (sys.executable, "-P", "-m", "covend")
CLEAN = {"COVEND_CONFIG": None, "COVEND_ADMIN_TOKEN": None, "COVEND_ADMIN__LISTEN": None}


def invoke(*args: str, **environ: str | None) -> Result:
    """Run a command in this process; what it prints is no terminal."""
    return CliRunner(env={**CLEAN, **environ}).invoke(main, args, prog_name="covend")


def on_terminal(*args: str, **environ: str) -> str:
    """Run a command on a terminal 200 columns wide, and give all that it got."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "200", **environ}
    with subprocess.Popen(
        [*COVEND, *args], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    ):
        os.close(theirs)
        return _read_all(ours)


def _read_all(terminal: int) -> str:
    """Read until the last writer has gone, which Linux tells as EIO."""
    got = b""
    try:
        while chunk := os.read(terminal, 1 << 16):
            got += chunk
    except OSError:
        pass
    finally:
        os.close(terminal)
    return got.decode()


@dataclass(frozen=True)
class Operator:
    """Someone with the configuration at hand."""

    desk: Desk
    config: Path

    async def run(self, *args: str, **environ: str | None) -> Result:
        """Run a command with this configuration."""
        return await anyio.to_thread.run_sync(
            partial(invoke, *args, "--config", str(self.config), **environ)
        )

    async def see(self, *args: str, **environ: str) -> str:
        """Run a command with this configuration on a terminal."""
        return await anyio.to_thread.run_sync(
            partial(on_terminal, *args, "--config", str(self.config), **environ)
        )


@asynccontextmanager
async def open_operator(folder: Path) -> AsyncIterator[Operator]:
    """Serve an empty store, and write the configuration that leads to it."""
    queries = load_queries(files("covend.store.sqlite") / "queries")
    async with (
        open_sqlite(folder / "covend.db", queries, migrate) as connection,
        open_desk(connection, folder) as desk,
    ):
        (folder / "admin.token").write_text(f"{TOKEN}\n")
        config = folder / "covend.toml"
        config.write_text(f'state_dir = "."\n[admin]\nlisten = "127.0.0.1:{desk.port}"\n')
        yield Operator(desk, config)
