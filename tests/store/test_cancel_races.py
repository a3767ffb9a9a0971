"""Whoever else moves a task at the same moment, one that was cancelled stays so, and its story has
no gap.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from random import Random

import anyio
import pytest

from covend.core.ending import Ending, Result
from covend.core.errors import ClaimLostError
from covend.core.model import Claim, ClaimToken, Conclusion, TaskId, Usage
from covend.core.states import OPEN_TASK, Outcome, TaskState
from covend.store.protocol import Settlement, TaskStory
from tests.store.arrivals import NOW, Database, arrival, draft, numbers, terms

TASKS = 40
ENDS = (
    (TaskState.COMPLETED, Outcome.SUCCEEDED),
    (TaskState.FAILED, Outcome.FAILED),
    (TaskState.QUEUED, Outcome.FAILED),
    (TaskState.QUEUED, Outcome.INTERRUPTED),
    (TaskState.QUEUED, Outcome.LOST),
    (TaskState.SUPERSEDED, Outcome.SUPERSEDED),
    (TaskState.CANCELLED, Outcome.CANCELLED),
)


def settlement(target: TaskState, outcome: Outcome) -> Settlement:
    used = Usage(cost_usd=1.0)
    result = Result(conclusion=Conclusion.NEUTRAL, summary="s", usage=used)
    return Settlement(target=target, reason="r", ending=Ending(outcome=outcome, result=result))


class Crowd:
    """Those who claim, settle, recover and cancel, all at once; what they do hangs on a seed."""

    def __init__(self, database: Database, seed: int) -> None:
        self.cancelled: set[TaskId] = set()
        """Taken back while they waited."""
        self.wished: set[TaskId] = set()
        """Asked to be cancelled while they ran."""
        self._tasks = database.tasks
        self._random = Random(seed)

    async def meet(self, ids: Sequence[TaskId]) -> None:
        async with anyio.create_task_group() as group:
            for _ in range(6):
                group.start_soon(self._work, 40)
            for _ in range(6):
                group.start_soon(self._cancel, ids, 20)
            group.start_soon(self._recover, 20)

    async def finish(self) -> None:
        """End what is open still."""
        done = settlement(TaskState.COMPLETED, Outcome.SUCCEEDED)
        for task, token, attempt in await self._tasks.running():
            held = Claim(
                task=task, attempt=attempt.number, token=token, lease_until=0, started_at=NOW
            )
            await self._tasks.settle(held, done, NOW)
        while (claim := await self._claim()) is not None:
            await self._tasks.settle(claim, done, NOW)

    async def _claim(self) -> Claim | None:
        token = ClaimToken(f"token-{next(numbers)}")
        taken = await self._tasks.claim(node="n", token=token, now=NOW, lease_s=90.0, terms=terms())
        return taken.claim

    async def _work(self, times: int) -> None:
        for _ in range(times):
            if (claim := await self._claim()) is not None:
                await self._pause()
                await self._pause()
                await self._settle(claim)

    async def _settle(self, claim: Claim) -> None:
        wished = settlement(*self._random.choice(ENDS))
        try:
            written = await self._tasks.settle(claim, wished, NOW)
        except ClaimLostError:
            return  # somebody was faster
        assert written.target in (wished.target, TaskState.CANCELLED)

    async def _recover(self, times: int) -> None:
        for _ in range(times):
            for task, token, attempt in await self._tasks.expired(NOW + 1_000_000, limit=TASKS):
                if self._random.random() < 0.3:
                    held = Claim(
                        task=task, attempt=attempt.number, token=token, lease_until=0, started_at=0
                    )
                    await self._settle(held)
            await self._pause()

    async def _cancel(self, ids: Sequence[TaskId], times: int) -> None:
        for _ in range(times):
            await self._pause()
            story = await self._tasks.story(self._random.choice(ids))
            assert story is not None
            task = story.task
            await self._pause()
            if await self._tasks.cancel(task, reason="operator", effects=(), now=NOW):
                self.cancelled.add(task.id)
            elif await self._tasks.request_cancel(task.id, reason="operator", now=NOW):
                self.wished.add(task.id)

    async def _pause(self) -> None:
        """Let the others go on, for as long as some looks into the store take."""
        for _ in range(self._random.randrange(4)):
            await self._tasks.next_due_at(TaskState.QUEUED, NOW)


def assert_sound(story: TaskStory) -> None:
    """Every move begins where the last one ended, and every claim has its attempt."""
    moves = story.timeline
    for former, move in pairwise(moves):
        assert move.source == former.target, moves
    claims = [m for m in moves if (m.source, m.target) == (TaskState.QUEUED, TaskState.RUNNING)]
    assert len(claims) == len(story.attempts) == story.task.attempts
    assert all(attempt.outcome is not None for attempt in story.attempts)
    assert story.task.cost_usd == (float(len(story.attempts)) or None)


@pytest.mark.parametrize("seed", range(5))
async def test_what_is_cancelled_stays_so_whoever_else_moves_it(
    database: Database, seed: int
) -> None:
    ids: list[TaskId] = []
    for repository in range(TASKS):
        ids += (await database.deliveries.accept(arrival(draft(), repository_id=repository))).tasks
    crowd = Crowd(database, seed)
    await crowd.meet(ids)
    await crowd.finish()
    for task in ids:
        story = await database.tasks.story(task)
        assert story is not None
        assert story.task.state not in OPEN_TASK
        assert_sound(story)
        if task in crowd.cancelled:
            assert story.task.state is TaskState.CANCELLED
        if task in crowd.wished:
            assert story.task.state in (TaskState.CANCELLED, TaskState.SUPERSEDED)
            assert story.attempts[-1].outcome in (Outcome.CANCELLED, Outcome.SUPERSEDED)
    assert crowd.cancelled | crowd.wished
