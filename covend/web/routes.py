"""One row of the admin listener's table: what is asked, what answers, and what it is called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

Schema = Mapping[str, Any]
"""A JSON Schema, as OpenAPI 3.1 takes it."""
TABLE = web.AppKey("table", Mapping)
"""Every route of the listener by its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter of a query, or of a header."""

    name: str
    schema: Schema
    about: str
    place: str = "query"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One way in which a request is answered."""

    about: str
    schema: Schema | None = None
    content_type: str = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A method and a path, what answers them, and what people are told of it.

    A route without a `verb` changes nothing. Pages have no `answers`: they are no part of the API.
    """

    method: str
    path: str
    handler: Handler
    name: str
    """Unique; the operation's id."""
    summary: str = ""
    verb: str | None = None
    """What the audit calls the change."""
    target: str = "id"
    """Which part of the path, or field of the body, says what the change is about."""
    wish: Callable[[Mapping[str, object]], Mapping[str, object]] | None = None
    """What the audit makes of a form whose fields mean something only together."""
    parameters: tuple[Parameter, ...] = ()
    body: Schema | None = None
    answers: Mapping[int, Answer] = field(default_factory=dict)
    is_open: bool = False
    """Whether it needs no token: probes, the log-in and what its page is made of."""
    is_page: bool = False
    """Whether people read it in a browser: who is nobody is sent to the log-in."""


def get(path: str, handler: Handler, name: str, **more: Any) -> Route:
    """Make a route that only looks."""
    return Route(method=hdrs.METH_GET, path=path, handler=handler, name=name, **more)


def post(path: str, handler: Handler, name: str, **more: Any) -> Route:
    """Make a route that changes something, where it has a verb."""
    return Route(method=hdrs.METH_POST, path=path, handler=handler, name=name, **more)


def route_of(request: web.Request) -> Route | None:
    """Give the row that answers a request; None where nothing does."""
    name = request.match_info.route.name
    return request.app[TABLE].get(name) if name else None
