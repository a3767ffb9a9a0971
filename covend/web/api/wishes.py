"""Reads the body of an operator's request; what it does not know or cannot read it refuses."""

from __future__ import annotations

import orjson
from aiohttp import web

from covend.core.errors import UserError

REASON_MAX = 500
"""Characters of an operator's own words."""


async def read_reason(request: web.Request) -> str:
    """Give `reason` of a JSON object, as one line; "" where there is none, or no body at all."""
    body = await request.read()
    given = _parse(body) if body.strip() else {}
    if unknown := given.keys() - {"reason"}:
        raise UserError(f"There is no field {min(unknown)!r} here: there is reason.")
    reason = given.get("reason") or ""
    if not isinstance(reason, str):
        raise UserError("reason must be a text.", name="reason")
    line = " ".join(reason.split())
    if len(line) > REASON_MAX or not line.isprintable():
        raise UserError(
            f"reason must have {REASON_MAX} characters at most, all of them printable.",
            name="reason",
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
