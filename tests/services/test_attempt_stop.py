"""A stop ends an attempt by one path at whatever it is, and nothing that its agent does late has an
effect.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import anyio
import pytest

from covend.core.bounds import Retry
from covend.core.contract.outcome import StopReason
from covend.core.model import EffectKind
from covend.core.settings import Checkout
from covend.core.states import Outcome, TaskState
from covend.demo.github import Fault
from covend.edges.workspace.spec import Spec
from covend.services import preparing
from tests.services.alive import is_alive
from tests.services.fifo import Fifo
from tests.services.house import CHECK, House, a_rule, an_agent
from tests.services.stages import (
    FOUND,
    STAGES,
    WITHIN_S,
    Reached,
    Scene,
    StandingStore,
    descendants,
    set_up,
    stubborn,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """What becomes of the attempt, its task and its check."""

    outcome: Outcome
    state: TaskState
    reason: str
    check: str | None


ENDS = {
    StopReason.CANCELLED: End(
        outcome=Outcome.CANCELLED, state=TaskState.CANCELLED, reason="cancelled", check="cancelled"
    ),
    StopReason.SUPERSEDED: End(
        outcome=Outcome.SUPERSEDED, state=TaskState.SUPERSEDED, reason="superseded", check="neutral"
    ),
    StopReason.INTERRUPTED: End(
        outcome=Outcome.INTERRUPTED, state=TaskState.QUEUED, reason="interrupted", check=None
    ),
    StopReason.LOST: End(
        outcome=Outcome.LOST, state=TaskState.QUEUED, reason="recovered", check=None
    ),
}
FINISHED = End(
    outcome=Outcome.SUCCEEDED, state=TaskState.COMPLETED, reason="succeeded", check="failure"
)
TIMED_OUT = End(outcome=Outcome.TIMED_OUT, state=TaskState.QUEUED, reason="retry", check=None)
CAME_TOO_LATE = {
    ("in its grace", StopReason.INTERRUPTED): TIMED_OUT,
    ("comparing heads", StopReason.INTERRUPTED): FINISHED,
    **{("settling", reason): FINISHED for reason in ENDS},
}
"""What an attempt has come to stands at covend's own end, and once its settlement is written."""


async def stopped(scene: Scene, reached: Reached, *reasons: StopReason) -> None:
    """Stop an attempt where it stands, and wait for its end."""
    async with anyio.create_task_group() as group:
        group.start_soon(scene.run)
        with anyio.fail_after(WITHIN_S):
            await reached()
        for reason in reasons:
            scene.stop.request(reason)
        scene.let_end()
        group.cancel_scope.deadline = anyio.current_time() + WITHIN_S
    assert not group.cancel_scope.cancel_called, "the stop did not end the attempt"


def check_of(house: House) -> str | None:
    runs = house.github.state.check_runs
    return runs[-1].conclusion if runs else None


async def assert_end(scene: Scene, end: End) -> None:
    house, story = scene.house, await scene.story()
    (attempt,) = story.attempts
    assert (attempt.outcome, story.task.state, story.task.reason) == (
        end.outcome,
        end.state,
        end.reason,
    )
    is_finished = end.outcome is Outcome.SUCCEEDED
    assert attempt.error_code == (None if is_finished else end.outcome)
    assert story.task.summary == ("Found." if is_finished else None)
    await house.publish()
    assert check_of(house) == end.check
    assert len(house.github.state.reviews) == is_finished
    if not is_finished:
        assert {effect.kind for effect in story.effects} <= {CHECK}


@pytest.mark.parametrize("reason", ENDS)
@pytest.mark.parametrize("name", STAGES)
async def test_a_stop_ends_an_attempt_at_any_stage(
    house: House, fifo: Fifo, name: str, reason: StopReason
) -> None:
    scene, reached = await set_up(house, STAGES[name], fifo)
    await stopped(scene, reached, reason)
    scene.assert_nothing_is_left()
    end = CAME_TOO_LATE.get((name, reason), ENDS[reason])
    assert (house.folder / "kept").exists() == (end is TIMED_OUT)
    await assert_end(scene, end)


async def test_a_stop_while_git_runs_ends_git(house: House, fifo: Fifo) -> None:
    scene, reached = await set_up(house, STAGES["fetching"], fifo)
    seen: list[int] = []

    async def look() -> None:
        await reached()
        seen.extend(each.pid for each in descendants())

    await stopped(scene, look, StopReason.CANCELLED)
    assert seen
    assert not [pid for pid in seen if is_alive(pid)]


@pytest.mark.parametrize("name", ["fetching", "running", "in its grace", "comparing heads"])
async def test_a_later_stop_changes_nothing(house: House, fifo: Fifo, name: str) -> None:
    scene, reached = await set_up(house, STAGES[name], fifo)
    await stopped(scene, reached, StopReason.CANCELLED, StopReason.INTERRUPTED, StopReason.LOST)
    scene.assert_nothing_is_left()
    await assert_end(scene, ENDS[StopReason.CANCELLED])


async def test_a_later_stop_does_not_ask_the_agent_again(house: House, fifo: Fifo) -> None:
    """It would cost the agent the rest of its grace."""
    script = stubborn(fifo.path, then="sleep 0.3; echo ended > " + str(fifo.path) + "; exit 0")
    await house.adopt(a_rule(), an_agent(script, grace_s=WITHIN_S))
    scene = Scene(house=house, claim=await house.claimed(), fifo=fifo, tasks=StandingStore(house))
    async with anyio.create_task_group() as group:
        group.start_soon(scene.run)
        assert await fifo.line() == "started"
        scene.stop.request(StopReason.SUPERSEDED)
        assert await fifo.line() == "asked"
        scene.stop.request(StopReason.CANCELLED)
        assert await fifo.line() == "ended"
    scene.assert_nothing_is_left()
    await assert_end(scene, ENDS[StopReason.SUPERSEDED])


@pytest.mark.parametrize("reason", ENDS)
async def test_what_was_not_taken_out_is_no_result(
    house: House, fifo: Fifo, monkeypatch: pytest.MonkeyPatch, reason: StopReason
) -> None:
    reached = anyio.Event()

    async def take(*_: object) -> None:
        reached.set()
        await anyio.sleep_forever()

    monkeypatch.setattr(preparing, "take_commits", take)
    rule = a_rule(checkout=Checkout.HEAD, publish=(CHECK, EffectKind.PULL_REQUEST))
    await house.adopt(rule, an_agent(FOUND))
    scene = Scene(house=house, claim=await house.claimed(), fifo=fifo, tasks=StandingStore(house))
    await stopped(scene, reached.wait, reason)
    scene.assert_nothing_is_left()
    await assert_end(scene, ENDS[reason])


async def test_a_wish_to_cancel_goes_before_what_is_about_to_be_settled(
    house: House, fifo: Fifo
) -> None:
    scene, reached = await set_up(house, STAGES["settling"], fifo)

    async def wish() -> None:
        await reached()
        task, now = scene.claim.task.id, house.clock.now()
        await house.tasks.request_cancel(task, reason="cancelled", now=now)

    await stopped(scene, wish, StopReason.CANCELLED)
    await assert_end(scene, ENDS[StopReason.CANCELLED])


@pytest.mark.parametrize("name", ["fetching", "running", "comparing heads", "settling"])
async def test_an_attempt_whose_claim_is_gone_ends_and_settles_nothing(
    house: House, fifo: Fifo, name: str
) -> None:
    scene, reached = await set_up(house, STAGES[name], fifo)

    async def lose() -> None:
        await reached()
        house.meddle("UPDATE tasks SET claim = 'somebody else'")
        house.meddle("UPDATE attempts SET claim = 'somebody else'")

    await stopped(scene, lose, StopReason.LOST)
    scene.assert_nothing_is_left()
    story = await scene.story()
    assert (story.task.state, story.attempts[0].outcome) == (TaskState.RUNNING, None)
    await house.publish()
    assert (check_of(house), house.github.state.reviews) == (None, [])


@pytest.mark.parametrize("name", [name for name in STAGES if name != "settling"])
async def test_a_hard_end_leaves_no_process_and_the_task_to_recovery(
    house: House, fifo: Fifo, name: str
) -> None:
    scene, reached = await set_up(house, STAGES[name], fifo)
    with anyio.fail_after(WITHIN_S):
        async with anyio.create_task_group() as group:
            group.start_soon(scene.run)
            await reached()
            group.cancel_scope.cancel()
            scene.let_end()
    scene.assert_nothing_is_left()
    story = await scene.story()
    assert (story.task.state, story.attempts[0].outcome) == (TaskState.RUNNING, None)
    await house.recovery().run()
    story = await scene.story()
    assert (story.task.state, story.task.reason) == (TaskState.QUEUED, "recovered")
    await house.publish()
    assert (check_of(house), house.github.state.reviews) == (None, [])


async def test_a_hard_end_waits_for_a_settlement_that_is_being_written(
    house: House, fifo: Fifo
) -> None:
    scene, reached = await set_up(house, STAGES["settling"], fifo)
    with anyio.fail_after(WITHIN_S):
        async with anyio.create_task_group() as group:
            group.start_soon(scene.run)
            await reached()
            group.cancel_scope.cancel()
            scene.let_end()
    await assert_end(scene, FINISHED)


# --- over its time --------------------------------------------------------------------------------


async def test_a_git_that_hangs_is_over_its_own_time(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparing, "Spec", partial(Spec, timeout_s=0.3))
    await house.adopt(a_rule(checkout=Checkout.HEAD), an_agent(FOUND))
    claim = await house.claimed()
    house.github.faults.add("GET", "*/acme/till.git/info/refs", Fault.HELD)
    with anyio.fail_after(WITHIN_S):
        story = await house.run(claim)
    assert descendants() == []
    (attempt,) = story.attempts
    assert (attempt.outcome, attempt.error_code) == (Outcome.FAILED, "git")
    assert "took longer than 0.3 s" in (attempt.error_message or "")
    assert (story.task.state, story.task.reason) == (TaskState.QUEUED, "retry")


@pytest.mark.parametrize("then", ["exit 0", ":"])
async def test_what_an_agent_does_after_its_time_has_no_effect(
    house: House, fifo: Fifo, then: str
) -> None:
    script = stubborn(fifo.path, then=then)
    changes = {"timeout_s": 0.5, "grace_s": 0.5, "retry": Retry(attempts=1)}
    await house.adopt(a_rule(), an_agent(script, **changes))
    story = await house.attempt()
    assert await fifo.line() == "started"
    assert await fifo.line() == "asked"
    assert descendants() == []
    (attempt,) = story.attempts
    assert (attempt.outcome, attempt.session) == (Outcome.TIMED_OUT, None)
    assert not story.task.summary
    await house.publish()
    assert check_of(house) == "timed_out"
    assert house.github.state.reviews == []
