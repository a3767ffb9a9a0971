"""One try of one callback: the request, its limits, and what came back.

It follows no redirect, keeps no cookie and no connection, reads no proxy from the environment, and
says nothing of an address beyond its host: the rest of a url may be a secret.
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Callable
from email.utils import parsedate_to_datetime

import aiohttp
import anyio
from yarl import URL

from covend import __version__
from covend.core.addresses import host_fault, networks_of
from covend.core.effects.callback import headers_of
from covend.core.effects.delivering import Code, Heard, Reply, Unheard
from covend.core.model import EffectId, Moment
from covend.core.outside import Callback
from covend.edges.callbacks.addresses import (
    LookUp,
    RefusedAddressError,
    ask_system,
    checked_connector,
)

CONNECT_S = 10.0
TOTAL_S = 15.0
"""The specification asks for 15 to 30 seconds."""
BODY_S = 2.0
"""Its words are worth no longer wait: the status is there already."""
ANSWER_BYTES_MAX = 16 << 10
SHOWN_MAX = 8
"""A shorter piece of an address is a word, and no secret."""

_TIMEOUT = aiohttp.ClientTimeout(total=TOTAL_S, connect=CONNECT_S, sock_connect=CONNECT_S)
_SECONDS = re.compile(r"[0-9]{1,10}", re.ASCII)
_HEADERS = {
    "Content-Type": "application/json",
    "User-Agent": f"covend/{__version__}",
    "Accept": "application/json, */*;q=0.5",
    "Accept-Encoding": "identity",
}


class Sender:
    """Sends callbacks, each in a session of its own."""

    def __init__(
        self,
        *,
        wall: Callable[[], Moment],
        look_up: LookUp = ask_system,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`wall` gives the machine's own moment, which receivers compare with theirs; `tls` where
        others than the system's authorities are trusted.
        """
        self._wall = wall
        self._look_up = look_up
        self._tls = tls

    async def send(self, callback: Callback, effect: EffectId, body: str) -> Reply:
        """Try once, within `TOTAL_S`; whatever goes wrong is an answer."""
        if (fault := _fault_of(callback.url)) is not None:
            return Unheard(code=Code.ADDRESS, message=f"the url's host {fault}", is_final=True)
        try:
            return await self._post(callback, effect, body)
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            return _unheard(error)

    async def _post(self, callback: Callback, effect: EffectId, body: str) -> Reply:
        url = URL(callback.url)
        signed = headers_of(effect, body, callback.secrets, self._wall())
        connector = checked_connector(
            networks_of(callback.allow_addresses), self._look_up, is_plain=url.scheme != "https"
        )
        async with (
            aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=_TIMEOUT,
                auto_decompress=False,
                trust_env=False,
            ) as session,
            session.post(
                url,
                data=body.encode(),
                headers={**_HEADERS, **signed},
                allow_redirects=False,
                ssl=self._tls or True,
            ) as response,
        ):
            return await self._heard(response, url)

    async def _heard(self, response: aiohttp.ClientResponse, url: URL) -> Heard:
        body = _without_address(await _beginning(response), url)
        response.close()
        headers = response.headers
        return Heard(
            status=response.status,
            retry_after_s=_retry_after_s(headers.get("Retry-After", ""), self._wall()),
            is_replayed=headers.get("Idempotent-Replayed", "").strip().lower() == "true",
            body=body,
        )


def _fault_of(url: str) -> str | None:
    """Refuse what two readers of an address could read differently, before any of it is asked."""
    if not url.isascii():
        return "is not written in ASCII"
    try:
        read = URL(url)
    except ValueError:
        return "cannot be read"
    if read.user is not None or read.password is not None:
        return "has a user name before it"
    return host_fault(read.raw_host or "")


async def _beginning(response: aiohttp.ClientResponse) -> bytes:
    """Read what there is of the body, as far as it is kept; a body that breaks off is one too."""
    kept = bytearray()
    with anyio.move_on_after(BODY_S):
        try:
            while (room := ANSWER_BYTES_MAX - len(kept)) > 0:
                part = await response.content.read(room)
                if not part:
                    break
                kept += part
        except (TimeoutError, aiohttp.ClientError, OSError):
            pass
    return bytes(kept)


def _without_address(body: bytes, url: URL) -> bytes:
    """Take out of a receiver's words what it repeats of its address, as many do where they know no
    such path: the address may be a secret, and the words are shown to people.
    """
    parts = {url.raw_path, url.path, url.raw_query_string, url.query_string}
    parts |= {*url.raw_path.split("/"), *url.path.split("/"), *url.query.values()}
    for part in sorted(parts, key=len, reverse=True):
        if len(part) >= SHOWN_MAX:
            body = body.replace(part.encode(), b"[redacted]")
    return body


def _retry_after_s(text: str, wall: Moment) -> float | None:
    """Read `Retry-After`: seconds, or a date (https://www.rfc-editor.org/rfc/rfc9110#name-retry-after)."""
    if _SECONDS.fullmatch(text.strip()):
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - wall / 1000)
    except (ValueError, TypeError, OverflowError):
        return None


def _unheard(error: Exception) -> Unheard:
    """Name the fault; nothing of the request is in it."""
    refused = getattr(error, "os_error", None)
    if isinstance(refused, RefusedAddressError):
        told = f"{refused}; allow_addresses lets a receiver of one's own through"
        return Unheard(code=Code.ADDRESS, message=told, is_final=True)
    if isinstance(error, aiohttp.InvalidURL):
        return Unheard(code=Code.ADDRESS, message="the url cannot be used", is_final=True)
    code, message = _fault(error)
    return Unheard(code=code, message=message)


def _fault(error: Exception) -> tuple[Code, str]:
    match error:
        case TimeoutError():
            return Code.TIMEOUT, f"no answer within {TOTAL_S:g} s"
        case aiohttp.ClientConnectorDNSError():
            return Code.UNREACHABLE, "the host's name cannot be resolved"
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError():
            return Code.TLS, f"TLS: {_reason(error)}"
        case aiohttp.ClientConnectorError(os_error=cause):
            return Code.UNREACHABLE, f"not reached: {_reason(cause)}"
        case _:
            return Code.NO_ANSWER, f"no answer ({type(error).__name__})"


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError | aiohttp.ClientConnectorCertificateError):
        inner = getattr(error, "certificate_error", error)
        return getattr(inner, "verify_message", "") or getattr(inner, "reason", "") or "failed"
    # What asyncio says of an address stands in its own words; the system's are enough.
    number = getattr(error, "errno", None)
    return os.strerror(number).lower() if isinstance(number, int) else type(error).__name__
