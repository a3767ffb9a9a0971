"""Who may ask the admin listener: the holder of a token, by a name of ours, from no other page.

`Host` must be a name that leads here, so that a page whose own name was pointed at this machine
(DNS rebinding) gets nothing; `Origin` must be ours, so that no other page asks with a browser's
help. There is no CORS.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from urllib.parse import quote, urlsplit

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from covend.core.model import Moment
from covend.web.errors import problem
from covend.web.routes import Route, route_of
from covend.web.visitor import CSRF_FIELD, CSRF_HEADER, VISITOR, Visitor, Visitors

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
OPEN_PATHS = frozenset({"/readyz", "/metrics"})
"""They need neither token nor Host: those who ask them are probes and scrapers."""

LOOKS = frozenset({hdrs.METH_GET, hdrs.METH_HEAD})
FORM = "application/x-www-form-urlencoded"
IN_PARTS = "multipart/form-data"
UTF_8 = "utf-8"
FETCH_SITE, OWN_SITE = "Sec-Fetch-Site", "same-origin"
_OWN_SITES = frozenset({OWN_SITE, "none"})
"""`none` is a person's own doing, such as an address that was typed."""

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


def guard(
    *, visitors: Visitors, hosts: frozenset[str], metrics_token: bool, now: Callable[[], Moment]
) -> Middleware:
    """Let through what may ask, and leave who it is in the request; `hosts` are names accepted
    beside loopback, in any case.
    """
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
        route, visitor = route_of(request), visitors.of_request(request, now())
        if visitor is None and (route is None or not route.is_open):
            return _who_is_it(request, route)
        if visitor is not None:
            request[VISITOR] = visitor
        return await _refusal(request, route, visitor) or await handler(request)

    return check


def _who_is_it(request: web.Request, route: Route | None) -> web.Response:
    if route is not None and route.is_page and request.method == hdrs.METH_GET:
        there = quote(request.path_qs, safe="/")
        return web.Response(status=303, headers={hdrs.LOCATION: f"/login?next={there}"})
    return problem(
        401,
        "unauthorized",
        "The header `Authorization: Bearer TOKEN` is missing, or its token is wrong.",
        headers={hdrs.WWW_AUTHENTICATE: 'Bearer realm="covend"'},
    )


async def _refusal(
    request: web.Request, route: Route | None, visitor: Visitor | None
) -> web.Response | None:
    """Say why this visitor may not do this, if so; looking is free to all who have been let in."""
    if request.method in LOOKS:
        return None
    if not await _is_readable(request, route):
        return problem(400, "bad_request", f"The form is no {FORM} in UTF-8.")
    if visitor is None or (route is not None and route.is_open):
        return None
    if visitor.csrf is not None and not await _brings(request, visitor.csrf):
        return problem(403, "no_csrf", "This form is too old: load its page again.")
    if route is not None and route.verb is not None and not visitor.may_change:
        return problem(
            403, "read_only", f"The token of {visitor.name} may look, and change nothing."
        )
    return None


async def _brings(request: web.Request, csrf: str) -> bool:
    """Say whether a change by a session comes from one of its own pages."""
    given = request.headers.get(CSRF_HEADER)
    if given is None and request.content_type == FORM:
        given = str((await request.post()).get(CSRF_FIELD, ""))
    return given is not None and hmac.compare_digest(
        given.encode(errors="surrogateescape"), csrf.encode()
    )


async def _is_readable(request: web.Request, route: Route | None) -> bool:
    """Say whether a form can be read, which is remembered; a larger one than may be raises.

    No page of ours sends one in parts, or in another charset: of those that a sender may name, some
    make text that is none.
    """
    if request.content_type != FORM:
        return not (route is not None and route.is_page and request.content_type == IN_PARTS)
    if (request.charset or UTF_8).lower() != UTF_8:
        return False
    try:
        await request.post()
    except UnicodeDecodeError:
        return False
    return True


def _is_foreign_page(request: web.Request) -> bool:
    """Only the origin that the request goes to is no foreign one; `null` is.

    Browsers without an Origin in a request that changes something are told apart by
    `Sec-Fetch-Site`: https://www.w3.org/TR/fetch-metadata/
    """
    if request.method not in LOOKS and request.headers.get(FETCH_SITE, OWN_SITE) not in _OWN_SITES:
        return True
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
