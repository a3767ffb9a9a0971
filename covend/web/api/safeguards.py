"""Safeguards: what holds or counts now, and the operator's ways to hold and to let go."""

from __future__ import annotations

from functools import partial

from aiohttp import web

from covend.core.errors import UserError
from covend.core.waiting import is_over
from covend.web.api import described, shapes
from covend.web.api.query import Query
from covend.web.api.wishes import EVERYTHING, read_wish
from covend.web.rooms import Rooms
from covend.web.routes import Route, get, post


class SafeguardsApi:
    """`/api/v1/safeguards`, and `pause`, `resume` and `drain` beside it."""

    def __init__(self, rooms: Rooms) -> None:
        """Read from the store; change by `operations`."""
        self._guards = rooms.guards
        self._clock = rooms.clock
        self._operations = rooms.operations

    def routes(self) -> tuple[Route, ...]:
        """List what is answered here."""
        one = "/api/v1/safeguards/{id:.+}"  # an id has slashes, as they are or as %2F
        return (
            get(
                "/api/v1/safeguards",
                self.page,
                "list_safeguards",
                summary="All that hold or count something, by id.",
                answers={200: described.items("Safeguard")},
            ),
            post(
                f"{one}/reset",
                self.reset,
                "reset_safeguard",
                verb="reset",
                summary="Put a safeguard at rest.",
                body=described.WHY,
                answers={
                    200: described.item("Safeguard", "What it was."),
                    409: described.refusal("It has no count of its own."),
                },
            ),
            post(
                "/api/v1/pause",
                self.pause,
                "pause",
                verb="pause",
                target="scope",
                summary="Start nothing of a scope until it is resumed.",
                body=described.WHAT_AND_WHY,
                answers={200: described.item("Safeguard", "The pause.")},
            ),
            post(
                "/api/v1/resume",
                self.resume,
                "resume",
                verb="resume",
                target="scope",
                summary="Lift the pause of a scope; of all, the drain as well.",
                body=described.WHAT_AND_WHY,
                answers={200: described.items("Safeguard")},
            ),
            post(
                "/api/v1/drain",
                self.drain,
                "drain",
                verb="drain",
                target="scope",
                summary="Take nothing in and start nothing until everything is resumed.",
                body=described.WHAT_AND_WHY,
                answers={200: described.item("Safeguard", "The drain.")},
            ),
        )

    async def page(self, request: web.Request) -> web.Response:
        """List all that hold or count, by id; what is not there is at rest."""
        Query(request)
        now = self._clock.now()
        items = [each for each in await self._guards.list() if not is_over(each, now)]
        return shapes.page(partial(shapes.safeguard, now=now), items)

    async def reset(self, request: web.Request) -> web.Response:
        """Put one at rest, and give what it was."""
        Query(request)
        wish = await read_wish(request, "reason")
        was = await self._operations.reset(request.match_info["id"], wish.reason)
        return shapes.answer(shapes.safeguard(was))

    async def pause(self, request: web.Request) -> web.Response:
        """Pause a scope, and give the pause."""
        Query(request)
        wish = await read_wish(request, "scope", "reason")
        paused = await self._operations.pause(wish.scope, wish.reason)
        return shapes.answer(shapes.safeguard(paused))

    async def drain(self, request: web.Request) -> web.Response:
        """Take nothing in and start nothing more, and give the drain."""
        Query(request)
        wish = await read_wish(request, "scope", "reason")
        if wish.scope != EVERYTHING:
            raise UserError("covend drains as a whole: the scope can only be all.", name="scope")
        return shapes.answer(shapes.safeguard(await self._operations.drain(wish.reason)))

    async def resume(self, request: web.Request) -> web.Response:
        """Lift the pause of a scope, and list what was lifted: nothing is as good."""
        Query(request)
        wish = await read_wish(request, "scope", "reason")
        lifted = await self._operations.resume(wish.scope, wish.reason)
        return shapes.page(shapes.safeguard, lifted)
