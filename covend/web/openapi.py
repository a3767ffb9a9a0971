"""The description of the admin API, made of the very table that its routes are made of.

OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.1.html). Pages for people are no part of it. What
every guarded route may answer is written once, here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from aiohttp import web

from covend import __version__
from covend.web.api import shapes
from covend.web.api.described import refusal
from covend.web.api.query import Query
from covend.web.api.schemas import SCHEMAS
from covend.web.auth import OPEN_PATHS
from covend.web.routes import TABLE, Answer, Parameter, Route, get

VERSION = "3.1.0"
_PLACE = re.compile(r"\{([a-z_]+)(?::[^}]*)?\}")
_COMMON: Mapping[int, Answer] = {
    400: refusal("A parameter or the body is not what it must be."),
    401: refusal("The token is missing, or wrong."),
    403: refusal("This token may only look, or another site's page asks."),
    405: refusal("Another method is asked for; `Allow` lists those that are answered."),
    421: refusal("`Host` is none of covend's."),
    503: refusal("The store does not answer, or covend stops: try again, see `Retry-After`."),
}
_OF_PLACES = {404: refusal("There is nothing of this name.")}
_OF_BODIES = {
    404: refusal("There is nothing of this name."),
    413: refusal("The body is larger than a MiB."),
}


class Description:
    """`/openapi.json`."""

    def routes(self) -> tuple[Route, ...]:
        """List what is answered here."""
        answers = {200: Answer(about="OpenAPI 3.1.", schema={"type": "object"})}
        return (get("/openapi.json", self.give, "openapi", summary="This page.", answers=answers),)

    async def give(self, request: web.Request) -> web.Response:
        """Give the description."""
        Query(request)
        return shapes.answer(describe(request.app[TABLE].values()))


def describe(routes: Iterable[Route]) -> dict[str, Any]:
    """Describe all routes that are no pages."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        if not route.is_page and route.answers:
            path = _PLACE.sub(r"{\1}", route.path)
            paths.setdefault(path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": VERSION,
        "info": {
            "title": "covend",
            "version": __version__,
            "description": "The admin API: deliveries, tasks, effects, safeguards.",
        },
        "paths": paths,
        "security": [{"token": []}],
        "components": {
            "schemas": dict(SCHEMAS),
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "state_dir/admin.token, or a token of [admin] readers.",
                }
            },
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "parameters": [
            *(_place(name) for name in _PLACE.findall(route.path)),
            *(_parameter(each) for each in route.parameters),
        ],
        "responses": {
            str(status): _answer(each) for status, each in sorted(answers(route).items())
        },
    }
    if route.body is not None:
        content = {"application/json": {"schema": route.body}}
        operation["requestBody"] = {"content": content, "required": "required" in route.body}
    if route.path in OPEN_PATHS:
        operation["security"] = [{}, {"token": []}]
    return operation


def answers(route: Route) -> Mapping[int, Answer]:
    """List every answer of a route by its status; its own words count before the common ones."""
    found = dict(_COMMON)
    if _PLACE.search(route.path):
        found |= _OF_PLACES
    if route.body is not None:
        found |= _OF_BODIES
    return found | dict(route.answers)


def _place(name: str) -> dict[str, Any]:
    schema = {"type": "string", "minLength": 1}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _parameter(parameter: Parameter) -> dict[str, Any]:
    described = {
        "name": parameter.name,
        "in": parameter.place,
        "required": False,
        "description": parameter.about,
        "schema": dict(parameter.schema),
    }
    # See `query.Query`: what is empty is as good as not there.
    return described | {"allowEmptyValue": True} if parameter.place == "query" else described


def _answer(answer: Answer) -> dict[str, Any]:
    content = {} if answer.schema is None else {"schema": answer.schema}
    return {"description": answer.about, "content": {answer.content_type: content}}
