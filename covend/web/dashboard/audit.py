"""The audit: who has asked for which change, from where, and what came of it."""

from __future__ import annotations

from aiohttp import web

from covend.web.api.query import NUMBER_CURSOR, Query
from covend.web.dashboard.pages import render
from covend.web.dashboard.saying import SAID
from covend.web.rooms import Rooms
from covend.web.routes import TABLE, Route, get


class AuditPage:
    """`/audit`."""

    def __init__(self, rooms: Rooms) -> None:
        """Read from the store."""
        self._rooms = rooms

    def routes(self) -> tuple[Route, ...]:
        """List what is answered here."""
        return (get("/audit", self.page, "audit_page", is_page=True),)

    async def page(self, request: web.Request) -> web.Response:
        """List, newest first."""
        query = Query(request, "verb", "target", "limit", "cursor", SAID)
        items, following = await self._rooms.audit.page(
            limit=query.limit(),
            cursor=query.cursor(NUMBER_CURSOR),
            verb=query.text("verb"),
            target=query.text("target"),
        )
        verbs = {route.verb for route in request.app[TABLE].values() if route.verb is not None}
        return await render(
            request,
            "audit.html",
            items=items,
            next_cursor=following,
            verbs=sorted(verbs),
            asked=request.query,
        )
