"""Effects: lists of what covend has written, or is yet to write, to the outside; and one more try
for what has failed.
"""

from __future__ import annotations

from aiohttp import web

from covend.core.model import EffectKind
from covend.core.states import EffectState
from covend.web.api import described, shapes
from covend.web.api.query import ID_CURSOR, Query
from covend.web.api.wishes import read_reason
from covend.web.rooms import Rooms
from covend.web.routes import Route, get, post

_FILTERS = (
    described.named("state", "Only effects in this state.", EffectState),
    described.named("kind", "Only effects of this kind.", EffectKind),
    described.text("task", "Only this task's."),
    described.limit(),
    described.ID_CURSOR,
)


class EffectsApi:
    """`/api/v1/effects`."""

    def __init__(self, rooms: Rooms) -> None:
        """Read from the store; change by `resending`."""
        self._effects = rooms.effects
        self._resending = rooms.resending

    def routes(self) -> tuple[Route, ...]:
        """List what is answered here."""
        return (
            get(
                "/api/v1/effects",
                self.page,
                "list_effects",
                summary="What was written, or is to be, to the outside, newest first.",
                parameters=_FILTERS,
                answers={200: described.items("Effect")},
            ),
            post(
                "/api/v1/effects/{id}/retry",
                self.retry,
                "retry_effect",
                verb="retry_effect",
                summary="Send once more what has failed.",
                body=described.WHY,
                answers={
                    200: described.item("Effect", "The effect, pending."),
                    409: described.refusal(
                        "It has not failed, or something newer is in its place."
                    ),
                },
            ),
        )

    async def page(self, request: web.Request) -> web.Response:
        """List."""
        query = Query(request, *(each.name for each in _FILTERS))
        items, following = await self._effects.page(
            limit=query.limit(),
            cursor=query.cursor(ID_CURSOR),
            state=query.state(EffectState),
            task=query.text("task"),
            kind=query.name_of("kind", EffectKind),
        )
        return shapes.page(shapes.effect, items, following)

    async def retry(self, request: web.Request) -> web.Response:
        """Have sent once more what has failed."""
        Query(request)
        reason = await read_reason(request)
        again = await self._resending.retry(request.match_info["id"], reason)
        return shapes.answer(shapes.effect(again))
