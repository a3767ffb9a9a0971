"""The guard of a subject: turns without progress and identical failures block it, until an operator
says otherwise.
"""

from __future__ import annotations

from typing import Any

import pytest

from covend.core.bounds import Loop
from covend.core.ending import Ending, Result
from covend.core.model import Conclusion, Subject
from covend.core.presets.stream import Failure
from covend.core.safeguards.loop import RULES_MAX, SIGNATURE_MAX, signature_of
from covend.core.safeguards.shapes import FOREVER, Hold, Lesson, Pass, Scope, Waiting
from covend.core.states import Outcome, TaskState
from tests.core.safeguards.samples import World, a_task, failure, guard, guarded, success

ID = "loop/acme/till#7"
PROGRESSLESS = [Conclusion.FAILURE, Conclusion.NEUTRAL, Conclusion.NEEDS_INPUT]


def looped(no_progress: int = 3, identical_failures: int = 3) -> World:
    return guarded(loop=Loop(no_progress=no_progress, identical_failures=identical_failures))


@pytest.mark.parametrize("conclusion", PROGRESSLESS)
def test_turns_without_progress_block_the_subject_for_good(conclusion: Conclusion) -> None:
    world = looped()
    lessons = [world.complete(a_task(), conclusion) for _ in range(3)]
    assert [each.trips for each in lessons] == [(), (), (ID,)]
    held = world.judge(a_task())
    assert isinstance(held, Hold)
    assert (held.reason, held.until, held.by) == (Waiting.BLOCKED, FOREVER, ID)
    assert held.scope == Scope(repository_key="17", repository="acme/till", subject_number=7)
    row = world.guards[ID]
    assert (row.state, row.until) == ("blocked", None)
    assert row.reason == "3 turns without progress"


def test_one_turn_is_told_as_one() -> None:
    world = looped()
    world.complete(a_task(), Conclusion.NEUTRAL)
    assert world.guards[ID].reason == "1 turn without progress"


def test_another_subject_is_not_blocked() -> None:
    world = looped(no_progress=1)
    world.complete(a_task(), Conclusion.NEUTRAL)
    assert isinstance(world.judge(a_task(subject=Subject(number=8))), Pass)
    other = a_task(repository="acme/other", repository_key="18")
    assert isinstance(world.judge(other), Pass)


def test_attempts_that_are_tried_again_are_no_turns() -> None:
    world = looped(no_progress=1, identical_failures=1)
    for _ in range(5):
        assert world.end(a_task(), failure("invalid_result"), TaskState.QUEUED) == Lesson()
    assert isinstance(world.judge(a_task()), Pass)


def test_success_clears_the_count() -> None:
    world = looped()
    world.complete(a_task(), Conclusion.NEUTRAL)
    world.complete(a_task(), Conclusion.NEUTRAL)
    assert world.complete(a_task()).removes == (ID,)
    world.complete(a_task(), Conclusion.NEUTRAL)
    assert world.guards[ID].values["turns"] == 1


def test_success_without_a_row_writes_nothing() -> None:
    assert looped().complete(a_task()) == Lesson()


def test_no_success_unblocks_a_subject() -> None:
    world = looped(no_progress=1)
    world.complete(a_task(), Conclusion.NEUTRAL)
    assert world.complete(a_task()) == Lesson()
    assert isinstance(world.judge(a_task()), Hold)


def test_identical_failures_block_before_the_turns_are_over() -> None:
    world = looped(no_progress=20)
    for pid in (4711, 4712, 4713):
        lesson = world.fail(a_task(), failure("agent_error", f"step {pid} of {pid:x} failed"))
    assert lesson.trips == (ID,)
    assert world.guards[ID].reason == "3 identical failures: agent_error: step 4713 of 1269 failed"


def test_a_different_failure_begins_a_new_count() -> None:
    world = looped(no_progress=20)
    for message in ("cannot read a", "cannot read a", "cannot read b", "cannot read a"):
        assert world.fail(a_task(), failure("agent_error", message)).trips == ()


def test_a_turn_that_completed_stands_between_two_failures() -> None:
    world = looped(no_progress=20, identical_failures=2)
    world.fail(a_task(), failure("agent_error"))
    world.complete(a_task(), Conclusion.NEUTRAL)
    assert world.fail(a_task(), failure("agent_error")).trips == ()


def test_one_push_that_fails_in_three_rules_is_not_three_failures_in_a_row() -> None:
    world = looped(no_progress=20)
    for rule in ("review", "fix", "lint"):
        assert world.fail(a_task(rule=rule), failure("agent_error")).trips == ()
    assert isinstance(world.judge(a_task()), Pass)


@pytest.mark.parametrize(
    "code",
    [
        "github_unreachable",
        "github_rate_limited",
        "github_permission",
        "git",
        "store_busy",
        "internal",
        Failure.RATE_LIMITED,
        Failure.OVERLOADED,
        Failure.NETWORK,
    ],
)
def test_failures_of_the_outside_do_not_count(code: str) -> None:
    world = looped(no_progress=1, identical_failures=1)
    world.fail(a_task(), failure(code))
    assert ID not in world.guards


@pytest.mark.parametrize(
    ("outcome", "target"),
    [
        (Outcome.CANCELLED, TaskState.CANCELLED),
        (Outcome.SUPERSEDED, TaskState.SUPERSEDED),
        (Outcome.INTERRUPTED, TaskState.QUEUED),
        (Outcome.INTERRUPTED, TaskState.FAILED),
        (Outcome.LOST, TaskState.QUEUED),
        (Outcome.LOST, TaskState.FAILED),
    ],
)
def test_what_did_not_end_by_itself_is_no_turn(outcome: Outcome, target: TaskState) -> None:
    world = looped(no_progress=1, identical_failures=1)
    ending = Ending(outcome=outcome, result=Result(), error_code=outcome)
    world.end(a_task(), ending, target)
    assert ID not in world.guards


def test_a_task_about_nothing_is_not_guarded() -> None:
    world = looped(no_progress=1, identical_failures=1)
    task = a_task(subject=Subject())
    world.complete(task, Conclusion.NEUTRAL)
    assert not world.guards
    assert isinstance(world.judge(task), Pass)


def test_a_signature_has_no_numbers_and_no_ids() -> None:
    said = (
        "task 01jz5mq0a7 at deadbeef, ce5e7f3a-1bde-4a0e-beef-cafecafecafe: line 12, 0x7f; "
        "/tmp/run_88 in decade"
    )
    assert signature_of(failure("exit_code", said)) == (
        "exit_code: task # at #, #: line #, #; /tmp/# in decade"
    )


def test_a_signature_is_bounded() -> None:
    assert len(signature_of(failure("exit_code", "x" * 100_000))) == SIGNATURE_MAX


def test_so_many_rules_are_remembered_and_no_more() -> None:
    world = looped(no_progress=1000, identical_failures=2)
    for count in range(RULES_MAX + 5):
        world.fail(a_task(rule=f"rule-{count}"), failure("exit_code"))
    assert len(world.guards[ID].values["failures"]) == RULES_MAX
    assert world.fail(a_task(rule=f"rule-{RULES_MAX + 4}"), failure("exit_code")).trips == (ID,)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"turns": None, "failures": None},
        {"turns": "many", "failures": ["review"]},
        {"turns": 1, "failures": {"review": 3}},
        {"turns": 1, "failures": {"review": {"signature": 1, "count": "x"}}},
    ],
)
def test_a_row_that_cannot_be_read_counts_for_nothing(values: dict[str, Any]) -> None:
    world = looped()
    world.put(guard(ID, "counting", **values))
    world.fail(a_task(), failure("exit_code"))
    assert world.guards[ID].values["failures"]["review"]["count"] == 1


def test_a_verdict_at_the_end_of_a_budget_is_a_turn() -> None:
    world = looped(no_progress=1)
    world.end(a_task(), success(Conclusion.NEUTRAL), TaskState.COMPLETED)
    assert world.guards[ID].state == "blocked"
