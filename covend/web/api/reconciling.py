"""Looks through GitHub's delivery log: asks for one, and lists what the last ones came to."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from aiohttp import web

from covend.core.errors import UserError
from covend.core.units import DURATION_FORMS, UnitError, parse_duration
from covend.services.looks import Look
from covend.web.api import described, shapes
from covend.web.api.query import Query
from covend.web.api.wishes import read_object
from covend.web.rooms import Rooms
from covend.web.routes import Route, get, post

WAIT_S = 10.0
"""So long the answer waits for the end of the look; a longer one is told of by the list."""

_SINCE = described.fields(
    since={
        "type": ["string", "null"],
        "pattern": "^(0|[0-9]{1,6}(ms|s|m|h|d))$",
        "description": "How far back, such as 3d.",
    }
)


class ReconcilingApi:
    """`/api/v1/reconcile`."""

    def __init__(self, rooms: Rooms) -> None:
        """Ask its loop, which looks whether or not anybody waits for the answer."""
        self._reconciler = rooms.reconciler

    def routes(self) -> tuple[Route, ...]:
        """List what is answered here."""
        return (
            get(
                "/api/v1/reconcile",
                self.page,
                "list_looks",
                summary="The last looks of this process through GitHub's delivery log.",
                answers={200: described.items("Look")},
            ),
            post(
                "/api/v1/reconcile",
                self.ask,
                "reconcile",
                verb="reconcile",
                summary="Fetch what GitHub could not deliver.",
                body=_SINCE,
                answers={
                    200: described.item("Look", "What it came to."),
                    202: described.item("Look", "What it has come to so far."),
                    409: described.refusal("There is nothing to look through."),
                },
            ),
        )

    async def ask(self, request: web.Request) -> web.Response:
        """Ask for a look: 200 with what it came to, 202 with what it has come to so far."""
        Query(request)
        look = self._reconciler.ask(_since_s(await read_object(request)))
        try:
            async with asyncio.timeout(WAIT_S):
                await look.ended.wait()
        except TimeoutError:
            return shapes.answer(_look(look), status=202)
        return shapes.answer(_look(look))

    async def page(self, request: web.Request) -> web.Response:
        """List the last looks of this process."""
        Query(request)
        return shapes.page(_look, self._reconciler.looks())


def _since_s(given: Mapping[str, object]) -> float | None:
    if unknown := given.keys() - {"since"}:
        raise UserError(f"There is no field {min(unknown)!r} here: there is since.")
    since = given.get("since")
    if since is None:
        return None
    try:
        return parse_duration(since) if isinstance(since, str) else _refuse()
    except UnitError:
        return _refuse()


def _refuse() -> float:
    raise UserError(f"since must be {DURATION_FORMS}.", name="since")


def _look(look: Look) -> shapes.Shape:
    stopped = look.stopped
    return {
        "id": look.number,
        "state": look.state,
        "asked": look.is_asked,
        "since": shapes.moment(look.since),
        "started_at": shapes.moment(look.started_at),
        "ended_at": shapes.moment(look.ended_at),
        "is_complete": look.is_complete,
        "error": None
        if stopped is None
        else {
            "code": stopped.code,
            "message": stopped.message,
            "retry_at": shapes.moment(stopped.retry_at),
        },
        "logs": look.logs,
        "listed": look.listed,
        "known": look.known,
        "fetched": look.fetched,
        "kept": look.kept,
        "ignored": look.ignored,
        "unknown_delivered": look.unknown_delivered,
        "failed": look.failed,
    }
