"""A receiver of callbacks on loopback that answers what a test says, and keeps what it was sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
from aiohttp import web
from aiohttp.test_utils import TestServer

from covend.core.outside import Callback
from covend.core.secret import Secret

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    resets: bool = False
    """Breaks the connection instead."""
    is_silent: bool = False
    """Answers nothing until the receiver closes."""


RESET, SILENT = Answer(resets=True), Answer(is_silent=True)


@dataclass(frozen=True, kw_only=True)
class Seen:
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Receiver:
    """Answers in order, then 200 for good; `{id}` in a body stands for the webhook's id."""

    answers: list[Answer] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    server: TestServer = field(init=False)

    def __post_init__(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self.server = TestServer(app)

    @property
    def port(self) -> int:
        assert self.server.port is not None
        return self.server.port

    def callback(self, name: str = "bridge", **changes: Any) -> Callback:
        """The settings that lead here."""
        plain: dict[str, Any] = {
            "name": name,
            "url": f"http://127.0.0.1:{self.port}/hook",
            "secrets": (Secret(SECRET),),
            "allow_addresses": ("127.0.0.1/32",),
            "events": ("task.completed", "task.failed"),
        }
        return Callback(**plain | changes)

    async def arrived(self, count: int, *, within_s: float) -> None:
        """Wait until so many calls have come in all."""
        with anyio.fail_after(within_s):
            while len(self.seen) < count:
                self.reached.clear()
                await self.reached.wait()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(
            Seen(path=request.raw_path, headers=dict(request.headers), body=await request.read())
        )
        self.reached.set()
        answer = self.answers.pop(0) if self.answers else Answer()
        if answer.is_silent:
            await self.closed.wait()
        if answer.resets:
            assert request.transport is not None
            request.transport.abort()
        body = answer.body.replace(b"{id}", request.headers["webhook-id"].encode())
        return web.Response(status=answer.status, headers=answer.headers, body=body)


@asynccontextmanager
async def receiving(*answers: Answer) -> AsyncIterator[Receiver]:
    receiver = Receiver(answers=list(answers))
    await receiver.server.start_server()
    try:
        yield receiver
    finally:
        receiver.closed.set()
        await receiver.server.close()
