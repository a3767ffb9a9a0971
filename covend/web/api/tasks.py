"""Tasks: lists of them, the whole story of one, its attempts, what their agents print, and the
operator's verbs.
"""

from __future__ import annotations

import asyncio

import orjson
from aiohttp import web

from covend.core.errors import NotFoundError, UserError
from covend.core.sources.submission import KEY_MAX, read_key, read_submission
from covend.core.states import TaskState
from covend.services.live import Printed
from covend.store.protocol import TaskStory
from covend.store.searching import TaskSearch
from covend.web.api import described, schemas, shapes
from covend.web.api.explaining import Explaining
from covend.web.api.query import ID_CURSOR, SUBJECT, Query
from covend.web.api.wishes import read_object, read_reason, read_wish
from covend.web.following import Told, follow
from covend.web.rooms import Rooms
from covend.web.routes import Parameter, Route, get, post
from covend.web.streams import LAST_EVENT_ID, Streams

IDEMPOTENCY_KEY = "Idempotency-Key"
_ALL = "/api/v1/tasks"
_ONE = f"{_ALL}/{{id}}"
_AMBIGUOUS = described.refusal("The id is the beginning of several.")
_FILTERS = (
    described.named("state", "Only tasks in this state.", TaskState),
    described.text("rule", "Only this rule's."),
    described.text("repository", "Only in this repository, OWNER/NAME."),
    described.text("agent", "Only this agent's."),
    Parameter(
        name="subject",
        schema={"type": "string", "pattern": f"^{SUBJECT}$"},
        about="Only on this pull request or issue, OWNER/NAME#NUMBER.",
    ),
    described.phrase("search", "In the title, repository, rule or key, or begins the id."),
    described.moment("since", "Made then or later."),
    described.moment("until", "Made before."),
    described.limit(),
    described.ID_CURSOR,
)
_OF_LOGS = (
    Parameter(name="offset", schema=schemas.COUNT, about="The byte to begin with."),
    described.flag("follow", "1 follows it as server-sent events, to the end of the attempt."),
    Parameter(
        name=LAST_EVENT_ID,
        schema={"type": "string", "pattern": "^([0-9]{1,18})?$"},
        about="Where a reader that comes back goes on.",
        place="header",
    ),
)
_KEY = Parameter(
    name=IDEMPOTENCY_KEY,
    schema={"type": "string", "pattern": f"^[ -~]{{1,{KEY_MAX}}}$"},
    about="The same key and body give the same task.",
    place="header",
)
_SUBMISSION = {
    **described.fields(
        rule={"type": "string", "minLength": 1, "maxLength": 255},
        repository={"type": "string", "pattern": "^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$"},
        number={"type": ["integer", "null"], "minimum": 1},
        head_sha={"type": ["string", "null"], "pattern": "^([0-9a-fA-F]{40}|[0-9a-fA-F]{64})$"},
        inputs={
            "type": ["object", "null"],
            "additionalProperties": {"type": ["string", "number", "boolean", "null"]},
        },
    ),
    "required": ["rule", "repository"],
}
FOLLOWED = Told(line=shapes.line, end=shapes.ended)


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
        return (*self._looks(), *self._changes())

    def _looks(self) -> tuple[Route, ...]:
        return (
            get(
                _ALL,
                self.page,
                "list_tasks",
                summary="Tasks, newest first.",
                parameters=_FILTERS,
                answers={200: described.items("Task")},
            ),
            get(
                _ONE,
                self.one,
                "get_task",
                summary="One task with its story; the beginning of an id is enough.",
                answers={200: described.item("WholeTask", "The task."), 409: _AMBIGUOUS},
            ),
            get(
                f"{_ONE}/attempts",
                self.attempts,
                "list_attempts",
                summary="The attempts at a task, newest first.",
                answers={200: described.items("Attempt"), 409: _AMBIGUOUS},
            ),
            get(
                f"{_ONE}/attempts/{{number}}/log",
                self.log,
                "get_log",
                summary="What an attempt has printed; with `follow=1` as server-sent events.",
                parameters=_OF_LOGS,
                answers={200: described.item("Log", "A MiB or so of it."), 409: _AMBIGUOUS},
            ),
        )

    def _changes(self) -> tuple[Route, ...]:
        task = described.item("Task", "The task as it is then.")
        conflict = described.refusal("Its state does not allow it, or the id fits several.")
        ends = described.item("Task", "Its attempt is still to end.")
        return (
            post(
                _ALL,
                self.submit,
                "submit_task",
                verb="submit",
                target="rule",
                summary="Submit work for a rule.",
                parameters=(_KEY,),
                body=_SUBMISSION,
                answers={
                    200: described.item("Task", "The task that its key was used for before."),
                    202: described.item("Task", "The new task, or the one that is the same work."),
                    409: described.refusal("Its key was used for another body."),
                    502: described.refusal("GitHub does not tell what is needed."),
                },
            ),
            post(
                f"{_ONE}/cancel",
                self.cancel,
                "cancel_task",
                verb="cancel",
                summary="Cancel a task.",
                body=described.WHY,
                answers={200: task, 202: ends, 409: conflict},
            ),
            post(
                f"{_ONE}/retry",
                self.retry,
                "retry_task",
                verb="retry",
                summary="Queue once more what has failed or was cancelled.",
                body=described.WHY,
                answers={200: task, 409: conflict},
            ),
            post(
                f"{_ONE}/approve",
                self.approve,
                "approve_task",
                verb="approve",
                summary="Let a task run that waits for somebody's yes.",
                body=described.fields(),
                answers={200: task, 409: conflict},
            ),
        )

    async def page(self, request: web.Request) -> web.Response:
        """List."""
        query = Query(request, *(each.name for each in _FILTERS))
        search = TaskSearch(
            search=query.phrase("search"),
            agent=query.text("agent"),
            subject=query.subject("subject"),
            since=query.moment("since"),
            until=query.moment("until"),
        )
        items, following = await self._tasks.page(
            limit=query.limit(),
            cursor=query.cursor(ID_CURSOR),
            state=query.state(TaskState),
            rule=query.text("rule"),
            repository=query.text("repository"),
            search=None if search == TaskSearch() else search,
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
        offset = query.offset()
        if query.flag("follow"):
            return await follow(request, self._live, self._streams, FOLLOWED, offset=offset)
        task, number = request.match_info["id"], request.match_info["number"]
        printed, progress = await self._live.page(task, number, offset)
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

    async def _story(self, request: web.Request) -> TaskStory:
        identifier = request.match_info["id"]
        story = await self._tasks.story(identifier)
        if story is None:
            raise NotFoundError(f"There is no task {identifier}.", id=identifier)
        return story


def _page(printed: Printed, *, is_over: bool) -> bytes:
    """Write a page; its attempt has printed all there is where it was over before the look."""
    items = [shapes.line(line) for line in printed.lines]
    return orjson.dumps(
        {"items": items, "next_offset": printed.next_offset, "attempt_ended": is_over}
    )
