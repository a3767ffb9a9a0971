"""Agents: what each of them came to, how long it took, what it cost, and what holds it."""

from __future__ import annotations

from aiohttp import web

from covend.core.insight import AgentFigures
from covend.web.api.query import Query
from covend.web.dashboard.pages import render
from covend.web.dashboard.saying import SAID
from covend.web.dashboard.windows import WINDOWS, window_of
from covend.web.rooms import Rooms
from covend.web.routes import Route, get


class AgentsPage:
    """`/agents`."""

    def __init__(self, rooms: Rooms) -> None:
        """Look into `rooms`; what lets an agent go is on the page of safeguards."""
        self._rooms = rooms

    def routes(self) -> tuple[Route, ...]:
        """List what is answered here."""
        return (get("/agents", self.page, "agents_page", is_page=True),)

    async def page(self, request: web.Request) -> web.Response:
        """Show all that are configured, or have done anything in the window."""
        window = window_of(Query(request, "window", SAID))
        now = self._rooms.clock.now()
        figures = {
            each.agent: each for each in await self._rooms.insight.agents(now, WINDOWS[window])
        }
        configured = self._rooms.agents()
        names = sorted({*figures, *configured})
        shown = [figures.get(name) or AgentFigures(agent=name) for name in names]
        return await render(
            request,
            "agents.html",
            items=[(each, configured.get(each.agent)) for each in shown],
            slowest_s=max((each.p95_s or 0.0 for each in shown), default=0.0),
            window=window,
            windows=tuple(WINDOWS),
            spent=await self._rooms.insight.money(now),
            terms=self._rooms.terms(),
        )
