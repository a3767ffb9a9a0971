"""Every page of the dashboard in one list."""

from __future__ import annotations

from collections.abc import Iterator

from aiohttp import web

from covend.web.dashboard.agents import AgentsPage
from covend.web.dashboard.assets import Assets
from covend.web.dashboard.audit import AuditPage
from covend.web.dashboard.deliveries import DeliveriesPages
from covend.web.dashboard.doctor import DoctorPage
from covend.web.dashboard.effects import EffectsPage
from covend.web.dashboard.login import LoginPages
from covend.web.dashboard.overview import OverviewPage
from covend.web.dashboard.pages import FRAME, Frame
from covend.web.dashboard.rules import RulesPage
from covend.web.dashboard.safeguards import SafeguardsPage
from covend.web.dashboard.saying import Sayings
from covend.web.dashboard.task import TaskPages
from covend.web.dashboard.tasks import TasksPages
from covend.web.rooms import Rooms
from covend.web.routes import Route
from covend.web.streams import Streams
from covend.web.visitor import Visitors


class Dashboard:
    """All pages, over the rooms that they show."""

    def __init__(self, rooms: Rooms, *, visitors: Visitors, streams: Streams) -> None:
        """Let in whom `visitors` knows."""
        self._rooms = rooms
        self._visitors = visitors
        self._streams = streams

    def furnish(self, app: web.Application) -> None:
        """Put into the application what every page needs."""
        app[FRAME] = Frame(rooms=self._rooms, sayings=Sayings())

    def routes(self) -> Iterator[Route]:
        """List what is answered here."""
        yield from Assets().routes()
        yield from LoginPages(visitors=self._visitors, clock=self._rooms.clock).routes()
        yield from OverviewPage(self._rooms).routes()
        yield from TasksPages(self._rooms).routes()
        yield from TaskPages(self._rooms, self._streams).routes()
        yield from DeliveriesPages(self._rooms).routes()
        yield from EffectsPage(self._rooms).routes()
        yield from AgentsPage(self._rooms).routes()
        yield from SafeguardsPage(self._rooms).routes()
        yield from RulesPage(self._rooms).routes()
        yield from DoctorPage(self._rooms).routes()
        yield from AuditPage(self._rooms).routes()
