"""Safeguards: what holds or counts now, and the operator's ways to hold and to let go."""

from __future__ import annotations

from aiohttp import web

from covend.core.errors import UserError
from covend.core.waiting import is_over
from covend.services.clock import Clock
from covend.services.operations import Operations
from covend.store.protocol import Guards
from covend.web.api import shapes
from covend.web.api.query import Query
from covend.web.api.wishes import EVERYTHING, read_wish


class SafeguardsApi:
    """`/api/v1/safeguards`, and `pause`, `resume` and `drain` beside it."""

    def __init__(self, *, guards: Guards, clock: Clock, operations: Operations) -> None:
        """Read from the store; change by `operations`."""
        self._guards = guards
        self._clock = clock
        self._operations = operations

    async def page(self, request: web.Request) -> web.Response:
        """List all that hold or count, by id; what is not there is at rest."""
        Query(request)
        now = self._clock.now()
        items = [each for each in await self._guards.list() if not is_over(each, now)]
        return shapes.page(shapes.safeguard, items)

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
