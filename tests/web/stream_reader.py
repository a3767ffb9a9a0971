"""Reads server-sent events as a browser does: one after the other, comments apart."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import aiohttp
import orjson

WITHIN_S = 20.0
Found = TypeVar("Found")
Told = tuple[str, str, Any]
"""An event's name, id and data."""


async def next_event(response: aiohttp.ClientResponse, comments: list[str]) -> Told | None:
    """Give the next event, and keep the comments before it; None at the end of the stream."""
    fields: dict[str, str] = {}
    while raw := await within(response.content.readline()):
        line = raw.decode().rstrip("\n")
        if line.startswith(":"):
            comments.append(line)
        elif line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "event" in fields:
            return fields["event"], fields["id"], orjson.loads(fields["data"])
    return None


async def within(waited: Awaitable[Found], limit_s: float = WITHIN_S) -> Found:
    return await asyncio.wait_for(waited, limit_s)


async def until(look: Callable[[], bool], *, within_s: float = WITHIN_S) -> None:
    async with asyncio.timeout(within_s):
        while not look():  # noqa: ASYNC110  nobody rings when a connection is gone
            await asyncio.sleep(0.01)
