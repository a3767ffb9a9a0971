"""Reads the body of an operator's request; what it does not know or cannot read it refuses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import orjson
from aiohttp import web

from covend.core.errors import UserError

REASON_MAX = 500
"""Characters of an operator's own words."""


SCOPE_MAX = 200
"""Characters of what an operator pauses."""
EVERYTHING = "all"


class Wish(NamedTuple):
    """What an operator asks for, in words of their own."""

    reason: str = ""
    scope: str = EVERYTHING


async def read_wish(request: web.Request, *known: str) -> Wish:
    """Give the `known` fields of a JSON object, each of them one line; no body at all wishes
    nothing special.
    """
    given = await read_object(request)
    if unknown := given.keys() - set(known):
        there = f"there is {' and '.join(known)}" if known else "there is none"
        raise UserError(f"There is no field {min(unknown)!r} here: {there}.")
    return Wish(
        reason=_line(given, "reason", REASON_MAX),
        scope=EVERYTHING if given.get("scope") is None else _line(given, "scope", SCOPE_MAX),
    )


async def read_reason(request: web.Request) -> str:
    """Give `reason` of a JSON object, as one line; "" where there is none, or no body at all."""
    return (await read_wish(request, "reason")).reason


async def read_object(request: web.Request) -> Mapping[str, object]:
    """Give a JSON object as it is; no body at all is an empty one."""
    body = await request.read()
    return _parse(body) if body.strip() else {}


def _line(given: Mapping[str, object], name: str, longest: int) -> str:
    value = given.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise UserError(f"{name} must be a text.", name=name)
    line = " ".join(value.split())
    if len(line) > longest or not line.isprintable():
        raise UserError(
            f"{name} must have {longest} characters at most, all of them printable.", name=name
        )
    return line


def _parse(body: bytes) -> dict[str, object]:
    try:
        given = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise UserError("The body must be a JSON object, or empty.") from error
    if not isinstance(given, dict):
        raise UserError("The body must be a JSON object, or empty.")
    return given
