"""The overview: how it goes, what waits and why, and what needs somebody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aiohttp import web

from covend.core.insight import Bucket, Hour
from covend.core.model import Need, Task
from covend.core.safeguards.shapes import Safeguard, SafeguardKind
from covend.core.safeguards.spending import everything
from covend.core.states import EffectState, TaskState
from covend.core.waiting import (
    explain_safeguard,
    explain_waiting,
    is_holding,
    is_over,
    release_command,
)
from covend.web.api.query import Query
from covend.web.dashboard.pages import render
from covend.web.dashboard.saying import SAID
from covend.web.rooms import Rooms
from covend.web.routes import Route, get

LATEST = 10
WAITING = 8
LOOKED_AT = 50
STEP = 40
"""The width of five minutes in the picture of the hour, whose bars are 100 high at most."""
_ENDS = (
    TaskState.COMPLETED,
    TaskState.FAILED,
    TaskState.CANCELLED,
    TaskState.SUPERSEDED,
    TaskState.IGNORED,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A piece of a bar: tasks that ended in one way."""

    kind: str
    x: float
    y: float
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """The last hour: what ended, as bars; what came in, as a line."""

    blocks: tuple[Block, ...]
    line: str
    """The points of the line, as SVG takes them."""
    marks: tuple[tuple[Bucket, int, str], ...]
    """Five minutes, where they stand, and in words what was in them."""
    deliveries: int
    ended: Mapping[str, int]
    top: int
    is_cut: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A safeguard that holds, in words."""

    guard: Safeguard
    told: str
    release: str


class OverviewPage:
    """`/`."""

    def __init__(self, rooms: Rooms) -> None:
        """Look into `rooms`."""
        self._rooms = rooms

    def routes(self) -> tuple[Route, ...]:
        """List what is answered here."""
        return (get("/", self.page, "overview_page", is_page=True),)

    async def page(self, request: web.Request) -> web.Response:
        """Show it."""
        Query(request, SAID)
        rooms, now = self._rooms, self._rooms.clock.now()
        guards = [each for each in await rooms.guards.list() if not is_over(each, now)]
        received = await self._newest(TaskState.RECEIVED)
        queued = await self._newest(TaskState.QUEUED)
        waiting = [*received, *queued]
        failed, more_failed = await rooms.effects.page(limit=LATEST, state=EffectState.FAILED)
        return await render(
            request,
            "overview.html",
            gauges=await rooms.upkeep.gauges(now),
            terms=rooms.terms(),
            spent=await rooms.upkeep.spent(everything(now)),
            quota=rooms.quota(),
            picture=draw(await rooms.insight.last_hour(now)),
            latest=(await rooms.tasks.page(limit=LATEST))[0],
            waiting=[(task, explain_waiting(task, now, guards)) for task in waiting[:WAITING]],
            waiting_more=len(waiting) > WAITING,
            to_approve=[task for task in received if _waits_for_somebody(task)],
            failed_effects=failed,
            more_failed=more_failed is not None,
            held=[_in_words(each) for each in guards if is_holding(each)],
            blocked=[each for each in guards if _is_blocked(each)],
        )

    async def _newest(self, state: TaskState) -> Sequence[Task]:
        return (await self._rooms.tasks.page(limit=LOOKED_AT, state=state))[0]


def draw(hour: Hour) -> Picture:
    """Lay the hour out: both scales are one, so that what came can be held against what ended."""
    sums = [sum(bucket.ended.get(end, 0) for end in _ENDS) for bucket in hour.buckets]
    top = max(1, *sums, *(bucket.deliveries for bucket in hour.buckets))
    blocks = [
        block for place, bucket in enumerate(hour.buckets) for block in _bar(place, bucket, top)
    ]
    points = [
        f"{place * STEP + STEP / 2:g},{100 - bucket.deliveries * 100 / top:g}"
        for place, bucket in enumerate(hour.buckets)
    ]
    ended = {end: sum(bucket.ended.get(end, 0) for bucket in hour.buckets) for end in _ENDS}
    return Picture(
        blocks=tuple(blocks),
        line=" ".join(points),
        marks=tuple(
            (bucket, place * STEP, _words(bucket)) for place, bucket in enumerate(hour.buckets)
        ),
        deliveries=sum(bucket.deliveries for bucket in hour.buckets),
        ended={end: count for end, count in ended.items() if count},
        top=top,
        is_cut=hour.is_cut,
    )


def _bar(place: int, bucket: Bucket, top: int) -> list[Block]:
    blocks, y = [], 100.0
    for end in _ENDS:
        if count := bucket.ended.get(end, 0):
            height = count * 100 / top
            y -= height
            blocks.append(Block(kind=end, x=place * STEP + 7, y=round(y, 2), height=height))
    return blocks


def _words(bucket: Bucket) -> str:
    parts = [f"{bucket.deliveries} came in"]
    parts += [f"{bucket.ended[end]} {end}" for end in _ENDS if bucket.ended.get(end)]
    return ", ".join(parts)


def _waits_for_somebody(task: Task) -> bool:
    return Need.APPROVAL in task.needs and task.approved_at is None


def _is_blocked(guard: Safeguard) -> bool:
    return guard.kind is SafeguardKind.LOOP and is_holding(guard)


def _in_words(guard: Safeguard) -> Held:
    return Held(guard=guard, told=explain_safeguard(guard), release=release_command(guard))
