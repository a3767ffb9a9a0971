"""A second checkout of a large repository, by covend's mirror, against a full `git clone` of the
same over the same loopback HTTP, and against covend's own first checkout.

Before each round the branch moves on by a commit, so that even the second checkout has something to
fetch. What is timed ends with all files in place, each time in an empty directory.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import anyio.to_thread

from covend.bench.figures import say
from covend.bench.forge import FILES
from covend.core.settings import Checkout
from covend.demo.git import clean_environment
from covend.edges.workspace import removal
from covend.edges.workspace.checkout import checkout
from covend.edges.workspace.directory import make_directory
from covend.edges.workspace.mirror import Mirrors
from covend.edges.workspace.spec import Spec

END_S = 20.0
CLONE_S = 300.0
Seconds = dict[str, list[float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forge:
    """The process of `forge`."""

    process: subprocess.Popen[str]
    url: str

    def move_on(self) -> str:
        """Let one commit come in, and give its SHA."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


def measure(rounds: int, files: int = FILES) -> Seconds:
    """Give each contender's seconds, round by round."""
    seconds: Seconds = {}
    with tempfile.TemporaryDirectory(prefix="covend-bench-") as name, _forge(name, files) as forge:
        turns = _Turns(Path(name), forge)
        say(f"checkouts: a repository with {files:,} files is up")
        asyncio.run(turns.warm_up())
        for number in range(rounds):
            head, told = forge.move_on(), []
            for contender, turn in turns.in_order(number):
                taken = asyncio.run(_timed(turn, head))
                seconds.setdefault(contender, []).append(taken)
                told.append(f"{contender} {taken:.2f} s")
                turns.clear()
            say(f"checkouts, round {number + 1} of {rounds}: {', '.join(told)}")
    return seconds


class _Turns:
    """The contenders."""

    def __init__(self, folder: Path, forge: Forge) -> None:
        self._folder = folder
        self._forge = forge
        self._places = folder / "places"
        self._mirrors = Mirrors(folder / "mirrors")

    def in_order(self, number: int) -> list[tuple[str, Callable[[str], Awaitable[None]]]]:
        """Give them, another one first in each round."""
        turns = [
            ("second", self.second),
            ("full_clone", self.full_clone),
            ("first", self.first),
        ]
        at = number % len(turns)
        return [*turns[at:], *turns[:at]]

    async def warm_up(self) -> None:
        """Make the checkout that the second ones come after."""
        await self.second(self._forge.move_on())
        self.clear()

    async def second(self, head: str) -> None:
        await self._check_out(head, self._mirrors)

    async def first(self, head: str) -> None:
        await self._check_out(head, Mirrors(self._places / "mirrors"))

    async def full_clone(self, head: str) -> None:
        await anyio.to_thread.run_sync(self._clone, head)

    def _clone(self, head: str) -> None:
        place, environment = self._places / "clone", clean_environment()
        argv = ["git", "clone", "--quiet", self._forge.url, str(place)]
        subprocess.run(argv, env=environment, check=True, timeout=CLONE_S)
        argv = ["git", "-C", str(place), "rev-parse", "HEAD"]
        done = subprocess.run(argv, env=environment, check=True, capture_output=True, text=True)
        assert done.stdout.strip() == head

    def clear(self) -> None:
        removal.remove(self._places)

    async def _check_out(self, head: str, mirrors: Mirrors) -> None:
        directory = await make_directory(self._places, uuid4().hex)
        spec = Spec(kind=Checkout.HEAD, url=self._forge.url, head_sha=head, timeout_s=CLONE_S)
        made = await checkout(spec, directory, mirrors)
        assert made.start_sha == head


async def _timed(turn: Callable[[str], Awaitable[None]], head: str) -> float:
    begun = time.perf_counter()
    await turn(head)
    return time.perf_counter() - begun


@contextmanager
def _forge(folder: str, files: int) -> Iterator[Forge]:
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "covend.bench.forge", folder, str(files)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Forge(process=process, url=process.stdout.readline().strip())
    finally:
        process.stdin.close()
        try:
            process.wait(END_S)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
