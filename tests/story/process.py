"""covend as users run it: a process of its own, seen through HTTP, its log and its exit code."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import orjson

from covend.demo.stage import Stage
from covend.edges.agents.group import Group

WITHIN_S = 30.0
LOOK_EVERY_S = 0.5
"""Not everything that changes is told in the log."""
COVEND = (sys.executable, "-P", "-m", "covend")
Found = TypeVar("Found")
Line = dict[str, Any]


class Covend:
    """One run of `covend serve`; every line of its log wakes whoever waits for something."""

    def __init__(self, process: asyncio.subprocess.Process, stage: Stage) -> None:
        self.pid = process.pid
        self.begun_at = time.time()
        """Seconds, by the clock of the log."""
        self.log: list[Line] = []
        self.said: list[str] = []
        """What it wrote to standard error that is no line of the log."""
        self.public = ""
        self._process = process
        self._stage = stage
        self.admin = ""
        self._is_silent = False
        self._heard = asyncio.Condition()
        self._reader = asyncio.create_task(self._read())
        self._session = aiohttp.ClientSession()

    @property
    def cgroup(self) -> Path | None:
        """Where it makes the cgroups of its agents; None where it has none, or not said so yet."""
        held = (line["trees"] for line in self.log if line["message"] == "agents are held")
        told, _, path = next(held, "").partition(" at ")
        return Path(path) if told == "cgroup v2" else None

    # --- what it says ---

    async def hears(self, message: str, *, within_s: float = WITHIN_S, **fields: object) -> Line:
        """Wait for a line of the log with this message and these fields."""
        wanted = {"message": message, **fields}

        async def look() -> Line | None:
            return next((line for line in self.log if wanted.items() <= line.items()), None)

        return await self.until(look, within_s=within_s)

    async def until(
        self, look: Callable[[], Awaitable[Found | None]], *, within_s: float = WITHIN_S
    ) -> Found:
        """Look after every line of the log, and now and then, until there is something to see."""
        try:
            async with asyncio.timeout(within_s):
                while True:
                    count = len(self.log)
                    if (found := await look()) is not None:
                        return found
                    await self._line_after(count)
        except TimeoutError:
            told = [f"{line['message']} {line.get('error', '')}" for line in self.log[-20:]]
            raise TimeoutError(f"never came; the last lines were {told} {self.said}") from None

    async def _line_after(self, count: int) -> None:
        async with self._heard:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._heard.wait_for(lambda: len(self.log) > count or self._is_silent)
        if len(self.log) == count and self._is_silent:
            raise AssertionError(f"covend has ended: {self.said} {self.log[-5:]}")

    async def _read(self) -> None:
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            async with self._heard:
                self._take(line.decode())
                self._heard.notify_all()
        async with self._heard:
            self._is_silent = True
            self._heard.notify_all()

    def _take(self, line: str) -> None:
        try:
            self.log.append(orjson.loads(line))
        except orjson.JSONDecodeError:
            self.said.append(line.rstrip())

    # --- what it is asked ---

    async def post(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, Any]:
        """Send a webhook."""
        status, answer, _ = await self.posted(body, headers)
        return status, answer

    async def posted(
        self, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, Any, Mapping[str, str]]:
        """As `post`, with the answer's headers."""
        url = f"{self.public}/webhooks/github"
        async with self._session.post(url, data=body, headers=headers) as answer:
            return answer.status, await answer.json(), answer.headers

    async def get(self, path: str) -> tuple[int, Any]:
        """Ask the operators' listener."""
        token = (self._stage.folder / "state" / "admin.token").read_text("ascii").strip()
        headers = {"Authorization": f"Bearer {token}"}
        async with self._session.get(f"{self.admin}{path}", headers=headers) as answer:
            return answer.status, await answer.json()

    async def task(self, task: str) -> Any:
        """Give the whole story of a task."""
        status, answer = await self.get(f"/api/v1/tasks/{task}")
        assert status == 200, answer
        return answer

    async def log_of(self, task: str, attempt: int = 1) -> list[Line]:
        """Give all that an attempt has printed by now."""
        lines: list[Line] = []
        offset, path = 0, f"/api/v1/tasks/{task}/attempts/{attempt}/log"
        while True:
            status, page = await self.get(f"{path}?offset={offset}")
            assert status == 200, page
            if not page["items"]:
                return lines
            lines, offset = lines + page["items"], page["next_offset"]

    async def task_in(self, state: str, task: str, *, within_s: float = WITHIN_S) -> Any:
        """Wait until a task is in a state, and give its story."""

        async def look() -> Any:
            story = await self.task(task)
            return story if story["state"] == state else None

        return await self.until(look, within_s=within_s)

    # --- how it ends ---

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    async def kill(self) -> None:
        """End it as a power cut does."""
        self.send(signal.SIGKILL)
        await self.exit_code()

    async def exit_code(self, *, within_s: float = WITHIN_S) -> int:
        """Wait for its end."""
        async with asyncio.timeout(within_s):
            return await self._process.wait()

    async def ready(self) -> None:
        line = await self.hears("ready")
        self.public, self.admin = line["public"], line["admin"]

    async def close(self) -> None:
        await self._session.close()
        # Its group is its own, and holds a tracer as well; agents have sessions of theirs.
        was_running = self._process.returncode is None
        if was_running:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
        await self._process.wait()
        await self._reader
        if was_running:
            await self.clear_up()

    async def clear_up(self) -> None:
        """Leave nothing to the machine of a covend that was killed and has no successor."""
        if self.cgroup is not None:
            await asyncio.to_thread(_clear, self.cgroup)


def _clear(cgroup: Path) -> None:
    for path in [path for path in cgroup.glob("*") if path.is_dir()]:
        group = Group(path)
        group.kill()
        group.remove()
    with suppress(FileNotFoundError):
        cgroup.rmdir()


@asynccontextmanager
async def start(
    stage: Stage, program: Sequence[str] = COVEND, *, environ: Mapping[str, str] | None = None
) -> AsyncIterator[Covend]:
    """Start `covend serve` on a stage, without waiting; it ends with the block at the latest."""
    process = await asyncio.create_subprocess_exec(
        *program,
        "serve",
        "--config",
        str(stage.config),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[2],
        env={**os.environ, **(environ or {})},
        limit=1 << 20,
        start_new_session=True,
    )
    covend = Covend(process, stage)
    try:
        yield covend
    finally:
        await covend.close()


@asynccontextmanager
async def serving(
    stage: Stage, program: Sequence[str] = COVEND, *, environ: Mapping[str, str] | None = None
) -> AsyncIterator[Covend]:
    """As `start`, and wait until it is ready."""
    async with start(stage, program, environ=environ) as covend:
        await covend.ready()
        yield covend
