"""Effects: lists of what covend has written, or is yet to write, to the outside."""

from __future__ import annotations

from aiohttp import web

from covend.core.states import EffectState
from covend.store.protocol import Effects
from covend.web.api import shapes
from covend.web.api.query import ID_CURSOR, Query


class EffectsApi:
    """`/api/v1/effects`."""

    def __init__(self, effects: Effects) -> None:
        """Read from the store."""
        self._effects = effects

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
