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
from covend.store.searching import DeliverySearch
from covend.web.api import described, shapes
from covend.web.api.query import NUMBER_CURSOR, Query
from covend.web.api.wishes import read_object
from covend.web.rooms import Rooms
from covend.web.routes import Route, get, post

_FILTERS = (
    described.named("state", "Only deliveries in this state.", DeliveryState),
    described.text("event", "Only this event, without its action."),
    described.text("repository", "Only from this repository, OWNER/NAME."),
    described.text("sender", "Only from this account."),
    described.phrase("search", "In the repository, sender, event or reason, or begins the id."),
    described.moment("since", "Received then or later."),
    described.limit(),
    described.NUMBER_CURSOR,
)
_REPLAY = described.fields(
    rule={"type": ["string", "null"], "description": "This rule alone."},
    dry_run={"type": ["boolean", "null"], "description": "Say what would become of it."},
)


class DeliveriesApi:
    """`/api/v1/deliveries`."""

    def __init__(self, rooms: Rooms) -> None:
        """Read from the store; change by `replaying`."""
        self._deliveries = rooms.deliveries
        self._replaying = rooms.replaying

    def routes(self) -> tuple[Route, ...]:
        """List what is answered here."""
        return (
            get(
                "/api/v1/deliveries",
                self.page,
                "list_deliveries",
                summary="Deliveries, newest first.",
                parameters=_FILTERS,
                answers={200: described.items("Delivery")},
            ),
            get(
                "/api/v1/deliveries/{id}",
                self.one,
                "get_delivery",
                summary="One delivery with all that came with it.",
                answers={200: described.item("WholeDelivery", "The delivery.")},
            ),
            post(
                "/api/v1/deliveries/{id}/replay",
                self.replay,
                "replay_delivery",
                verb="replay",
                summary="Route a delivery once more, by today's rules.",
                body=_REPLAY,
                answers={
                    200: described.item("Replay", "What would become of it."),
                    202: described.item("Replay", "What became of it."),
                    409: described.refusal("It cannot be routed again."),
                },
            ),
        )

    async def page(self, request: web.Request) -> web.Response:
        """List."""
        query = Query(request, *(each.name for each in _FILTERS))
        search = DeliverySearch(
            search=query.phrase("search"),
            sender=query.text("sender"),
            since=query.moment("since"),
        )
        items, following = await self._deliveries.page(
            limit=query.limit(),
            cursor=query.cursor(NUMBER_CURSOR),
            state=query.state(DeliveryState),
            event=query.text("event"),
            repository=query.text("repository"),
            search=None if search == DeliverySearch() else search,
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
    rule, is_dry = given.get("rule"), given.get("dry_run")
    if unknown := given.keys() - {"rule", "dry_run"}:
        raise UserError(f"There is no field {min(unknown)!r} here: there is rule and dry_run.")
    if rule is not None and not isinstance(rule, str):
        raise UserError("rule must be the name of a rule.", name="rule")
    if is_dry is not None and not isinstance(is_dry, bool):
        raise UserError("dry_run must be true or false.", name="dry_run")
    return _Replay(rule, is_dry or False)


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
        "command": shapes.attended(stored.command),
        "headers": stored.headers,
        "verdicts": [shapes.verdict(verdict) for verdict in stored.verdicts],
        "payload": None if isinstance(payload, Refused) else payload,
    }
