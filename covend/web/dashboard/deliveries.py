"""Deliveries: the list, one with all that came with it, its payload as a file, and its replay."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass

import orjson
from aiohttp import hdrs, web

from covend.core.errors import ConflictError, CovendError, NotFoundError, UserError
from covend.core.model import DeliveryId, Task
from covend.core.sources.request import Refused, text_of
from covend.core.states import DeliveryState
from covend.store.protocol import Accepted, Foreseen, StoredDelivery
from covend.store.searching import DeliverySearch
from covend.web.api.query import NUMBER_CURSOR, Query
from covend.web.dashboard.filters import segment
from covend.web.dashboard.pages import back, field, refused, render
from covend.web.dashboard.saying import SAID
from covend.web.rooms import Rooms
from covend.web.routes import Route, get, post

SHOWN_MAX = 64 << 10
"""Bytes of a payload that a page shows; the rest is in the file."""
PRETTY_MAX = 1 << 20
"""A larger payload is shown as it came, not written anew."""
TASKS_MAX = 20
_HARMLESS_NAME = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """A payload as it is shown."""

    text: str
    size: int
    is_cut: bool


class DeliveriesPages:
    """`/deliveries` and what lies below."""

    def __init__(self, rooms: Rooms) -> None:
        """Read from the store; change by `replaying`."""
        self._rooms = rooms

    def routes(self) -> tuple[Route, ...]:
        """List what is answered here."""
        one = "/deliveries/{id}"
        replay = f"{one}/replay"
        return (
            get("/deliveries", self.page, "deliveries_page", is_page=True),
            get(one, self.one, "delivery_page", is_page=True),
            get(f"{one}/payload.json", self.payload, "payload_page", is_page=True),
            get(replay, self.foresee, "foresee_page", is_page=True),
            post(replay, self.replay, "replay_delivery_page", verb="replay", is_page=True),
        )

    async def page(self, request: web.Request) -> web.Response:
        """List, newest first."""
        query = Query(
            request, "state", "event", "repository", "sender", "search", "limit", "cursor", SAID
        )
        search, sender = query.phrase("search"), query.phrase("sender")
        is_searched = search is not None or sender is not None
        items, following = await self._rooms.deliveries.page(
            limit=query.limit(),
            cursor=query.cursor(NUMBER_CURSOR),
            state=query.state(DeliveryState),
            event=query.text("event"),
            repository=query.text("repository"),
            search=DeliverySearch(search=search, sender=sender) if is_searched else None,
        )
        return await render(
            request,
            "deliveries.html",
            items=items,
            next_cursor=following,
            states=tuple(DeliveryState),
            asked=request.query,
            looks=self._rooms.reconciler.looks()[:1],
        )

    async def one(self, request: web.Request) -> web.Response:
        """Show one with its verdicts, its tasks, its headers and its payload."""
        Query(request, SAID)
        stored = await self._find(request)
        try:
            explanation = await self._rooms.explaining.of_delivery(stored.delivery.id)
        except (ConflictError, UserError):
            explanation = None  # it cannot be read any more; the page shows what was said then
        return await render(
            request,
            "delivery.html",
            delivery=stored.delivery,
            explanation=explanation,
            verdicts=stored.verdicts,
            headers=sorted(stored.headers.items()),
            payload=await asyncio.to_thread(_shown, stored),
            tasks=await self._tasks(stored.delivery.tasks[:TASKS_MAX]),
            rules=[rule.name for rule in self._rooms.rules()],
        )

    async def payload(self, request: web.Request) -> web.Response:
        """Give the payload as a file, which no browser shows within our pages."""
        stored = await self._find(request)
        name = _HARMLESS_NAME.sub("-", stored.delivery.id)
        return web.Response(
            body=_text(stored),
            content_type="application/json",
            headers={hdrs.CONTENT_DISPOSITION: f'attachment; filename="delivery-{name}.json"'},
        )

    async def foresee(self, request: web.Request) -> web.Response:
        """Show what a replay would come to now; nothing is kept."""
        query = Query(request, "rule")
        stored = await self._find(request)
        rule = query.text("rule")
        replayed = await self._rooms.replaying.foresee(stored.delivery.id, rule=rule)
        assert isinstance(replayed.came_to, Foreseen)
        return await render(
            request,
            "replay.html",
            delivery=stored.delivery,
            rule=rule,
            verdicts=replayed.verdicts,
            foreseen=replayed.came_to,
        )

    async def replay(self, request: web.Request) -> web.Response:
        """Route it once more, as a new delivery, and show that one."""
        identifier = request.match_info["id"]
        here = f"/deliveries/{segment(identifier)}"
        rule = await field(request, "rule") or None
        try:
            replayed = await self._rooms.replaying.replay(identifier, rule=rule)
        except NotFoundError:
            raise
        except CovendError as error:
            return refused(request, here, error)
        came_to = replayed.came_to
        assert isinstance(came_to, Accepted)
        count = len(came_to.tasks)
        tasks = {0: "asks for no task", 1: "asks for 1 task"}.get(count, f"asks for {count} tasks")
        told = f"Replayed: this is the new delivery; it is {came_to.state} and {tasks}."
        return back(request, f"/deliveries/{segment(came_to.delivery)}", told)

    async def _find(self, request: web.Request) -> StoredDelivery:
        identifier = request.match_info["id"]
        stored = await self._rooms.deliveries.find(DeliveryId(identifier))
        if stored is None:
            raise NotFoundError(f"There is no delivery {identifier}.", id=identifier)
        return stored

    async def _tasks(self, ids: Sequence[str]) -> list[Task]:
        stories = [await self._rooms.tasks.story(each) for each in ids]
        return [story.task for story in stories if story is not None]


def _text(stored: StoredDelivery) -> bytes:
    """Give what is said, out of whatever wrapping it came in."""
    text = text_of(stored.headers, stored.body)
    return stored.body if isinstance(text, Refused) else text


def _shown(stored: StoredDelivery) -> Payload:
    """Write it for people; what cannot be read is shown as it is."""
    text = pretty = _text(stored)
    if len(text) <= PRETTY_MAX:
        try:
            pretty = orjson.dumps(orjson.loads(text), option=orjson.OPT_INDENT_2)
        except ValueError:
            pretty = text
    shown = pretty[:SHOWN_MAX].decode("utf-8", "replace")
    return Payload(text=shown, size=len(text), is_cut=len(pretty) > SHOWN_MAX)
