"""The loop that ends what nobody is at: it shows each end once, also after a crash."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import anyio
import pytest

from covend.core.effects.plan import plan_end
from covend.core.errors import StoreError
from covend.core.model import Claim, EffectDraft, EffectId, Moment, Task, TaskId
from covend.core.settings import Policy
from covend.core.states import EffectState, Outcome, TaskState
from covend.services import settling
from covend.services.closing import Closing
from covend.store.protocol import Accepted, Overdue, Settlement
from covend.store.sqlite.connection import SqliteConnection
from covend.store.tasks import StoredTasks
from tests.services.house import CHECK, COMMENT, REVIEW, House, a_rule, an_agent, an_ending

EVENTS = tuple(f"pull_request.{action}" for action in ("opened", "synchronize", "reopened"))
FAILED = an_ending(outcome=Outcome.FAILED)
LIMIT_S = 10.0


def closing(house: House, tasks: StoredTasks | None = None) -> Closing:
    return Closing(
        tasks=tasks or house.tasks,
        effects=house.effects,
        clock=house.clock,
        wakeups=house.wakeups,
        metrics=house.metrics,
        settlements=house.settlements,
    )


async def begun(house: House) -> Claim:
    """A task whose check is in progress on GitHub."""
    await house.adopt(a_rule(on=EVENTS, publish=(CHECK, COMMENT, REVIEW)), an_agent())
    claim = await house.claimed()
    await house.announce(claim)
    await house.publish()
    return claim


async def waiting(house: House, **changes: Any) -> Task:
    """A task that has been tried once and waits for its next try."""
    claim = await begun(house)
    settlement = Settlement(
        target=TaskState.QUEUED,
        reason="retry",
        ending=FAILED,
        not_before_at=house.clock.now() + 30_000,
        **changes,
    )
    await house.tasks.settle(claim, settlement, house.clock.now())
    return claim.task


async def reviewed(house: House) -> Task:
    """A task whose review waits in the outbox."""
    claim = await begun(house)
    policy, ending = await house.tasks.policy_of(claim.task), an_ending("Look here.")
    drafts = plan_end(
        claim,
        policy,
        ending,
        target=TaskState.COMPLETED,
        app=True,
        key=house.publishing.key,
        now=house.clock.now(),
        files=(),
    )
    effects = tuple((EffectId(house.clock.new_id()), draft) for draft in drafts)
    settlement = Settlement(
        target=TaskState.COMPLETED, reason="succeeded", ending=ending, effects=effects
    )
    await house.tasks.settle(claim, settlement, house.clock.now())
    return claim.task


async def push(house: House) -> Accepted:
    """Somebody pushes one more commit, and the webhook comes."""
    house.clock.turn(s=2)
    house.till.git.push(7, {"README.md": f"Pushed at {house.clock.now()}.\n"}, "One more")
    house.till.pulls[7] = replace(house.till.pulls[7], updated_at=house.clock.moment())
    return await house.deliver("pull_request.synchronize")


async def close(house: House) -> Accepted:
    house.clock.turn(s=2)
    house.till.pulls[7] = replace(
        house.till.pulls[7], state="closed", updated_at=house.clock.moment()
    )
    return await house.deliver("pull_request.closed")


def conclusions(house: House) -> list[str | None]:
    """What GitHub shows of the checks, oldest first."""
    return [run.conclusion for run in house.github.state.check_runs]


async def test_a_task_that_is_overtaken_while_it_waits_ends_with_a_neutral_check(
    house: House,
) -> None:
    task = await waiting(house)
    answer = await push(house)
    assert await closing(house).end_overdue() == 1
    await house.publish()
    story = await house.story(task.id)
    assert (story.task.state, story.task.reason) == (TaskState.SUPERSEDED, "superseded")
    assert story.task.superseded_by == answer.tasks[0]
    assert conclusions(house) == ["neutral"]
    assert await closing(house).end_overdue() == 0


async def test_a_task_whose_pull_request_is_closed_while_it_waits_ends_cancelled(
    house: House,
) -> None:
    task = await waiting(house)
    await close(house)
    assert await closing(house).end_overdue() == 1
    await house.publish()
    ended = (await house.story(task.id)).task
    assert (ended.state, ended.reason) == (TaskState.CANCELLED, "closed")
    assert conclusions(house) == ["cancelled"]


async def test_a_finished_review_that_is_overtaken_is_never_posted(house: House) -> None:
    task = await reviewed(house)
    await push(house)
    await closing(house).end_overdue()
    await house.publish()
    story = await house.story(task.id)
    assert story.task.state is TaskState.SUPERSEDED
    assert house.posted("/reviews") == []
    assert house.posted("/comments") == []
    assert conclusions(house) == ["neutral"]


async def test_nothing_of_an_overtaken_review_is_posted_before_the_loop_comes_to_it(
    house: House,
) -> None:
    """The daemon crashed in between: the publisher was faster after the start."""
    await reviewed(house)
    await push(house)
    await house.publish()
    assert house.posted("/reviews") == []
    assert house.posted("/comments") == []
    await closing(house).end_overdue()
    await house.publish()
    assert house.posted("/reviews") == []
    assert conclusions(house) == ["neutral"]


async def test_a_review_that_turns_out_not_to_have_arrived_is_withheld(house: House) -> None:
    await reviewed(house)
    review = await house.effect(REVIEW)
    await house.effects.begin(review.id, house.clock.now())
    await push(house)
    await closing(house).end_overdue()
    await house.effects.retry(review.id, error="not there", until=house.clock.now())
    await closing(house).end_overdue()
    assert (await house.effect(REVIEW)).state is EffectState.WITHHELD


async def test_a_task_that_is_too_old_to_be_tried_again_fails_and_says_so(house: House) -> None:
    task = await waiting(house, retry_until_at=house.clock.now() + 5_000)
    assert await closing(house).end_overdue() == 0
    house.clock.turn(s=5)
    assert await closing(house).end_overdue() == 1
    await house.publish()
    ended = (await house.story(task.id)).task
    assert ended.state is TaskState.FAILED
    assert ended.reason.endswith("too_old")
    assert conclusions(house) == ["failure"]


async def test_what_is_too_old_is_followed_as_any_other_failure(house: House) -> None:
    after = a_rule(name="after", on=("task.failed",), agent="next", publish=())
    await house.adopt(after, an_agent(name="next"))
    task = await waiting(house, retry_until_at=house.clock.now() + 5_000)
    house.clock.turn(s=5)
    assert await closing(house).end_overdue() == 1
    (follower,) = [each for each in (await house.tasks.page(limit=9))[0] if each.rule == "after"]
    assert (follower.parent, follower.depth, follower.event) == (task.id, 1, "task.failed")


async def test_what_is_overtaken_or_closed_is_followed_by_nothing(house: House) -> None:
    after = a_rule(name="after", on=("task.failed", "task.completed"), agent="next", publish=())
    await house.adopt(after, an_agent(name="next"))
    await waiting(house)
    await close(house)
    assert await closing(house).end_overdue() == 1
    assert {each.rule for each in (await house.tasks.page(limit=9))[0]} == {"review"}


class Odd(StoredTasks):
    """A store with one task that covend fails at."""

    odd: TaskId

    async def end(self, overdue: Overdue, **named: Any) -> Task | None:
        if overdue.task.id == self.odd:
            raise ZeroDivisionError
        return await super().end(overdue, **named)


async def test_one_task_that_cannot_be_ended_keeps_no_other_from_its_end(house: House) -> None:
    first = await waiting(house)
    tasks = Odd(house.connection)
    tasks.odd = first.id
    await push(house)
    claim = await house.claim()
    settlement = Settlement(
        target=TaskState.QUEUED, reason="retry", ending=FAILED, not_before_at=house.clock.now()
    )
    await house.tasks.settle(claim, settlement, house.clock.now())
    await push(house)
    assert await closing(house, tasks).end_overdue() == 1
    assert (await house.story(claim.task.id)).task.state is TaskState.SUPERSEDED
    assert await closing(house).end_overdue() == 1
    assert (await house.story(first.id)).task.state is TaskState.SUPERSEDED


async def test_what_ends_is_counted(house: House) -> None:
    await waiting(house)
    await push(house)
    await closing(house).end_overdue()
    shown = house.metrics.render().decode()
    assert 'outcome="superseded"' in shown


class Moving(StoredTasks):
    """Tasks that an operator cancels right after they are listed."""

    async def overdue(self, now: Moment, *, limit: int) -> list[Overdue]:
        found = list(await super().overdue(now, limit=limit))
        for each in found:
            await self.cancel(each.task, reason="operator", effects=(), now=now)
        return found


async def test_a_task_that_has_moved_since_it_was_listed_shows_nothing_twice(
    house: House,
) -> None:
    task = await waiting(house)
    await push(house)
    assert await closing(house, Moving(house.connection)).end_overdue() == 0
    story = await house.story(task.id)
    assert story.task.state is TaskState.CANCELLED
    assert len(story.effects) == 1


async def test_what_cannot_be_shown_ends_all_the_same(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> tuple[EffectDraft, ...]:
        raise RuntimeError("a fault of covend's own")

    task = await waiting(house)
    await push(house)
    monkeypatch.setattr(settling, "plan_stop", fail)
    assert await closing(house).end_overdue() == 1
    assert (await house.story(task.id)).task.state is TaskState.SUPERSEDED


class Failing(StoredTasks):
    """A store that cannot answer for a while."""

    failures = 1

    async def policy_of(self, task: Task) -> Policy:
        if self.failures:
            self.failures -= 1
            raise StoreError("not now")
        return await super().policy_of(task)


async def test_the_loop_goes_on_after_a_store_that_could_not_answer(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("covend.services.closing.STORE_WAIT_S", 0.01)
    task = await waiting(house)
    await push(house)
    tasks = Failing(house.connection)
    with house.wakeups.followers.hung(task.id) as bell:
        async with anyio.create_task_group() as group:
            group.start_soon(closing(house, tasks).run)
            with anyio.fail_after(LIMIT_S):
                await bell.wait(10 * LIMIT_S)
            group.cancel_scope.cancel()
    assert tasks.failures == 0
    assert (await house.story(task.id)).task.state is TaskState.SUPERSEDED


class Watched(StoredTasks):
    """Tells when the loop has looked."""

    def __init__(self, connection: SqliteConnection) -> None:
        super().__init__(connection)
        self.looked = anyio.Event()

    async def overdue(self, now: Moment, *, limit: int) -> Sequence[Overdue]:
        found = await super().overdue(now, limit=limit)
        self.looked.set()
        return found


async def test_intake_wakes_the_loop_where_it_has_left_something(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("covend.services.closing.LOOK_EVERY_S", 3600.0)
    task, tasks = await waiting(house), Watched(house.connection)
    with house.wakeups.followers.hung(task.id) as bell:
        async with anyio.create_task_group() as group:
            group.start_soon(closing(house, tasks).run)
            await tasks.looked.wait()
            await push(house)
            with anyio.fail_after(LIMIT_S):
                await bell.wait(10 * LIMIT_S)
            group.cancel_scope.cancel()
    assert (await house.story(task.id)).task.state is TaskState.SUPERSEDED
