"""Effects: what is on its way to the outside, what arrived there, and what it answered."""

from __future__ import annotations

from aiohttp import web

from covend.core.errors import CovendError, NotFoundError
from covend.core.model import EffectKind
from covend.core.states import EffectState
from covend.core.units import DAY
from covend.web.api.query import ID_CURSOR, Query
from covend.web.dashboard.pages import back, field, refused, render
from covend.web.dashboard.saying import SAID
from covend.web.rooms import Rooms
from covend.web.routes import Route, get, post
from covend.web.visitor import VISITOR

HERE = "/effects"


class EffectsPage:
    """`/effects`."""

    def __init__(self, rooms: Rooms) -> None:
        """Read from the store; change by `resending`."""
        self._rooms = rooms

    def routes(self) -> tuple[Route, ...]:
        """List what is answered here."""
        retry = "/effects/{id}/retry"
        return (
            get(HERE, self.page, "effects_page", is_page=True),
            post(retry, self.retry, "retry_effect_page", verb="retry_effect", is_page=True),
        )

    async def page(self, request: web.Request) -> web.Response:
        """List, newest first, below what the outbox holds."""
        query = Query(request, "state", "kind", "task", "limit", "cursor", SAID)
        items, following = await self._rooms.effects.page(
            limit=query.limit(),
            cursor=query.cursor(ID_CURSOR),
            state=query.state(EffectState),
            task=query.text("task"),
            kind=query.name_of("kind", EffectKind),
        )
        now = self._rooms.clock.now()
        return await render(
            request,
            "effects.html",
            items=items,
            next_cursor=following,
            states=tuple(EffectState),
            kinds=tuple(EffectKind),
            asked=request.query,
            outbox={each.state: each for each in await self._rooms.insight.outbox(now, DAY)},
        )

    async def retry(self, request: web.Request) -> web.Response:
        """Have one that has failed sent once more."""
        reason = await field(request, "reason")
        try:
            again = await self._rooms.resending.retry(
                request.match_info["id"], reason, by=request[VISITOR].name
            )
        except NotFoundError:
            raise
        except CovendError as error:
            return refused(request, HERE, error)
        told = f"The {again.kind} for {again.target} is sent again."
        return back(request, f"{HERE}?task={again.task}" if again.task else HERE, told)
