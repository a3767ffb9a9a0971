"""The audit: who has asked for which change, and what came of it."""

from __future__ import annotations

from aiohttp import web

from covend.web.api import described, shapes
from covend.web.api.query import NUMBER_CURSOR, Query
from covend.web.rooms import Rooms
from covend.web.routes import Route, get


class AuditApi:
    """`/api/v1/audit`."""

    def __init__(self, rooms: Rooms) -> None:
        """Read from the store."""
        self._audit = rooms.audit

    def routes(self) -> tuple[Route, ...]:
        """List what is answered here."""
        return (
            get(
                "/api/v1/audit",
                self.page,
                "list_audit",
                summary="What people have asked to be changed, and what came of it.",
                parameters=(
                    described.text("verb", "Only this change, such as `cancel`."),
                    described.text("target", "Only what was done to this."),
                    described.text("who", "Only what this one has asked for."),
                    described.limit(),
                    described.NUMBER_CURSOR,
                ),
                answers={200: described.items("Audit")},
            ),
        )

    async def page(self, request: web.Request) -> web.Response:
        """List."""
        query = Query(request, "verb", "target", "who", "limit", "cursor")
        items, following = await self._audit.page(
            limit=query.limit(),
            cursor=query.cursor(NUMBER_CURSOR),
            verb=query.text("verb"),
            target=query.text("target"),
            who=query.text("who"),
        )
        return shapes.page(shapes.wish, items, following)
