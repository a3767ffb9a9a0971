"""Effects: lists of what covend has written, or is yet to write, to the outside; and one more try
for what has failed.
"""

from __future__ import annotations

from aiohttp import web

from covend.core.states import EffectState
from covend.web.api import shapes
from covend.web.api.query import ID_CURSOR, Query
from covend.web.api.wishes import read_reason
from covend.web.rooms import Rooms
from covend.web.routes import Route, get, post


class EffectsApi:
    """`/api/v1/effects`."""

    def __init__(self, rooms: Rooms) -> None:
        """Read from the store; change by `resending`."""
        self._effects = rooms.effects
        self._resending = rooms.resending

    def routes(self) -> tuple[Route, ...]:
        """List what is answered here."""
        return (
            get("/api/v1/effects", self.page, "list_effects"),
            post("/api/v1/effects/{id}/retry", self.retry, "retry_effect", verb="retry_effect"),
        )

    async def page(self, request: web.Request) -> web.Response:
        """List."""
        query = Query(request, "state", "task", "limit", "cursor")
        items, following = await self._effects.page(
            limit=query.limit(),
            cursor=query.cursor(ID_CURSOR),
            state=query.state(EffectState),
            task=query.text("task"),
        )
        return shapes.page(shapes.effect, items, following)

    async def retry(self, request: web.Request) -> web.Response:
        """Have sent once more what has failed."""
        Query(request)
        reason = await read_reason(request)
        again = await self._resending.retry(request.match_info["id"], reason)
        return shapes.answer(shapes.effect(again))
