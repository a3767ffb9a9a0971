"""Tasks: lists of them, the whole story of one, its attempts and what their agents have printed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import orjson
from aiohttp import web

from covend.core.errors import NotFoundError
from covend.core.states import TaskState
from covend.edges.agents.output import Stream, read_log
from covend.store.protocol import Tasks, TaskStory
from covend.web.api import shapes
from covend.web.api.query import ID_CURSOR, Query

NEXT_OFFSET = "Covend-Next-Offset"
"""The header that says where the log goes on; with nothing new, the offset that was asked for."""

_STREAMS = {Stream.OUT: "stdout", Stream.ERROR: "stderr", Stream.MARK: "covend"}


class TasksApi:
    """`/api/v1/tasks`."""

    def __init__(self, tasks: Tasks, logs: Path) -> None:
        """Read from the store, and from the folder in which attempts have their logs."""
        self._tasks = tasks
        self._logs = logs

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
        return shapes.page(shapes.task, items, following)

    async def one(self, request: web.Request) -> web.Response:
        """Give one with its story."""
        Query(request)
        story = await self._story(request)
        return shapes.answer(
            {
                **shapes.task(story.task),
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

    async def log(self, request: web.Request) -> web.Response:
        """Give what an attempt has printed from `offset` on, a MiB or so, a JSON object a line."""
        offset = Query(request, "offset").offset()
        story = await self._story(request)
        number = request.match_info["number"]
        if not any(str(attempt.number) == number for attempt in story.attempts):
            raise NotFoundError(f"Task {story.task.id} has no attempt {number}.", id=story.task.id)
        path = self._logs / f"{story.task.id}-{number}.jsonl"
        lines, following = await asyncio.to_thread(read_log, path, offset)
        return web.Response(
            body=b"".join(_lines(lines)),
            content_type="application/x-ndjson",
            headers={NEXT_OFFSET: str(following)},
        )

    async def _story(self, request: web.Request) -> TaskStory:
        identifier = request.match_info["id"]
        story = await self._tasks.story(identifier)
        if story is None:
            raise NotFoundError(f"There is no task {identifier}.", id=identifier)
        return story


def _lines(log: bytes) -> Iterator[bytes]:
    """Pass over what is no whole line: a full disk, or an offset in the middle of one."""
    for line in log.splitlines():
        try:
            at, stream, text = orjson.loads(line)
            shape = {"at": shapes.moment(at), "stream": _STREAMS[stream], "text": text}
        except (ValueError, TypeError, KeyError):
            continue
        yield orjson.dumps(shape, option=orjson.OPT_APPEND_NEWLINE)
