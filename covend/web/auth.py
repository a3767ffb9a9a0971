"""Who may ask the admin listener: the holder of the token, by a name of ours, from no other page.

`Host` must be a name that leads here, so that a page whose own name was pointed at this machine
(DNS rebinding) gets nothing; `Origin` must be ours, so that no other page asks with a browser's
help. There is no CORS.
"""

from __future__ import annotations

import hmac
from urllib.parse import urlsplit

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from covend.core.secret import Secret
from covend.web.errors import problem

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
OPEN_PATHS = frozenset({"/readyz", "/metrics"})
"""They need neither token nor Host: those who ask them are probes and scrapers."""

SECURITY_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


async def add_security_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """Add what every answer carries, unless its maker knew better; and do not name the library."""
    response.headers["Server"] = "covend"
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)


def guard(*, token: Secret, hosts: frozenset[str], metrics_token: bool) -> Middleware:
    """Let through what may ask; `hosts` are names accepted beside loopback, in any case."""
    expected = token.reveal().encode()
    assert expected
    names = LOOPBACK | {name.lower() for name in hosts}

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if _is_foreign_page(request):
            return problem(403, "foreign_origin", "Another site's page may not ask this.")
        if request.path in OPEN_PATHS and not metrics_token:
            return await handler(request)
        if not _is_our_name(request, names):
            return problem(
                421,
                "foreign_host",
                "This Host is none of covend's: add it to admin.hosts if it should be.",
            )
        if not _has_token(request, expected):
            return problem(
                401,
                "unauthorized",
                "The header `Authorization: Bearer TOKEN` is missing, or its token is wrong.",
                headers={hdrs.WWW_AUTHENTICATE: 'Bearer realm="covend"'},
            )
        return await handler(request)

    return check


def _is_foreign_page(request: web.Request) -> bool:
    """Only the origin that the request goes to is no foreign one; `null` is."""
    origins = request.headers.getall(hdrs.ORIGIN, [])
    own = request.headers.get(hdrs.HOST, "").lower()
    return any(origin.lower().partition("://")[2] != own for origin in origins)


def _is_our_name(request: web.Request, names: frozenset[str]) -> bool:
    given = request.headers.getall(hdrs.HOST, [])
    name = _host_of(given[0]) if len(given) == 1 else None
    return name is not None and (name in names or name == _own_address(request))


def _host_of(authority: str) -> str | None:
    """Give the host of `host:port` in lower case, IPv6 without its brackets."""
    if "@" in authority or "/" in authority:
        return None
    try:
        return urlsplit(f"//{authority}").hostname
    except ValueError:
        return None


def _own_address(request: web.Request) -> str | None:
    """Give the address at which this very request arrived."""
    name = request.transport.get_extra_info("sockname") if request.transport else None
    return name[0] if isinstance(name, tuple) else None


def _has_token(request: web.Request, expected: bytes) -> bool:
    given = request.headers.getall(hdrs.AUTHORIZATION, [])
    if len(given) != 1:
        return False
    scheme, _, token = given[0].partition(" ")
    # As bytes: compare_digest raises for texts beyond ASCII.
    offered = token.strip().encode(errors="surrogateescape")
    return scheme.lower() == "bearer" and hmac.compare_digest(offered, expected)
