"""One task: its story from the delivery to the last effect, and what can be done to it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from aiohttp import web

from covend.core.errors import CovendError, NotFoundError, StoreError
from covend.core.model import Attempt, Effect, EffectKind, Need, Task
from covend.core.settings import Policy
from covend.core.sources.request import Refused, parse_object, text_of
from covend.core.states import OPEN_TASK, TaskState
from covend.core.waiting import explain_waiting
from covend.store.protocol import StoredDelivery, TaskStory
from covend.web.api.query import Query
from covend.web.dashboard.axis import axis_of
from covend.web.dashboard.logs import TAIL_BYTES, Shown, ShownLine, show
from covend.web.dashboard.pages import back, refused, render
from covend.web.dashboard.saying import SAID
from covend.web.dashboard.tasks import read_reason
from covend.web.following import Told, follow
from covend.web.rooms import Rooms
from covend.web.routes import Route, get, post
from covend.web.streams import Streams

RETRIABLE = frozenset({TaskState.FAILED, TaskState.CANCELLED})
_REMARKS_MAX = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownLog:
    """The end of what one attempt has printed."""

    attempt: int
    lines: Sequence[ShownLine]
    next_offset: int
    is_cut: bool
    is_live: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffStat:
    """How large the change is that the task is about, as its delivery told."""

    files: int
    added: int
    removed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """One remark of a review, on a line."""

    place: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownReview:
    """A review as people read it."""

    text: str
    remarks: tuple[Remark, ...]


class TaskPages:
    """`/tasks/{id}` and what is posted below it."""

    def __init__(self, rooms: Rooms, streams: Streams) -> None:
        """Look into `rooms`; change by its operations."""
        self._rooms = rooms
        self._streams = streams

    def routes(self) -> tuple[Route, ...]:
        """List what is answered here."""
        one = "/tasks/{id}"
        return (
            get(one, self.page, "task_page", is_page=True),
            get(f"{one}/attempts/{{number}}/log", self.log, "task_log_page", is_page=True),
            post(f"{one}/cancel", self.cancel, "cancel_page", verb="cancel", is_page=True),
            post(f"{one}/retry", self.retry, "retry_page", verb="retry", is_page=True),
            post(f"{one}/approve", self.approve, "approve_page", verb="approve", is_page=True),
        )

    async def page(self, request: web.Request) -> web.Response:
        """Show all there is to know of one; `attempt` chooses whose log is shown."""
        query = Query(request, "attempt", SAID)
        story = await self._story(request.match_info["id"])
        task, now = story.task, self._rooms.clock.now()
        delivery = await self._delivery(task)
        guards = await self._rooms.guards.list() if task.state in OPEN_TASK else ()
        received_at = delivery.delivery.received_at if delivery else None
        return await render(
            request,
            "task.html",
            task=task,
            attempts=story.attempts,
            effects=story.effects,
            axis=axis_of(story, received_at, now),
            why=explain_waiting(task, now, guards),
            log=await self._log(story, query.text("attempt")),
            policy=await self._policy(task),
            diff=await asyncio.to_thread(_diff_stat, delivery) if delivery else None,
            review=_review(story.effects),
            usage=_usage(story.attempts),
            may_cancel=task.state in OPEN_TASK and task.cancel_requested_at is None,
            may_retry=task.state in RETRIABLE,
            may_approve=_waits_for_approval(task),
        )

    async def log(self, request: web.Request) -> web.StreamResponse:
        """Follow a log as events whose data are pieces; without `follow`, go to its page."""
        query = Query(request, "offset", "follow")
        task, number = request.match_info["id"], request.match_info["number"]
        if not query.flag("follow"):
            there = f"/tasks/{quote(task, safe='')}?attempt={quote(number, safe='')}#log"
            return web.Response(status=303, headers={"Location": there})
        told = Told(line=Shown().line, end=lambda ended, _attempt: ended.progress.outcome)
        offset = query.offset()
        return await follow(request, self._rooms.live, self._streams, told, offset=offset)

    async def cancel(self, request: web.Request) -> web.Response:
        """Cancel."""
        return await self._change(request, self._rooms.operations.cancel, _cancelled)

    async def retry(self, request: web.Request) -> web.Response:
        """Queue it once more."""
        return await self._change(
            request, self._rooms.operations.retry, lambda task: f"It is {task.state} once more."
        )

    async def approve(self, request: web.Request) -> web.Response:
        """Say yes to it."""
        return await self._change(
            request,
            lambda task, _reason: self._rooms.operations.approve(task),
            lambda task: f"It is approved, and {task.state} now.",
        )

    async def _change(
        self,
        request: web.Request,
        verb: Callable[[str, str], Awaitable[Task]],
        told: Callable[[Task], str],
    ) -> web.Response:
        task = request.match_info["id"]
        to = f"/tasks/{quote(task, safe='')}"
        try:
            changed = await verb(task, await read_reason(request))
        except StoreError:
            raise
        except NotFoundError as error:
            return refused(request, "/tasks", error)
        except CovendError as error:
            return refused(request, to, error)
        return back(request, f"/tasks/{changed.id}", told(changed))

    async def _story(self, identifier: str) -> TaskStory:
        story = await self._rooms.tasks.story(identifier)
        if story is None:
            raise NotFoundError(f"There is no task {identifier}.", id=identifier)
        return story

    async def _delivery(self, task: Task) -> StoredDelivery | None:
        """Give what it came from, as long as that is kept."""
        return await self._rooms.deliveries.find(task.delivery) if task.delivery else None

    async def _policy(self, task: Task) -> Policy | None:
        """Give the settings that it runs by; None where they cannot be read any more."""
        try:
            return await self._rooms.tasks.policy_of(task)
        except StoreError:
            raise
        except CovendError:
            return None

    async def _log(self, story: TaskStory, wanted: str | None) -> ShownLog | None:
        """Give the log of the attempt that is asked for, else of the last one."""
        if not story.attempts:
            return None
        number = wanted or str(story.attempts[-1].number)
        attempt = next((each for each in story.attempts if str(each.number) == number), None)
        if attempt is None:  # one that begins at this moment is not there yet either
            raise NotFoundError(f"Task {story.task.id} has no attempt {number}.", id=story.task.id)
        printed, is_cut = await self._rooms.live.tail(story.task.id, number, TAIL_BYTES)
        return ShownLog(
            attempt=attempt.number,
            lines=await asyncio.to_thread(show, printed.lines),
            next_offset=printed.next_offset,
            is_cut=is_cut,
            is_live=attempt.outcome is None,
        )


def _cancelled(task: Task) -> str:
    if task.state is TaskState.CANCELLED:
        return "It is cancelled."
    return "It is to be cancelled: its agent is being stopped."


def _waits_for_approval(task: Task) -> bool:
    is_held = task.state is TaskState.RECEIVED and Need.APPROVAL in task.needs
    return is_held and task.approved_at is None


def _diff_stat(delivery: StoredDelivery) -> DiffStat | None:
    """Read it out of a pull request's payload, which may be large."""
    text = text_of(delivery.headers, delivery.body)
    payload = None if isinstance(text, Refused) else parse_object(text)
    pull = payload.get("pull_request") if isinstance(payload, Mapping) else None
    if not isinstance(pull, Mapping):
        return None
    numbers = [pull.get(name) for name in ("changed_files", "additions", "deletions")]
    files, added, removed = (each if type(each) is int else None for each in numbers)
    if files is None or added is None or removed is None:
        return None
    return DiffStat(files=files, added=added, removed=removed)


def _review(effects: Sequence[Effect]) -> ShownReview | None:
    """Give the newest review of a task, as it is or was to be published."""
    for effect in reversed(effects):
        body = effect.request.get("body")
        if effect.kind is EffectKind.REVIEW and isinstance(body, Mapping):
            comments = [each for each in body.get("comments", ()) if isinstance(each, Mapping)]
            return ShownReview(
                text=_visible(str(body.get("body", ""))),
                remarks=tuple(_remark(each) for each in comments[:_REMARKS_MAX]),
            )
    return None


def _remark(comment: Mapping[str, Any]) -> Remark:
    place = f"{comment.get('path', '')}:{comment.get('line', '')}".removesuffix(":")
    return Remark(place=place, text=_visible(str(comment.get("body", ""))))


def _visible(text: str) -> str:
    """Leave out what GitHub does not show: the markers by which an effect is found again."""
    return "\n".join(line for line in text.splitlines() if not line.startswith("<!--")).strip()


def _usage(attempts: Sequence[Attempt]) -> Mapping[str, float]:
    """Sum up what all attempts have used."""
    used = [attempt.usage for attempt in attempts]
    return {
        "input": sum(each.input_tokens or 0 for each in used),
        "output": sum(each.output_tokens or 0 for each in used),
        "usd": sum(each.cost_usd or 0.0 for each in used),
    }
