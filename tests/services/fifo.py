"""A named pipe between a test and the agents that it starts: how they wait for each other."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Self

import anyio

WITHIN_S = 20.0


class Fifo:
    """Held open at both ends, so that nobody waits only to open it."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = path
        self._file = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._heard = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        os.close(self._file)

    async def line(self, *, within_s: float = WITHIN_S) -> str:
        """Wait for the next line that somebody writes."""
        with anyio.fail_after(within_s):
            while b"\n" not in self._heard:
                await anyio.wait_readable(self._file)
                self._heard += os.read(self._file, 4096)
        line, _, self._heard = self._heard.partition(b"\n")
        return line.decode()

    def say(self, line: str) -> None:
        """Write a line for whoever reads first."""
        os.write(self._file, f"{line}\n".encode())
