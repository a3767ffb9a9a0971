"""Makes pages of templates: what each of them has in common, and what goes with it.

Everything that a template shows is escaped, and made harmless before; there is no way around it but
`Markup`, which only `filters` and `assets` make.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from aiohttp import hdrs, web
from jinja2 import Environment, PackageLoader, StrictUndefined

from covend import __version__
from covend.core.errors import CovendError, StoreError
from covend.core.safeguards.names import DRAIN, PAUSE_ALL
from covend.web.auditing import OUTCOME
from covend.web.dashboard.assets import address_of
from covend.web.dashboard.filters import FILTERS, finalize
from covend.web.dashboard.saying import SAID, Saying, Sayings
from covend.web.rooms import Rooms
from covend.web.visitor import VISITOR, Visitor

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""No style, script or picture but our own, and none within a page."""
# With `no-referrer` browsers post forms with `Origin: null`, as a foreign page would:
# https://fetch.spec.whatwg.org/#append-a-request-origin-header
_HEADERS = {"Content-Security-Policy": POLICY, "Referrer-Policy": "same-origin"}
STORE_WAIT_S = 2.0
NAVIGATION = (
    ("/", "Overview"),
    ("/tasks", "Tasks"),
    ("/deliveries", "Deliveries"),
    ("/effects", "Effects"),
    ("/agents", "Agents"),
    ("/safeguards", "Safeguards"),
    ("/rules", "Rules"),
    ("/doctor", "Doctor"),
    ("/audit", "Audit"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Daemon:
    """How covend itself is, in one word of a fixed set, and one sentence where it is not well."""

    word: str
    told: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What every page needs beside its own values."""

    rooms: Rooms
    sayings: Sayings


FRAME = web.AppKey("frame", Frame)
"""Put into the application by the dashboard."""
_environment = Environment(
    loader=PackageLoader("covend.web.dashboard"),
    autoescape=True,
    undefined=StrictUndefined,
    finalize=finalize,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)
_environment.filters.update(FILTERS)
_environment.globals.update(asset=address_of, version=__version__, navigation=NAVIGATION)


async def render(
    request: web.Request, name: str, *, status: int = 200, **values: Any
) -> web.Response:
    """Answer with a page. Beside its `values` each template has `visitor` (None for nobody), `now`,
    `daemon`, `said`, `here` (the path) and `self_with` (this page with other parameters).
    """
    frame = request.app[FRAME]
    visitor: Visitor | None = request.get(VISITOR)
    now = frame.rooms.clock.now()
    page = {
        "visitor": visitor,
        "now": now,
        "daemon": await _daemon(frame.rooms) if visitor else None,
        "said": _said(request, visitor),
        "here": request.path,
        "status": status,
        "self_with": lambda **changes: here_with(request, **changes),
        **values,
    }
    return web.Response(
        status=status,
        text=_environment.get_template(name).render(page),
        content_type="text/html",
        headers=_HEADERS,
    )


def here_with(request: web.Request, **changes: object) -> str:
    """Give the address of this very page, with some parameters changed; None takes one away."""
    given = {name: value for name, value in request.query.items() if name != SAID}
    merged: Mapping[str, object] = {**given, **changes}
    query = urlencode({name: value for name, value in merged.items() if value not in (None, "")})
    return f"{request.path}?{query}" if query else request.path


def back(request: web.Request, to: str, said: str, *, is_error: bool = False) -> web.Response:
    """Send the browser to a page of ours after a change, which then says how that went.

    `to` is a path of covend's own, never one that a request has brought.
    """
    frame = request.app[FRAME]
    visitor = request[VISITOR].name
    name = frame.sayings.keep(
        Saying(text=said, is_error=is_error), visitor, frame.rooms.clock.now()
    )
    joint = "&" if "?" in to else "?"
    return web.Response(status=303, headers={hdrs.LOCATION: f"{to}{joint}{SAID}={name}"})


def refused(request: web.Request, to: str, error: CovendError) -> web.Response:
    """Send the browser back after a change that could not be made; the audit is told why."""
    request[OUTCOME] = error.code
    return back(request, to, str(error), is_error=True)


async def field(request: web.Request, name: str) -> str:
    """Give a field of a form as one line; "" where there is none."""
    value = (await request.post()).get(name, "")
    return " ".join(value.split()) if isinstance(value, str) else ""


def _said(request: web.Request, visitor: Visitor | None) -> Saying | None:
    name = request.query.get(SAID)
    if name is None or visitor is None:
        return None
    frame = request.app[FRAME]
    return frame.sayings.find(name, visitor.name, frame.rooms.clock.now())


async def _daemon(rooms: Rooms) -> Daemon:
    try:
        async with asyncio.timeout(STORE_WAIT_S):
            held = {each.id: each for each in await rooms.guards.list()}
    except (StoreError, TimeoutError):
        return Daemon(word="unwell", told="The store does not answer.")
    if DRAIN in held:
        return Daemon(word="draining", told=f"It takes nothing in: {held[DRAIN].reason}.")
    if PAUSE_ALL in held:
        return Daemon(word="paused", told=f"Nothing starts: {held[PAUSE_ALL].reason}.")
    return Daemon(word=rooms.readiness.state)
