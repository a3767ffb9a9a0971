"""What happens in the whole daemon, as server-sent events: moves of tasks, and deliveries.

An id says how far both have come, so a reader that comes back misses nothing that is still kept.
Effects are no part of it: they change without a number, so nobody could come back to them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial

import anyio
from aiohttp import web

from covend.store.happenings import Arrived, Moved, Place
from covend.store.protocol import Happenings
from covend.web.api import described, shapes
from covend.web.api.query import Query
from covend.web.rooms import Rooms
from covend.web.routes import Answer, Parameter, Route, get
from covend.web.streams import LAST_EVENT_ID, Batch, Frame, Streams, last_event

LOOK_EVERY_S = 1.0
"""So often a follower looks; a look at nothing new is two steps in two indexes."""
AT_ONCE = 200
"""So many of each kind are sent at once."""
MOVE, DELIVERY = "move", "delivery"
KINDS = (DELIVERY, MOVE)
_ID = re.compile(r"([0-9]{1,18})-([0-9]{1,18})", re.ASCII)
_KINDS = ",".join(KINDS)


class EventsApi:
    """`/api/v1/events`."""

    def __init__(self, rooms: Rooms, streams: Streams) -> None:
        """Read from the store, as one of `streams`."""
        self._happenings = rooms.happenings
        self._streams = streams

    def routes(self) -> tuple[Route, ...]:
        """List what is answered here."""
        follow = described.flag("follow", "0 ends the stream with what has happened by now.")
        kinds = described.text("kinds", f"Only these, with commas between them: {_KINDS}.")
        came_to = {"type": "string", "pattern": f"^({_ID.pattern})?$"}
        return (
            get(
                "/api/v1/events",
                self.follow,
                "follow_events",
                summary="What happens from now on, or since `Last-Event-ID`, as it happens.",
                parameters=(
                    kinds,
                    Parameter(
                        name=follow.name, schema={**follow.schema, "default": 1}, about=follow.about
                    ),
                    Parameter(
                        name=LAST_EVENT_ID,
                        schema=came_to,
                        about="The last id that was seen.",
                        place="header",
                    ),
                ),
                answers={
                    200: Answer(
                        about="`delivery` and `move`, each with its data as JSON.",
                        content_type="text/event-stream",
                    )
                },
            ),
        )

    async def follow(self, request: web.Request) -> web.StreamResponse:
        """Follow."""
        query = Query(request, "kinds", "follow")
        kinds = query.names_of("kinds", KINDS)
        is_following = query.flag("follow", default=True)
        came_to = last_event(request, _ID)
        place = await self._happenings.newest()
        if came_to is not None:
            place = Place(move=int(came_to[1]), delivery=int(came_to[2]))
        # Last, with nothing waited for until it is counted: many may come at the same moment.
        if (refusal := self._streams.refusal()) is not None:
            return refusal
        feed = _Feed(self._happenings, place, kinds, is_following=is_following)
        return await self._streams.send(request, feed)


class _Feed:
    """One reader's events; belongs to one task of the event loop."""

    def __init__(
        self, happenings: Happenings, place: Place, kinds: frozenset[str], *, is_following: bool
    ) -> None:
        self._happenings = happenings
        self._place = place
        self._kinds = kinds
        self._is_following = is_following

    async def next(self) -> Batch | None:
        """See `streams.Feed.next`."""
        place, newest = self._place, await self._happenings.newest()
        if place == newest:
            if not self._is_following:
                return Batch(make=tuple, is_last=True)
            await anyio.sleep(LOOK_EVERY_S)
            return None
        arrived, moved = await self._read(place)
        self._place = Place(
            move=moved[-1].number
            if moved
            else self._passed(MOVE, arrived, place.move, newest.move),
            delivery=arrived[-1].number
            if arrived
            else self._passed(DELIVERY, (), place.delivery, newest.delivery),
        )
        return Batch(make=partial(_frames, place, arrived, moved)) if arrived or moved else None

    async def _read(self, place: Place) -> tuple[Sequence[Arrived], Sequence[Moved]]:
        """Read what comes next: a delivery before the moves of its tasks."""
        arrived: Sequence[Arrived] = ()
        moved: Sequence[Moved] = ()
        if DELIVERY in self._kinds:
            arrived = await self._happenings.deliveries(place.delivery, limit=AT_ONCE)
        if MOVE in self._kinds and len(arrived) < AT_ONCE:
            moved = await self._happenings.moves(place.move, limit=AT_ONCE)
        return arrived, moved

    def _passed(self, kind: str, first: Sequence[Arrived], place: int, newest: int) -> int:
        """Say where a kind of which nothing was sent goes on: behind what nobody wants to have, and
        before a number that is given again because what had it was deleted.
        """
        return place if kind in self._kinds and len(first) == AT_ONCE else newest


def _frames(place: Place, arrived: Sequence[Arrived], moved: Sequence[Moved]) -> Iterator[Frame]:
    for one in arrived:
        came_to = f"{place.move}-{one.number}"
        yield Frame(event=DELIVERY, id=came_to, data=shapes.arrived(one))
    delivery = arrived[-1].number if arrived else place.delivery
    for each in moved:
        yield Frame(event=MOVE, id=f"{each.number}-{delivery}", data=shapes.moved(each))
