"""A GitHub that answers what the test says, for what the stand-in never does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

from covend.core.secret import Secret
from covend.core.settings import GitHub
from covend.edges.github.auth import open_auth
from covend.edges.github.client import GitHubClient
from tests.edges.github.github_world import Clock

TOKEN = "github_pat_" + "s" * 60


@dataclass(frozen=True, kw_only=True)
class Reply:
    """One answer; `raw` instead of `data` for what is no JSON."""

    status: int = 200
    data: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes | None = None


@dataclass(frozen=True, kw_only=True)
class Seen:
    method: str
    raw_path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class ScriptedGitHub:
    """Answers the replies in their order; `{api}` in a header stands for its own address."""

    session: aiohttp.ClientSession
    clock: Clock = field(default_factory=Clock)
    observed: list[tuple[str, str]] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    server: TestServer = field(init=False)

    def __post_init__(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self.server = TestServer(app)

    def reply(self, *replies: Reply) -> None:
        self.replies.extend(replies)

    @property
    def api(self) -> str:
        return str(self.server.make_url("")).rstrip("/")

    @property
    def client(self) -> GitHubClient:
        return self.client_at("")

    def client_at(self, path: str, *, write_gap_ms: int = 0) -> GitHubClient:
        """A client of an API that lies below a path of this server."""
        settings = GitHub(token=Secret(TOKEN), api_url=self.api + path)
        now = self.clock.now
        auth = open_auth(settings, self.session, now, self.observe, wall=now)
        return GitHubClient(
            self.session, settings.api_url, auth, now, self.observe, write_gap_ms=write_gap_ms
        )

    def observe(self, operation: str, status: str) -> None:
        self.observed.append((operation, status))

    async def _answer(self, request: web.Request) -> web.Response:
        self.seen.append(
            Seen(
                method=request.method,
                raw_path=request.raw_path,
                headers=dict(request.headers),
                body=await request.read(),
            )
        )
        reply = self.replies.pop(0)
        body = json.dumps(reply.data).encode() if reply.raw is None else reply.raw
        headers = {name: text.replace("{api}", self.api) for name, text in reply.headers.items()}
        return web.Response(status=reply.status, body=body, headers=headers)
