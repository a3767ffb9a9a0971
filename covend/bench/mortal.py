"""A covend that is killed and started again, as a process: what it says, and what it is asked.

Nothing ends it but SIGKILL at a chosen moment, and SIGTERM at the end.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from covend.bench.hurry import Pace

READY_S = 60.0
END_S = 30.0
PAUSE_S = 0.05
"""Between two questions to one that may be dead just now."""
LINE_BYTES_MAX = 1 << 20
SAID_MAX = 40
_KEPT = (200, 202)
_UNREACHED = (aiohttp.ClientError, TimeoutError, OSError)


class Mortal:
    """At most one process at a time, over one state directory and at one address."""

    def __init__(self, config: Path, pace: Pace, session: aiohttp.ClientSession) -> None:
        """Nothing is started yet."""
        self.published: Counter[str] = Counter()
        """By how: sent, or found by a look-up."""
        self.said: list[str] = []
        """The last that it wrote."""
        self._config = config
        self._pace = pace
        self._session = session
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._public = self._admin = ""

    async def start(self) -> None:
        """Start it, and wait until it is ready; raises RuntimeError where it does not come up."""
        assert self._process is None, "one at a time"
        self._ready.clear()
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "covend.bench.hurried_daemon"),
            *(str(self._config), str(self._pace)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            limit=LINE_BYTES_MAX,
            start_new_session=True,
        )
        self._reader = asyncio.create_task(self._read(self._process))
        try:
            async with asyncio.timeout(READY_S):
                await self._ready.wait()
        except TimeoutError:
            pass
        if not self._public:
            raise RuntimeError("\n".join(["covend did not come up:", *self.said]))

    async def kill(self) -> None:
        """End it as a power cut does, and have seen its end."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> None:
        """End it as a service manager does, by force where that takes too long."""
        await self._end(signal.SIGTERM)

    async def _end(self, number: signal.Signals) -> None:
        process, reader = self._process, self._reader
        if process is None or reader is None:
            return
        self._process = None
        self._public = ""
        if process.returncode is None:
            process.send_signal(number)
        try:
            async with asyncio.timeout(END_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        await reader

    # --- what it says ---

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        async for line in process.stderr:
            self._take(line.decode(errors="replace").rstrip())
        self._ready.set()

    def _take(self, text: str) -> None:
        try:
            line: Mapping[str, Any] = orjson.loads(text)
        except orjson.JSONDecodeError:
            line = {}
        match line.get("message"):
            case "ready":
                self._public, self._admin = line["public"], line["admin"]
                self._ready.set()
            case "published":
                self.published[line["how"]] += 1
        self.said = [*self.said, text][-SAID_MAX:]

    # --- what it is asked ---

    async def post(self, body: bytes, headers: Mapping[str, str]) -> None:
        """Deliver a webhook, as often as it takes until one of them has kept it."""
        while True:
            if await self._kept(body, headers):
                return
            await asyncio.sleep(PAUSE_S)

    async def _kept(self, body: bytes, headers: Mapping[str, str]) -> bool:
        self._require_unharmed()
        if not self._public:
            return False
        url = f"{self._public}/webhooks/github"
        try:
            async with self._session.post(url, data=body, headers=headers) as answer:
                if answer.status in _KEPT:
                    return True
                said = await answer.text()
        except _UNREACHED:
            return False
        if answer.status < 500:  # noqa: PLR2004 (it would never be taken)
            raise RuntimeError(f"a webhook was refused: {answer.status} {said}")
        return False

    async def stats(self) -> Mapping[str, Any]:
        """Ask how much there is, as often as it takes until one of them answers."""
        while True:
            if (told := await self._told()) is not None:
                return told
            await asyncio.sleep(PAUSE_S)

    def _require_unharmed(self) -> None:
        """Raise RuntimeError where it has ended without being asked to."""
        if self._process is not None and self._process.returncode is not None:
            code = self._process.returncode
            raise RuntimeError("\n".join([f"covend has ended by itself, with {code}:", *self.said]))

    async def _told(self) -> Mapping[str, Any] | None:
        self._require_unharmed()
        if not self._public:
            return None
        token = (self._config.parent / "state" / "admin.token").read_text("ascii").strip()
        headers = {"Authorization": f"Bearer {token}"}
        try:
            async with self._session.get(f"{self._admin}/api/v1/stats", headers=headers) as answer:
                if answer.status != 200:  # noqa: PLR2004
                    return None
                told: Mapping[str, Any] = await answer.json()
                return told
        except _UNREACHED:
            return None


@asynccontextmanager
async def living(config: Path, pace: Pace) -> AsyncIterator[Mortal]:
    """Start one, and end whichever of them is there at the end."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        mortal = Mortal(config, pace, session)
        try:
            await mortal.start()
            yield mortal
        finally:
            await mortal.stop()
