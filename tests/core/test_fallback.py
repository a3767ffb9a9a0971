"""What comes after a failed attempt: afresh, again, another agent, or the end."""

from __future__ import annotations

from typing import Any

import pytest

from covend.core.ending import Ending
from covend.core.fallback import Step, Target, choose_step
from covend.core.presets.stream import Failure
from covend.core.retry import Again, Stop
from covend.core.states import Outcome
from tests.core.safeguards.samples import a_policy, a_task, an_agent, failure, success

AT = 1_754_000_030_000
AGAIN = Again(at=AT)
FINAL, EXHAUSTED, TOO_OLD = (Stop(why=each) for each in ("final", "exhausted", "too_old"))
AFRESH = Step(target=Target.AFRESH, reason="afresh", is_afresh=True)
CODEX = Step(target=Target.AGENT, reason="fallback", agent="codex")


def step(
    ending: Ending, decision: Again | Stop, *, was_resumed: bool = False, **changes: Any
) -> Step:
    plain = {"fallbacks": ("codex", "coven")}
    policy = a_policy(an_agent("codex"), an_agent("coven"))
    task = a_task(**plain | changes)
    return choose_step(task, ending, decision, was_resumed=was_resumed, policy=policy)


def test_a_try_that_is_left_goes_before_another_agent() -> None:
    assert step(failure("invalid_result"), AGAIN) == Step(
        target=Target.AGAIN, reason="retry", at=AT
    )


def test_what_is_deferred_stays_with_its_agent_and_keeps_its_fallbacks() -> None:
    put_off = Again(at=AT, reason="rate_limited", is_deferred=True)
    assert step(failure(Failure.RATE_LIMITED), put_off, was_resumed=True) == Step(
        target=Target.AGAIN, reason="rate_limited", at=AT, is_deferred=True
    )


@pytest.mark.parametrize(
    "ending",
    [
        failure("exit_code"),
        failure("agent_error"),
        failure("agent_not_found"),
        failure("memory_limit"),
        failure("invalid_result"),
        failure("try_again", retryable=True),
        failure(Failure.AUTHENTICATION),
        failure(Failure.OVERLOADED, retryable=True),
        failure("timed_out", outcome=Outcome.TIMED_OUT),
    ],
)
@pytest.mark.parametrize("decision", [FINAL, EXHAUSTED])
def test_an_agent_that_is_at_its_end_hands_over_to_the_next(ending: Ending, decision: Stop) -> None:
    assert step(ending, decision) == CODEX


@pytest.mark.parametrize(
    "ending",
    [
        failure("git"),
        failure("git_unreachable"),
        failure("git_refused"),
        failure("address_refused"),
        failure("github_unreachable"),
        failure("github_permission"),
        failure("store_busy"),
        failure("internal"),
        failure("agent_shortage"),
        failure("prompt"),
        failure("sandbox"),
        failure("lost", outcome=Outcome.LOST),
        failure("interrupted", outcome=Outcome.INTERRUPTED),
        failure("cancelled", outcome=Outcome.CANCELLED),
        failure("superseded", outcome=Outcome.SUPERSEDED),
    ],
)
def test_what_was_not_the_agents_fault_never_changes_the_agent(ending: Ending) -> None:
    ended = step(ending, EXHAUSTED)
    assert ended == Step(target=Target.NONE, reason=f"{ending.error_code}: exhausted")


def test_a_task_that_is_too_old_goes_on_with_nobody() -> None:
    ended = Step(target=Target.NONE, reason="exit_code: too_old")
    assert step(failure("exit_code"), TOO_OLD) == ended
    assert step(failure("exit_code"), TOO_OLD, was_resumed=True) == ended


def test_without_another_agent_the_task_fails_and_says_why() -> None:
    assert step(failure("exit_code"), FINAL, fallbacks=()) == Step(
        target=Target.NONE, reason="exit_code: final"
    )


def test_an_end_without_a_code_is_told_by_its_outcome() -> None:
    ending = failure("", outcome=Outcome.TIMED_OUT)
    assert step(ending, EXHAUSTED, fallbacks=()).reason == "timed_out: exhausted"


def test_an_agent_that_the_policy_does_not_know_is_passed_over() -> None:
    ending = failure("exit_code")
    assert step(ending, FINAL, fallbacks=("nobody", "coven")).agent == "coven"
    assert step(ending, FINAL, fallbacks=("nobody",)).target is Target.NONE


@pytest.mark.parametrize(
    "ending",
    [
        failure("exit_code"),
        failure("agent_error"),
        failure("invalid_result"),
        failure(Failure.SESSION_UNKNOWN),
        failure(Failure.INVALID_REQUEST),
        failure(Failure.REFUSED),
        failure("timed_out", outcome=Outcome.TIMED_OUT),
    ],
)
@pytest.mark.parametrize("decision", [AGAIN, FINAL, EXHAUSTED])
def test_a_session_that_failed_is_left_for_a_fresh_start_at_once(
    ending: Ending, decision: Again | Stop
) -> None:
    assert step(ending, decision, was_resumed=True) == AFRESH


@pytest.mark.parametrize(
    "ending",
    [
        failure("try_again", retryable=True),
        failure("agent_error", retryable=True),
        failure("memory_limit"),
        failure("agent_not_found"),
        failure(Failure.OVERLOADED, retryable=True),
        failure(Failure.AUTHENTICATION),
        failure(Failure.MODEL_UNKNOWN),
        failure(Failure.BUDGET),
        failure(Failure.INTERRUPTED),
        failure("git"),
        failure("github_unreachable"),
        failure("lost", outcome=Outcome.LOST),
    ],
)
def test_what_a_fresh_start_would_meet_as_well_is_no_reason_for_one(ending: Ending) -> None:
    assert step(ending, AGAIN, was_resumed=True).target is Target.AGAIN


def test_a_fresh_start_that_failed_is_tried_again_without_a_session() -> None:
    again = step(failure("invalid_result"), AGAIN, is_afresh=True)
    assert (again.target, again.is_afresh) == (Target.AGAIN, True)


def test_the_next_agent_may_go_on_with_a_session_of_its_own() -> None:
    assert step(failure("exit_code"), FINAL, is_afresh=True) == CODEX


def test_a_success_is_no_failure() -> None:
    assert step(success(), FINAL, was_resumed=True).target is Target.NONE
