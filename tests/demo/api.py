"""A client of a few lines: what the tests ask the stand-in with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

TOKENS = "/app/installations/1/access_tokens"


@dataclass(frozen=True, kw_only=True)
class Got:
    status: int
    body: Any
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Api:
    session: aiohttp.ClientSession
    token: str = ""

    async def __call__(self, method: str, path: str, body: Any = None) -> Got:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        async with self.session.request(method, path, json=body, headers=headers) as answer:
            text = await answer.read()
            got = await answer.json() if text else None
            return Got(status=answer.status, body=got, headers=answer.headers)

    async def narrowed(self, **wanted: Any) -> Api:
        """Called with an App's token: an installation's."""
        got = await self("POST", TOKENS, wanted)
        assert got.status == 201, got.body
        return Api(self.session, got.body["token"])
