"""Deliveries: lists of them, and one with all that came with it and what each rule said of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from aiohttp import web

from covend.core.errors import NotFoundError, UserError
from covend.core.model import DeliveryId, TaskId
from covend.core.sources.request import Refused, parse_object, text_of
from covend.core.states import DeliveryState
from covend.services.replaying import Replayed
from covend.store.protocol import Accepted, Foreseen, StoredDelivery
from covend.web.api import shapes
from covend.web.api.query import NUMBER_CURSOR, Query
from covend.web.api.wishes import read_object
from covend.web.rooms import Rooms
from covend.web.routes import Route, get, post


class DeliveriesApi:
    """`/api/v1/deliveries`."""

    def __init__(self, rooms: Rooms) -> None:
        """Read from the store; change by `replaying`."""
        self._deliveries = rooms.deliveries
        self._replaying = rooms.replaying

    def routes(self) -> tuple[Route, ...]:
        """List what is answered here."""
        return (
            get("/api/v1/deliveries", self.page, "list_deliveries"),
            get("/api/v1/deliveries/{id}", self.one, "get_delivery"),
            post("/api/v1/deliveries/{id}/replay", self.replay, "replay_delivery", verb="replay"),
        )

    async def page(self, request: web.Request) -> web.Response:
        """List."""
        query = Query(request, "state", "event", "repository", "limit", "cursor")
        items, following = await self._deliveries.page(
            limit=query.limit(),
            cursor=query.cursor(NUMBER_CURSOR),
            state=query.state(DeliveryState),
            event=query.text("event"),
            repository=query.text("repository"),
        )
        return shapes.page(shapes.delivery, items, following)

    async def one(self, request: web.Request) -> web.Response:
        """Give one."""
        Query(request)
        identifier = request.match_info["id"]
        stored = await self._deliveries.find(DeliveryId(identifier))
        if stored is None:
            raise NotFoundError(f"There is no delivery {identifier}.", id=identifier)
        return shapes.answer(_whole(stored))

    async def replay(self, request: web.Request) -> web.Response:
        """Route one once more: 202 where that is kept, 200 where it is only foreseen."""
        Query(request)
        wish = _read_replay(await read_object(request))
        do = self._replaying.foresee if wish.is_dry else self._replaying.replay
        replayed = await do(request.match_info["id"], rule=wish.rule)
        return shapes.answer(_replayed(replayed), status=200 if wish.is_dry else 202)


class _Replay(NamedTuple):
    """What a replay is asked for."""

    rule: str | None
    is_dry: bool


def _read_replay(given: Mapping[str, object]) -> _Replay:
    rule, is_dry = given.get("rule"), given.get("dry_run") or False
    if unknown := given.keys() - {"rule", "dry_run"}:
        raise UserError(f"There is no field {min(unknown)!r} here: there is rule and dry_run.")
    if rule is not None and not isinstance(rule, str):
        raise UserError("rule must be the name of a rule.", name="rule")
    if not isinstance(is_dry, bool):
        raise UserError("dry_run must be true or false.", name="dry_run")
    return _Replay(rule, is_dry)


def _replayed(replayed: Replayed) -> shapes.Shape:
    came_to = replayed.came_to
    is_kept = isinstance(came_to, Accepted)
    return {
        "replayed": replayed.delivery,
        "dry_run": not is_kept,
        "delivery": came_to.delivery if isinstance(came_to, Accepted) else None,
        "state": came_to.state,
        "reason": came_to.reason,
        "tasks": came_to.tasks if isinstance(came_to, Accepted) else _there(came_to),
        "verdicts": [shapes.verdict(verdict) for verdict in replayed.verdicts],
        **({} if isinstance(came_to, Accepted) else _foreseen(came_to)),
    }


def _there(foreseen: Foreseen) -> list[TaskId]:
    return [meeting.task for meeting in foreseen.meetings if meeting.task is not None]


def _foreseen(foreseen: Foreseen) -> shapes.Shape:
    return {
        "has_room": foreseen.has_room,
        "meets": [shapes.meeting(meeting) for meeting in foreseen.meetings],
    }


def _whole(stored: StoredDelivery) -> shapes.Shape:
    text = text_of(stored.headers, stored.body)
    payload = text if isinstance(text, Refused) else parse_object(text)
    return {
        **shapes.delivery(stored.delivery),
        "headers": stored.headers,
        "verdicts": [shapes.verdict(verdict) for verdict in stored.verdicts],
        "payload": None if isinstance(payload, Refused) else payload,
    }
