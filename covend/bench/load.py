"""Load for a server on loopback: prepared requests over a number of connections, as fast as answers
come.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from covend.demo import payloads

SECRET = "a secret for benchmarks"  # noqa: S105  it protects nothing
_NOW = datetime(2026, 1, 1, tzinfo=UTC)


def build_requests(count: int) -> list[bytes]:
    """Make signed requests that all differ in body, id and head SHA."""
    return [_request(serial) for serial in range(count)]


def _request(serial: int) -> bytes:
    scene = payloads.scene(now=_NOW, serial=serial, number=serial + 1)
    body = payloads.encode(payloads.SAMPLES["pull_request.synchronize"](scene))
    headers = payloads.signed(body, SECRET, "pull_request", str(uuid.UUID(int=serial)))
    lines = [f"{name}: {value}" for name, value in headers.items()]
    head = "\r\n".join(
        [
            "POST /webhooks/github HTTP/1.1",
            "Host: localhost",
            f"Content-Length: {len(body)}",
            *lines,
        ]
    )
    return head.encode() + b"\r\n\r\n" + body


class Load:
    """Sends every request once and waits for its answer; an answer but 202 is an error."""

    def __init__(self, host: str, port: int, connections: int) -> None:
        """Use so many connections at once."""
        self._address = (host, port)
        self._connections = connections

    async def send(self, requests: Sequence[bytes]) -> None:
        """Send all of them."""
        rest = iter(requests)
        loop = asyncio.get_running_loop()
        senders = []
        for _ in range(self._connections):
            _, sender = await loop.create_connection(lambda: _Sender(rest), *self._address)
            senders.append(sender)
        await asyncio.gather(*(sender.done for sender in senders))


class _Sender(asyncio.Protocol):
    """One connection: the next request leaves when the last one is answered."""

    def __init__(self, rest: Iterator[bytes]) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._rest = rest
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._next()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return
        if not head.startswith(b"HTTP/1.1 202"):
            self._end(RuntimeError(f"not accepted: {self._received[:300]!r}"))
            return
        self._received = b""
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("the server closed the connection"))

    def _next(self) -> None:
        request = next(self._rest, None)
        if request is None:
            self._end(None)
        else:
            self._transport.write(request)

    def _end(self, error: Exception | None) -> None:
        if not self.done.done():
            if error is None:
                self.done.set_result(None)
            else:
                self.done.set_exception(error)
        self._transport.close()
