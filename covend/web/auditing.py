"""Writes every change that the admin listener is asked for into the audit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from covend.core.audit import CLIENT_MAX, DETAILS_MAX, Way, Wish
from covend.services.auditing import Auditing
from covend.web.routes import Route, route_of
from covend.web.visitor import CSRF_FIELD, VISITOR

OUTCOME = web.RequestKey("outcome", str)
"""Where a handler that answers an error by a page says which one it was."""
DEPTH_MAX = 16
"""So deep in what was asked is noted."""
_FORM = "application/x-www-form-urlencoded"


def auditor(auditing: Auditing, redact: Callable[[str], str]) -> Middleware:
    """Note what has a verb; `redact` takes known secrets out of what is written down."""

    @web.middleware
    async def note(request: web.Request, handler: Handler) -> web.StreamResponse:
        route = route_of(request)
        if route is None or route.verb is None:
            return await handler(request)
        async with auditing.noting(await _wish(request, route, route.verb, redact)) as noted:
            response = await handler(request)
            noted.outcome = request.get(OUTCOME, noted.outcome)
            return response

    return note


async def _wish(
    request: web.Request, route: Route, verb: str, redact: Callable[[str], str]
) -> Wish:
    asked = await _asked(request, route)
    asked = asked if route.wish is None else route.wish(asked)
    target = request.match_info.get(route.target) or asked.get(route.target)
    rest = {name: value for name, value in asked.items() if name not in {CSRF_FIELD, route.target}}
    client = request.headers.get("User-Agent")
    # Before anything is cut or escaped: half of a secret is not known for one.
    details = orjson.dumps(_redacted(rest, redact)).decode()
    return Wish(
        who=request[VISITOR].name,
        way=Way.DASHBOARD if route.is_page else Way.API,
        address=request.remote or "unix",
        client=_line(redact(client), CLIENT_MAX) if client else None,
        verb=verb,
        target=_line(redact(str(target)), CLIENT_MAX) if target else None,
        details=_line(redact(details), DETAILS_MAX),
    )


def _redacted(value: object, redact: Callable[[str], str], depth: int = 0) -> object:
    """Leave out what lies deeper than any wish does: it may be deeper than can be written."""
    match value:
        case str():
            return redact(value)
        case dict() | list() if depth >= DEPTH_MAX:
            return "…"
        case dict():
            return {
                redact(name): _redacted(each, redact, depth + 1) for name, each in value.items()
            }
        case list():
            return [_redacted(each, redact, depth + 1) for each in value]
        case _:
            return value


async def _asked(request: web.Request, route: Route) -> Mapping[str, object]:
    """Read what is asked as far as it can be read: to refuse it is the handler's business.

    The API takes JSON, whatever its sender calls it, and pages take forms.
    """
    if route.is_page and request.content_type == _FORM:
        form = await request.post()
        return {name: _values(form.getall(name)) for name in form}
    try:
        given = orjson.loads(await request.read() or b"{}")
    except orjson.JSONDecodeError:
        return {}
    return given if isinstance(given, dict) else {}


def _values(values: Sequence[object]) -> object:
    texts = [value for value in values if isinstance(value, str)]
    return texts[0] if len(texts) == 1 else texts


def _line(text: str, longest: int) -> str:
    printable = "".join(each if each.isprintable() else "?" for each in text)
    return printable if len(printable) <= longest else f"{printable[: longest - 1]}…"
