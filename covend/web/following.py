"""A followed log as a stream of events: `line` for each that is printed, then `end`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from aiohttp import web

from covend.edges.agents.output import Line
from covend.services.live import Ended, Follower, Live, Printed
from covend.web.streams import Batch, Frame, Streams, last_event_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a reader is given: the data of each line, in their order, and of the end, which is told
    with the number of its attempt.
    """

    line: Callable[[Line], object]
    end: Callable[[Ended, int], object]


async def follow(
    request: web.Request, live: Live, streams: Streams, told: Told, *, offset: int
) -> web.StreamResponse:
    """Answer with what the attempt in the request's path prints, from where its reader left off,
    else from a byte on. Raises NotFoundError, and UserError for an id that is none.
    """
    came_to = last_event_id(request)
    task, number = request.match_info["id"], request.match_info["number"]
    follower = await live.follower(task, number, offset if came_to is None else came_to)
    if (refusal := streams.refusal()) is not None:
        return refusal
    with follower.listening():
        return await streams.send(request, _Feed(follower, told))


class _Feed:
    """See `streams.Feed`."""

    def __init__(self, follower: Follower, told: Told) -> None:
        self._follower = follower
        self._told = told

    async def next(self) -> Batch | None:
        """See `streams.Feed.next`."""
        news = await self._follower.next()
        match news:
            case None:
                return None
            case Printed():
                return Batch(make=partial(self._frames, news))
            case Ended():
                data = self._told.end(news, self._follower.attempt)
                end = Frame(event="end", id=news.next_offset, data=data)
                return Batch(make=lambda: [end], is_last=True)

    def _frames(self, printed: Printed) -> Iterator[Frame]:
        for line in printed.lines:
            yield Frame(event="line", id=line.next_offset, data=self._told.line(line))
