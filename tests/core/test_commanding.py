"""Which tasks a built-in verb is meant for: those that stood there when it was said."""

from __future__ import annotations

from typing import Any

import pytest

from covend.core.commanding import BUILT_IN, Verb, allowed_for, meant_by
from covend.core.model import Need, Task
from covend.core.states import TaskState
from tests.core.effects.effect_samples import NOON, task

ASKED = NOON + 60_000
BEFORE, AFTER = ASKED - 1, ASKED + 1
FAILED, CANCELLED, QUEUED = TaskState.FAILED, TaskState.CANCELLED, TaskState.QUEUED
HELD = {"state": TaskState.RECEIVED, "needs": frozenset({Need.APPROVAL})}


def ended(state: TaskState, at: int = BEFORE, **changed: Any) -> Task:
    return task(state=state, finished_at=at, **changed)


def chosen(verb: Verb, *tasks: Task, rule: str = "") -> list[Task]:
    return list(meant_by(verb, tasks, rule=rule, asked_at=ASKED).tasks)


def is_so(verb: Verb, *tasks: Task) -> bool:
    return meant_by(verb, tasks, rule="", asked_at=ASKED).is_so


def test_every_verb_has_a_line_of_help() -> None:
    assert list(BUILT_IN) == list(Verb)
    assert all(each.promise for each in BUILT_IN.values())


@pytest.mark.parametrize("verb", list(Verb))
def test_only_who_may_push_is_heard(verb: Verb) -> None:
    assert "admin" in allowed_for(verb)
    assert not allowed_for(verb) & {"triage", "read", "none", ""}


def test_a_whole_repository_is_held_by_its_keepers_alone() -> None:
    assert [verb for verb in Verb if "write" not in allowed_for(verb)] == [Verb.PAUSE, Verb.RESUME]


def test_a_verb_that_nobody_knows_is_no_way_around_the_permission() -> None:
    assert allowed_for("frobnicate") == {"admin", "maintain", "write"}


# --- retry ----------------------------------------------------------------------------------------


def test_retry_is_for_the_newest_of_each_rule_where_it_has_failed() -> None:
    fix = ended(CANCELLED, rule="fix")
    review = ended(FAILED)
    older = ended(FAILED, created_at=NOON - 1)
    done, once = ended(TaskState.COMPLETED, rule="audit"), ended(FAILED, rule="audit")
    assert chosen(Verb.RETRY, fix, review, older, done, once) == [fix, review]


def test_a_rules_name_leaves_out_the_others() -> None:
    fix, review = ended(FAILED, rule="fix"), ended(FAILED)
    assert chosen(Verb.RETRY, fix, review, rule="review") == [review]


def test_what_failed_after_it_was_asked_is_not_meant() -> None:
    """The first retry had failed again before it was ended, and there was a second."""
    again = ended(FAILED, at=AFTER, generation=2)
    assert chosen(Verb.RETRY, again) == []
    assert is_so(Verb.RETRY, again)


def test_an_old_failure_is_not_tried_again_where_a_newer_head_has_come() -> None:
    newer = task(state=QUEUED, created_at=AFTER)
    assert chosen(Verb.RETRY, newer, ended(FAILED)) == []


def test_a_task_that_is_tried_again_already_is_as_it_was_wished() -> None:
    assert is_so(Verb.RETRY, task(state=QUEUED, generation=2))
    assert not is_so(Verb.RETRY, task(state=QUEUED))
    assert not is_so(Verb.RETRY, ended(TaskState.COMPLETED, generation=2))


# --- cancel ---------------------------------------------------------------------------------------


def test_cancel_is_for_all_that_is_open() -> None:
    tasks = [task(state=state) for state in TaskState]
    assert [each.state for each in chosen(Verb.CANCEL, *tasks)] == [
        TaskState.RECEIVED,
        TaskState.QUEUED,
        TaskState.RUNNING,
    ]


def test_what_came_after_a_cancel_goes_on() -> None:
    assert chosen(Verb.CANCEL, task(state=QUEUED, created_at=AFTER)) == []


@pytest.mark.parametrize(("at", "expected"), [(BEFORE, False), (AFTER, True)])
def test_what_was_cancelled_since_is_as_it_was_wished(at: int, *, expected: bool) -> None:
    assert is_so(Verb.CANCEL, ended(CANCELLED, at=at)) is expected


# --- approve --------------------------------------------------------------------------------------


def test_approve_is_for_what_waits_for_it() -> None:
    held = task(**HELD)
    assert chosen(Verb.APPROVE, held, task(state=TaskState.RECEIVED), task(state=QUEUED)) == [held]


def test_nobody_approves_a_head_that_came_after_they_had_spoken() -> None:
    assert chosen(Verb.APPROVE, task(**HELD, created_at=AFTER)) == []


@pytest.mark.parametrize(("at", "expected"), [(None, False), (BEFORE, False), (AFTER, True)])
def test_what_was_approved_since_is_as_it_was_wished(at: int | None, *, expected: bool) -> None:
    assert is_so(Verb.APPROVE, task(state=QUEUED, approved_at=at)) is expected
