"""What people decide about a task that is not running: yes, once more; and what look-ups find."""

from __future__ import annotations

from dataclasses import replace

import pytest

from covend.core.errors import ConflictError
from covend.core.model import EffectDraft, EffectId, EffectKind, Need, Subject, Task, TaskId, Trust
from covend.core.policy import policy_of
from covend.core.safeguards.shapes import FOREVER
from covend.core.settings import Agent, Policy, Rule
from covend.core.states import TaskState
from covend.store.protocol import TaskStory
from tests.store.arrivals import NOW, POLICY, Database, arrival, draft
from tests.store.hand_endings import FAILED_AGAIN, ended, supersede
from tests.store.hand_gate import HandGate, take, taken

OTHER: Policy = policy_of(
    Rule(name="review", on=("pull_request.opened",), agent="other", prompt="Review."),
    Agent(name="other", command=("other",), fallback=("third",)),
    (Agent(name="third", command=("third",)),),
)
REACTION = EffectDraft(kind=EffectKind.REACTION, slot="s", subject="p", target="t", request={})
FOUND = Subject(head_sha="f" * 40)


async def queued(database: Database, **changes: object) -> TaskId:
    return (await database.deliveries.accept(arrival(draft(**changes)))).tasks[0]


async def waits(database: Database, *needs: Need) -> TaskId:
    return await queued(database, needs=frozenset(needs))


async def story_of(database: Database, task: TaskId) -> TaskStory:
    story = await database.tasks.story(task)
    assert story is not None
    return story


async def task_of(database: Database, task: TaskId) -> Task:
    return (await story_of(database, task)).task


# --- once more ------------------------------------------------------------------------------------


async def test_a_task_that_failed_begins_anew_with_its_first_agent_and_all_its_tries(
    database: Database,
) -> None:
    await database.deliveries.save_policy(OTHER, NOW)
    task = await queued(database, policy=OTHER.sha256, agent="other", fallbacks=("third",))
    first = await taken(database, HandGate())
    other = replace(FAILED_AGAIN, agent="third", retry_until_at=NOW + 5, not_before_at=NOW)
    await database.tasks.settle(first, other, NOW)
    second = await taken(database, HandGate())
    await database.tasks.settle(second, ended(TaskState.FAILED), NOW)
    again = await database.tasks.retry(task, reason="retry by @ann", now=NOW + 9)
    assert again is not None
    assert (again.state, again.reason, again.not_before_at) == (
        TaskState.QUEUED,
        "retry by @ann",
        NOW + 9,
    )
    assert (again.agent, again.fallbacks, again.generation) == ("other", ("third",), 2)
    assert (again.failures, again.infrastructure_failures, again.retry_until_at) == (0, 0, None)
    assert (again.finished_at, again.conclusion, again.summary, again.error_code) == (None,) * 4
    assert again.cost_usd == 1.0
    third = await taken(database, HandGate(), now=NOW + 9)
    assert (third.task.id, third.attempt) == (task, 3)


async def test_a_task_that_was_cancelled_begins_anew_without_any_wish(database: Database) -> None:
    task = await queued(database)
    claim = await taken(database, HandGate())
    await database.tasks.request_cancel(task, reason="operator", now=NOW)
    supersede(database, claim)
    await database.tasks.settle(claim, ended(), NOW)
    assert (await task_of(database, task)).state is TaskState.CANCELLED
    assert await database.tasks.retry(task, reason="retry", now=NOW) is not None
    again = await taken(database, HandGate())
    written = await database.tasks.settle(again, ended(), NOW)
    assert written.target is TaskState.COMPLETED


async def test_a_retry_gets_a_generation_above_that_of_the_work_that_is_there(
    database: Database,
) -> None:
    one = draft(key="k")
    old = (await database.deliveries.accept(arrival(one))).tasks[0]
    claim = await taken(database, HandGate())
    await database.tasks.settle(claim, ended(TaskState.FAILED), NOW)
    new = (await database.deliveries.accept(arrival(one))).tasks[0]
    assert new != old
    database.connection._writer.execute(  # noqa: SLF001  by hand, past every query
        "UPDATE tasks SET generation = 4 WHERE id = ?", (new,)
    )
    again = await database.tasks.retry(old, reason="retry", now=NOW)
    assert again is not None
    assert again.generation == 5


async def test_what_was_never_looked_up_or_approved_is_not_begun_by_a_retry(
    database: Database,
) -> None:
    task = await task_of(database, await waits(database, Need.APPROVAL))
    await database.tasks.cancel(task, reason="operator", effects=(), now=NOW)
    with pytest.raises(ConflictError, match="before it was known whether it may run"):
        await database.tasks.retry(task.id, reason="retry", now=NOW)
    assert (await task_of(database, task.id)).state is TaskState.CANCELLED


async def test_a_task_that_is_not_there_is_not_begun_again(database: Database) -> None:
    assert await database.tasks.retry(TaskId("none"), reason="retry", now=NOW) is None


# --- yes ------------------------------------------------------------------------------------------


async def test_a_yes_lets_go_what_waits_for_nothing_else(database: Database) -> None:
    task = await waits(database, Need.APPROVAL)
    approved = await database.tasks.approve(task, by="@ann", now=NOW + 5)
    assert approved is not None
    assert (approved.state, approved.needs, approved.not_before_at) == (
        TaskState.QUEUED,
        frozenset(),
        NOW + 5,
    )
    assert (approved.approved_by, approved.approved_at) == ("@ann", NOW + 5)
    assert (await story_of(database, task)).timeline[-1].reason == "approved by @ann"
    assert await database.tasks.approve(task, by="@bob", now=NOW) is None
    assert (await take(database, HandGate(), now=NOW + 5)).claim is not None


async def test_a_yes_before_the_look_up_is_not_asked_for_again(database: Database) -> None:
    task = await waits(database, Need.APPROVAL, Need.HEAD, Need.CHECKS)
    approved = await database.tasks.approve(task, by="@ann", now=NOW)
    assert approved is not None
    assert (approved.state, approved.needs) == (
        TaskState.RECEIVED,
        frozenset({Need.HEAD, Need.CHECKS}),
    )
    assert not await database.tasks.hold(task, FOUND, NOW)
    assert (await task_of(database, task)).not_before_at < FOREVER
    assert await database.tasks.approve(task, by="@bob", now=NOW) is None
    assert (await task_of(database, task)).approved_by == "@ann"


async def test_what_waits_for_no_yes_takes_none(database: Database) -> None:
    for task in (await waits(database, Need.HEAD), await queued(database)):
        assert await database.tasks.approve(task, by="@ann", now=NOW) is None


async def test_what_waits_for_a_yes_alone_is_never_due(database: Database) -> None:
    task = await waits(database, Need.PERMISSION, Need.APPROVAL)
    assert await database.tasks.hold(task, FOUND, NOW, trust=Trust.NONE)
    held = await task_of(database, task)
    assert (held.state, held.reason, held.not_before_at) == (
        TaskState.RECEIVED,
        "approval",
        FOREVER,
    )
    assert (held.needs, held.subject.head_sha, held.trust) == (
        frozenset({Need.APPROVAL}),
        "f" * 40,
        Trust.NONE,
    )
    assert await database.tasks.next_due_at(TaskState.RECEIVED, NOW) is None
    assert await database.tasks.ripe(now=NOW + 10**9, limit=9) == []
    assert await database.tasks.approve(task, by="@ann", now=NOW) is not None


# --- look-ups -------------------------------------------------------------------------------------


async def test_what_was_looked_up_changes_trust_agent_and_settings_with_the_move(
    database: Database,
) -> None:
    await database.deliveries.save_policy(OTHER, NOW)
    task = await waits(database, Need.PERMISSION)
    effect = (EffectId("e-ripe"), REACTION)
    assert await database.tasks.ripen(
        task, FOUND, NOW, trust=Trust.WRITE, policy=OTHER, effects=(effect,)
    )
    story = await story_of(database, task)
    assert (story.task.state, story.task.trust) == (TaskState.QUEUED, Trust.WRITE)
    assert (story.task.policy, story.task.agent) == (OTHER.sha256, "other")
    assert story.task.fallbacks == ("third",)
    assert [each.id for each in story.effects] == ["e-ripe"]


async def test_a_look_up_that_changes_nothing_leaves_the_rest(database: Database) -> None:
    task = await queued(database, needs=frozenset({Need.HEAD}), fallbacks=("second",))
    assert await database.tasks.ripen(task, FOUND, NOW)
    found = await task_of(database, task)
    assert (found.policy, found.agent, found.fallbacks) == (POLICY.sha256, "echo", ("second",))
    assert found.trust is Trust.MEMBER


async def test_a_refusal_is_seen_once(database: Database) -> None:
    task = await waits(database, Need.PERMISSION)
    for name in ("first", "second"):
        effect = (EffectId(f"e-{name}"), REACTION)
        await database.tasks.refuse(task, reason="r", message="m", now=NOW, effects=(effect,))
    story = await story_of(database, task)
    assert (story.task.state, story.task.error_message) == (TaskState.IGNORED, "m")
    assert [each.id for each in story.effects] == ["e-first"]


async def test_a_look_up_that_comes_too_late_shows_nothing(database: Database) -> None:
    task = await task_of(database, await waits(database, Need.HEAD))
    await database.tasks.cancel(task, reason="operator", effects=(), now=NOW)
    effect = (EffectId("e-late"), REACTION)
    assert not await database.tasks.ripen(task.id, FOUND, NOW, effects=(effect,))
    assert (await story_of(database, task.id)).effects == ()
