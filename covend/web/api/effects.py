"""Effects: lists of what covend has written, or is yet to write, to the outside; and one more try
for what has failed.
"""

from __future__ import annotations

from aiohttp import web

from covend.core.states import EffectState
from covend.services.resending import Resending
from covend.store.protocol import Effects
from covend.web.api import shapes
from covend.web.api.query import ID_CURSOR, Query
from covend.web.api.wishes import read_reason


class EffectsApi:
    """`/api/v1/effects`."""

    def __init__(self, *, effects: Effects, resending: Resending) -> None:
        """Read from the store; change by `resending`."""
        self._effects = effects
        self._resending = resending

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
