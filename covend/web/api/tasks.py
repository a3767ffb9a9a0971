"""Tasks: lists of them, the whole story of one, its attempts, what their agents print, and the
operator's verbs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial

import orjson
from aiohttp import web

from covend.core.errors import NotFoundError, UserError
from covend.core.sources.submission import read_key, read_submission
from covend.core.states import TaskState
from covend.services.live import Ended, Follower, Printed
from covend.store.protocol import TaskStory
from covend.web.api import shapes
from covend.web.api.explaining import Explaining
from covend.web.api.query import ID_CURSOR, Query
from covend.web.api.wishes import read_object, read_reason, read_wish
from covend.web.rooms import Rooms
from covend.web.routes import Route, get, post
from covend.web.streams import Batch, Frame, Streams, last_event_id

IDEMPOTENCY_KEY = "Idempotency-Key"


class TasksApi:
    """`/api/v1/tasks`."""

    def __init__(self, rooms: Rooms, streams: Streams, explaining: Explaining) -> None:
        """Read from the store and from the logs of attempts; change by `operations`, and take new
        work by `submitting`.
        """
        self._tasks = rooms.tasks
        self._explaining = explaining
        self._live = rooms.live
        self._streams = streams
        self._operations = rooms.operations
        self._submitting = rooms.submitting

    def routes(self) -> tuple[Route, ...]:
        """List what is answered here."""
        one = "/api/v1/tasks/{id}"
        return (
            get("/api/v1/tasks", self.page, "list_tasks"),
            post("/api/v1/tasks", self.submit, "submit_task", verb="submit", target="rule"),
            get(one, self.one, "get_task"),
            get(f"{one}/attempts", self.attempts, "list_attempts"),
            get(f"{one}/attempts/{{number}}/log", self.log, "get_log"),
            post(f"{one}/cancel", self.cancel, "cancel_task", verb="cancel"),
            post(f"{one}/retry", self.retry, "retry_task", verb="retry"),
            post(f"{one}/approve", self.approve, "approve_task", verb="approve"),
        )

    async def page(self, request: web.Request) -> web.Response:
        """List."""
        query = Query(request, "state", "rule", "repository", "limit", "cursor")
        items, following = await self._tasks.page(
            limit=query.limit(),
            cursor=query.cursor(ID_CURSOR),
            state=query.state(TaskState),
            rule=query.text("rule"),
            repository=query.text("repository"),
        )
        return shapes.page(await self._explaining.shaping(items), items, following)

    async def submit(self, request: web.Request) -> web.Response:
        """Take work in: 202 where it is new, 200 where its `Idempotency-Key` has been used for it.

        Either way it answers with the task.
        """
        Query(request)
        keys = request.headers.getall(IDEMPOTENCY_KEY, [])
        if len(keys) > 1:
            raise UserError(f"{IDEMPOTENCY_KEY} may be there once only.", name=IDEMPOTENCY_KEY)
        key = read_key(keys[0] if keys else None)
        asked = read_submission(await read_object(request))
        submitted = await self._submitting.submit(asked, key)
        shape = await self._explaining.shape(submitted.task)
        return shapes.answer(shape, status=200 if submitted.is_repeated else 202)

    async def one(self, request: web.Request) -> web.Response:
        """Give one with its story."""
        Query(request)
        story = await self._story(request)
        return shapes.answer(
            {
                **await self._explaining.shape(story.task),
                "timeline": [shapes.move(move) for move in story.timeline],
                "attempts_list": [shapes.attempt(attempt) for attempt in story.attempts],
                "effects": [shapes.effect(effect) for effect in story.effects],
            }
        )

    async def attempts(self, request: web.Request) -> web.Response:
        """List the attempts of one, newest first."""
        Query(request)
        story = await self._story(request)
        return shapes.page(shapes.attempt, story.attempts[::-1])

    async def log(self, request: web.Request) -> web.StreamResponse:
        """Give what an attempt has printed from `offset` on: a MiB or so of it, or all that comes
        until it has ended with `follow=1`.
        """
        query = Query(request, "offset", "follow")
        place = request.match_info["id"], request.match_info["number"]
        if query.flag("follow"):
            return await self._follow(request, *place, query.offset())
        printed, progress = await self._live.page(*place, query.offset())
        body = await asyncio.to_thread(_page, printed, is_over=progress.outcome is not None)
        return web.Response(body=body, content_type="application/json")

    async def cancel(self, request: web.Request) -> web.Response:
        """Cancel: 200 where that is done, 202 where its attempt is still to end."""
        Query(request)
        cancelled = await self._operations.cancel(
            request.match_info["id"], await read_reason(request)
        )
        is_done = cancelled.state is TaskState.CANCELLED
        shape = await self._explaining.shape(cancelled)
        return shapes.answer(shape, status=200 if is_done else 202)

    async def retry(self, request: web.Request) -> web.Response:
        """Queue once more what has failed or was cancelled."""
        Query(request)
        reason = await read_reason(request)
        retried = await self._operations.retry(request.match_info["id"], reason)
        return shapes.answer(await self._explaining.shape(retried))

    async def approve(self, request: web.Request) -> web.Response:
        """Say yes to what waits for it."""
        Query(request)
        await read_wish(request)
        approved = await self._operations.approve(request.match_info["id"])
        return shapes.answer(await self._explaining.shape(approved))

    async def _follow(
        self, request: web.Request, task: str, number: str, offset: int
    ) -> web.StreamResponse:
        came_to = last_event_id(request)
        follower = await self._live.follower(task, number, offset if came_to is None else came_to)
        if (refusal := self._streams.refusal()) is not None:
            return refusal
        with follower.listening():
            return await self._streams.send(request, _LogFeed(follower))

    async def _story(self, request: web.Request) -> TaskStory:
        identifier = request.match_info["id"]
        story = await self._tasks.story(identifier)
        if story is None:
            raise NotFoundError(f"There is no task {identifier}.", id=identifier)
        return story


class _LogFeed:
    """A followed log as events: `line` for each, then `end`."""

    def __init__(self, follower: Follower) -> None:
        self._follower = follower

    async def next(self) -> Batch | None:
        """See `streams.Feed.next`."""
        news = await self._follower.next()
        match news:
            case None:
                return None
            case Printed():
                return Batch(make=partial(_lines_of, news))
            case Ended():
                data = shapes.ended(news, self._follower.attempt)
                end = Frame(event="end", id=news.next_offset, data=data)
                return Batch(make=lambda: [end], is_last=True)


def _lines_of(printed: Printed) -> Iterator[Frame]:
    for line in printed.lines:
        yield Frame(event="line", id=line.next_offset, data=shapes.line(line))


def _page(printed: Printed, *, is_over: bool) -> bytes:
    """Write a page; its attempt has printed all there is where it was over before the look."""
    items = [shapes.line(line) for line in printed.lines]
    return orjson.dumps(
        {"items": items, "next_offset": printed.next_offset, "attempt_ended": is_over}
    )
