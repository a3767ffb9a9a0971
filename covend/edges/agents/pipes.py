"""Carries what goes into an agent and what comes out of it, line by line and without its secrets;
keeps no more than a line of it.

It has no end of its own: whoever carries decides when to stop, and what was read until then is told
to the last line.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from subprocess import Popen
from typing import IO

import anyio
import anyio.lowlevel

from covend.core.redact import Redactor
from covend.edges.agents.gate import OPEN
from covend.edges.agents.output import Lines, Stream
from covend.edges.agents.spec import Spec

CHUNK = 1 << 16
LINES_MAX = 100
"""How many lines are told at once: everything else goes on between, however many there are."""

OnLine = Callable[[Stream, str], bool]
"""Takes a line without its secrets; says whether the tool got on by what it tells."""


class Pipes:
    """The three pipes of one agent. `heard_at` is the last moment at which it got on."""

    def __init__(self, process: Popen[bytes], spec: Spec, on_line: OnLine) -> None:
        self.heard_at = anyio.current_time()
        self.drained = anyio.Event()
        """Both streams are at their end, and told."""
        self._process = process
        self._spec = spec
        self._on_line = on_line
        self._opened = anyio.Event()
        self._reading = 2
        for pipe in (process.stdin, process.stdout, process.stderr):
            assert pipe is not None
            os.set_blocking(pipe.fileno(), False)

    def open_gate(self) -> None:
        """Let the agent run; `feed` does it."""
        self.heard_at = anyio.current_time()
        self._opened.set()

    async def feed(self) -> None:
        """Open the gate once that is asked for, and give the agent its prompt to the end."""
        await self._opened.wait()
        pipe = self._process.stdin
        assert pipe is not None
        # An agent need not read its prompt to the end.
        with suppress(BrokenPipeError, ConnectionResetError):
            for part in (OPEN, self._spec.stdin or b""):
                await _write(pipe, memoryview(part))
        pipe.close()

    async def read_output(self) -> None:
        await self._read(Stream.OUT, self._process.stdout)

    async def read_errors(self) -> None:
        await self._read(Stream.ERROR, self._process.stderr)

    async def _read(self, stream: Stream, pipe: IO[bytes] | None) -> None:
        assert pipe is not None
        redactor, lines = Redactor(self._spec.secrets), Lines()
        try:
            while chunk := await _chunk(pipe):
                self._get_on(is_progress=self._spec.idle_by_output)
                await self._tell(stream, lines.feed(redactor.feed(chunk)))
        finally:
            await self._tell(stream, lines.feed(redactor.finish()))
            await self._tell(stream, lines.finish())
            self._reading -= 1
            if not self._reading:
                self.drained.set()

    async def _tell(self, stream: Stream, lines: Iterator[str]) -> None:
        """Tell all of them, whatever is cancelled meanwhile: what was read is not lost."""
        for number, line in enumerate(lines, 1):
            self._get_on(is_progress=self._on_line(stream, line))
            if number % LINES_MAX == 0:
                await anyio.lowlevel.cancel_shielded_checkpoint()

    def _get_on(self, *, is_progress: bool) -> None:
        if is_progress:
            self.heard_at = anyio.current_time()


async def _write(pipe: IO[bytes], rest: memoryview) -> None:
    while rest:
        await anyio.wait_writable(pipe)
        with suppress(BlockingIOError):
            rest = rest[os.write(pipe.fileno(), rest[:CHUNK]) :]


async def _chunk(pipe: IO[bytes]) -> bytes:
    while True:
        await anyio.wait_readable(pipe)
        with suppress(BlockingIOError):
            return os.read(pipe.fileno(), CHUNK)
