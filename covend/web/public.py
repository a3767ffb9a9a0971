"""The public listener: POST /webhooks/github, and one more for each configured sender, and GET
/healthz; nothing else answers here.

It refuses what is too large (413) or too slow (408) before it is read whole, and answers 503 with
`Retry-After` where a delivery could not be put on disk. Not an `Application`: there is nothing to
route.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from types import MappingProxyType

import orjson
from aiohttp import web

from covend.core.errors import QueueFullError, StoreError
from covend.core.intake import (
    BODY_MAX,
    Headers,
    Refused,
    check_foreign_head,
    check_head,
    fold,
)
from covend.core.outside import Source
from covend.core.sources import github
from covend.store.protocol import Accepted
from covend.telemetry.logs import Log
from covend.telemetry.metrics import OTHER, Metrics
from covend.web.errors import problem

Receive = Callable[[Headers, bytes], Awaitable[Accepted | Refused]]
ReceiveFrom = Callable[[Source, Headers, bytes], Awaitable[Accepted | Refused]]
WEBHOOKS = "/webhooks/"
WEBHOOK = f"{WEBHOOKS}{github.NAME}"
HEALTH = "/healthz"
BODY_S = 10.0
"""GitHub itself waits 10 s for the answer: what has not arrived by then never will."""

IDLE_S = 75.0
LINGER_S = 1.0
"""So long the rest of a refused body is read and dropped: without it the answer may be lost."""

LARGE_BYTES = 1 << 20
LARGE_AT_ONCE = 8
"""Bodies over LARGE_BYTES that are in memory at the same time; others wait until their own time is
over.
"""

RETRY_AFTER_S = 10
log = Log("web.public")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """One who may post: how its requests are judged by their heads, and where they go."""

    name: str
    check_head: Callable[[Headers], Refused | None]
    receive: Receive


def senders_of(sources: Mapping[str, Source], receive: ReceiveFrom) -> tuple[Sender, ...]:
    """Make a sender of each that the configuration has beside GitHub."""
    return tuple(
        Sender(
            name=name,
            check_head=partial(check_foreign_head, source),
            receive=partial(receive, source),
        )
        for name, source in sources.items()
    )


class PublicListener:
    """Answers webhooks; `handle` is what aiohttp calls for each request."""

    def __init__(
        self,
        *,
        receive: Receive,
        metrics: Metrics,
        events: frozenset[str],
        others: Sequence[Sender] = (),
        body_s: float = BODY_S,
        idle_s: float = IDLE_S,
    ) -> None:
        """Count GitHub's events by name where `events` has it; `others` have a path of their own.

        A body may take `body_s`; a connection may be without a whole request's head for `idle_s`.
        """
        self._github = Sender(name=github.NAME, check_head=check_head, receive=receive)
        self._others = {f"{WEBHOOKS}{sender.name}": sender for sender in others}
        self._metrics = metrics
        self._events = events
        self._body_s = body_s
        self._idle_s = idle_s
        self._large = asyncio.Semaphore(LARGE_AT_ONCE)
        self._is_draining = False

    def drain(self, is_draining: bool) -> None:  # noqa: FBT001 - a state, told as one
        """Answer every webhook with 503 from now on; or, with False, take them again."""
        self._is_draining = is_draining

    def server(self) -> web.Server:
        """Make the server with its limits: nothing idles for long, nothing is unpacked."""
        return web.Server(
            self.handle,
            keepalive_timeout=self._idle_s,
            lingering_time=LINGER_S,
            auto_decompress=False,
        )

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        path = request.path
        if path == WEBHOOK:
            return await self._webhook(request, self._github)
        if path == HEALTH:
            return web.Response(text="ok\n") if _reads(request) else _wrong_method("GET, HEAD")
        if path in self._others:
            return await self._webhook(request, self._others[path])
        return _problem(404, "not_found", "Nothing answers here but POST /webhooks/github.")

    async def _webhook(self, request: web.BaseRequest, sender: Sender) -> web.Response:
        if request.method != "POST":
            return _wrong_method("POST")
        begun = perf_counter()
        try:
            result, answer = await self._answer(request, sender)
        except Exception:
            log.exception("a webhook failed inside covend")
            result, answer = "internal", _problem(500, "internal", "Its log says more.")
        event = request.headers.get("X-GitHub-Event", "") if sender is self._github else OTHER
        label = event if event in self._events else OTHER
        self._metrics.count_delivery(label, result, sender.name)
        self._metrics.delivery_ack.observe(perf_counter() - begun)
        return answer

    async def _answer(self, request: web.BaseRequest, sender: Sender) -> tuple[str, web.Response]:
        """Give the answer, and its name for the metric."""
        if self._is_draining:
            return "draining", _unavailable("draining", "covend is draining: it takes nothing in.")
        headers = fold(request.headers.items())
        body = await self._read(request, headers, sender)
        if isinstance(body, Refused):
            return body.code, _refusal(body)
        try:
            answer = await sender.receive(headers, body)
        except QueueFullError as error:
            return error.code, _unavailable(error.code, str(error))
        except StoreError as error:
            log.error("a delivery could not be kept", code=error.code, error=str(error))
            return error.code, _unavailable(error.code, "The store cannot keep this now.")
        if isinstance(answer, Refused):
            return answer.code, _refusal(answer)
        return ("duplicate" if answer.duplicate else answer.state), _kept(answer)

    async def _read(
        self, request: web.BaseRequest, headers: Headers, sender: Sender
    ) -> bytes | Refused:
        """Read the body within its size and its time; judge what the head tells before."""
        length = request.content_length
        if length is not None and length > BODY_MAX:
            return _TOO_LARGE
        if refused := sender.check_head(headers):
            return refused
        if request.content.is_eof() and length is not None:
            return request.content.read_nowait()
        try:
            async with asyncio.timeout(self._body_s):
                return await self._read_slowly(request, length)
        except TimeoutError:
            return _TOO_SLOW
        except (ConnectionError, web.RequestPayloadError):
            return _INCOMPLETE

    async def _read_slowly(self, request: web.BaseRequest, length: int | None) -> bytes | Refused:
        """Read what is still on its way; of large ones only so many at once."""
        if length is not None and length <= LARGE_BYTES:
            return await request.content.read()
        begun = await _read_some(request, bytearray(), LARGE_BYTES)
        if request.content.at_eof():
            return bytes(begun)
        async with self._large:
            body = await _read_some(request, begun, BODY_MAX)
        return _TOO_LARGE if len(body) > BODY_MAX else bytes(body)


NO_HEADERS: Mapping[str, str] = MappingProxyType({})
_SERVER = {"Server": "covend"}
_HEADERS = {"Content-Type": "application/json", **_SERVER}
_TOO_LARGE = Refused(status=413, code="too_large", message="The body is larger than 25 MiB.")
_INCOMPLETE = Refused(
    status=400, code="incomplete_body", message="The body did not arrive as a whole."
)
_TOO_SLOW = Refused(status=408, code="too_slow", message="The body did not arrive in time.")


async def _read_some(request: web.BaseRequest, body: bytearray, size: int) -> bytearray:
    """Read on until the end, or until there is more than `size`."""
    while len(body) <= size and not request.content.at_eof():
        body += await request.content.readany()
    return body


def _reads(request: web.BaseRequest) -> bool:
    return request.method in {"GET", "HEAD"}


def _kept(accepted: Accepted) -> web.Response:
    """202 for what is new, 200 for what was there, or wants nothing but an echo."""
    is_new = not accepted.duplicate and accepted.reason != "ping"
    answer = {
        "delivery": accepted.delivery,
        "state": accepted.state,
        "tasks": accepted.tasks,
        "reason": accepted.reason,
        **({"duplicate": True} if accepted.duplicate else {}),
    }
    return _json(202 if is_new else 200, answer)


def _refusal(refused: Refused) -> web.Response:
    """Refuse; a body that was not read to its end also ends the connection."""
    answer = _problem(refused.status, refused.code, refused.message)
    if refused.status in (408, 413):
        answer.force_close()
    return answer


def _unavailable(code: str, message: str) -> web.Response:
    return _problem(503, code, message, {"Retry-After": str(RETRY_AFTER_S)})


def _wrong_method(allowed: str) -> web.Response:
    message = f"Only {allowed} is answered here."
    return _problem(405, "wrong_method", message, {"Allow": allowed})


def _problem(
    status: int, code: str, message: str, headers: Mapping[str, str] = NO_HEADERS
) -> web.Response:
    return problem(status, code, message, headers={**_SERVER, **headers})


def _json(status: int, data: object) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(data), headers=_HEADERS)
