"""Server-sent events: frames, keep-alive, resuming, and an end to streams that nobody reads.

The form is that of https://html.spec.whatwg.org/multipage/server-sent-events.html. Refuses more
followers than there may be, and lets none of them hold anything else up: what a reader does not
take waits in its file.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from time import monotonic
from typing import Protocol

import orjson
from aiohttp import hdrs, web

from covend.core.errors import CovendError, UserError
from covend.telemetry.logs import Log
from covend.web.errors import RETRY_AFTER_S, problem

FOLLOWERS_MAX = 64
KEEP_ALIVE_S = 15.0
"""A stream is never silent for longer: what is silent for two of these is dead."""
TAKE_MAX_S = 60.0
"""A reader that takes nothing for so long is cut off; it may come back for the rest."""
RETRY_MS = 2_000
"""When a browser comes back by itself."""
LAST_EVENT_ID = "Last-Event-ID"
_HEADERS = {
    hdrs.CONTENT_TYPE: "text/event-stream",
    hdrs.CACHE_CONTROL: "no-store",
    "X-Accel-Buffering": "no",
}
_HELLO = f"retry: {RETRY_MS}\n: covend follows\n\n".encode()
_STILL_HERE = b": still here\n\n"
_NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)
log = Log("web.streams")


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One event; `id` is what a reader that comes back has seen."""

    event: str
    id: int | str
    data: object


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The next events of a stream; they are made beside the loop, because they may be many."""

    make: Callable[[], Iterable[Frame]]
    is_last: bool = False


class Feed(Protocol):
    """Where a stream's events come from."""

    async def next(self) -> Batch | None:
        """Give the next events; None where there are none for now, after a second or so."""
        ...


class Streams:
    """All streams of the listener."""

    def __init__(
        self, *, followers_max: int = FOLLOWERS_MAX, keep_alive_s: float = KEEP_ALIVE_S
    ) -> None:
        """Have at most `followers_max` at once, and none of them silent for `keep_alive_s`."""
        self.followers_max = followers_max
        self.keep_alive_s = keep_alive_s
        self._is_closing = False
        self.count = 0
        """How many there are now."""

    def refusal(self) -> web.Response | None:
        """Say why there can be no further stream now, if so."""
        if self._is_closing:
            code, message = "draining", "covend is stopping."
        elif self.count >= self.followers_max:
            code, message = "too_many_followers", f"{self.count} follow already: try again later."
        else:
            return None
        return problem(503, code, message, headers={hdrs.RETRY_AFTER: str(RETRY_AFTER_S)})

    def close(self) -> None:
        """End every stream, at its next step; the readers come back after the restart."""
        self._is_closing = True

    async def send(self, request: web.Request, feed: Feed) -> web.StreamResponse:
        """Answer with events until the feed ends, the reader goes, or covend stops."""
        response = web.StreamResponse(headers=_HEADERS)
        self.count += 1
        try:
            await response.prepare(request)
            if request.method != hdrs.METH_HEAD:
                await self._pump(request, response, feed)
        except (ConnectionError, TimeoutError):
            log.debug("a reader has gone", path=request.path)
            _abort(request)
        except (CovendError, OSError) as error:
            # The answer has begun: all that can still be told is that it breaks off.
            log.error("a stream broke off", path=request.path, error=str(error))
        finally:
            self.count -= 1
        return response

    async def _pump(self, request: web.Request, response: web.StreamResponse, feed: Feed) -> None:
        """Write until the feed's last batch; never more is in memory than one of them."""
        await _write(response, _HELLO)
        told_at = monotonic()
        while not (self._is_closing or _has_gone(request)):
            batch = await feed.next()
            if batch is not None:
                await _write(response, await asyncio.to_thread(_encode, batch))
            elif monotonic() - told_at >= self.keep_alive_s:
                await _write(response, _STILL_HERE)
            else:
                continue
            told_at = monotonic()
            if batch is not None and batch.is_last:
                return


def last_event_id(request: web.Request) -> int | None:
    """Give where a reader of a stream with numbers goes on; UserError where it says nonsense."""
    found = last_event(request, _NUMBER)
    return None if found is None else int(found[0])


def last_event(request: web.Request, form: re.Pattern[str]) -> re.Match[str] | None:
    """Read where a reader that comes back goes on, as the stream's ids are formed; None where it
    comes for the first time. UserError where it says nonsense.
    """
    given = request.headers.get(LAST_EVENT_ID, "").strip()
    if not given:
        return None
    if (found := form.fullmatch(given)) is None:
        raise UserError(f"{LAST_EVENT_ID} must be an id that this stream has given.")
    return found


def _encode(batch: Batch) -> bytes:
    return b"".join(_frame(frame) for frame in batch.make())


def _frame(frame: Frame) -> bytes:
    """JSON of orjson has no line break in it, so the data is one line."""
    head = f"id: {frame.id}\nevent: {frame.event}\ndata: ".encode()
    return head + orjson.dumps(frame.data) + b"\n\n"


async def _write(response: web.StreamResponse, data: bytes) -> None:
    async with asyncio.timeout(TAKE_MAX_S):
        await response.write(data)


def _has_gone(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()


def _abort(request: web.Request) -> None:
    """Drop what was never taken: the end of the answer would wait for it."""
    if request.transport is not None:
        request.transport.abort()
