from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covend.core.bounds import FailureKind, Retry
from covend.core.ending import Ending, Result
from covend.core.retry import DEFERRED_MIN_MS, Again, History, Stop, decide, delay_ms, too_old_at
from covend.core.states import Outcome
from covend.core.units import DAY

NOW = 1_000_000
RETRY = Retry(attempts=3, infrastructure=2, base_s=30, max_s=100)


def answer(
    outcome: Outcome,
    failures: int = 0,
    infrastructure: int = 0,
    *,
    retryable: bool = True,
    jitter: float = 1.0,
) -> Again | Stop:
    ending = Ending(outcome=outcome, result=Result(), retryable=retryable)
    history = History(failures=failures, infrastructure_failures=infrastructure)
    return decide(ending, history, RETRY, NOW, jitter, NOW)


@pytest.mark.parametrize(
    ("outcome", "failures", "infrastructure", "expected"),
    [
        (Outcome.FAILED, 1, 0, Again(at=NOW + 30_000)),
        (Outcome.FAILED, 2, 9, Again(at=NOW + 60_000)),
        (Outcome.FAILED, 3, 0, Stop(why="exhausted")),
        (Outcome.TIMED_OUT, 1, 0, Again(at=NOW + 30_000)),
        (Outcome.IDLE_TIMED_OUT, 3, 0, Stop(why="exhausted")),
        (Outcome.LOST, 9, 1, Again(at=NOW + 30_000, reason="recovered")),
        (Outcome.LOST, 0, 2, Again(at=NOW + 60_000, reason="recovered")),
        (Outcome.LOST, 0, 3, Stop(why="exhausted")),
        (Outcome.INTERRUPTED, 9, 1, Again(at=NOW, reason="interrupted")),
        (Outcome.INTERRUPTED, 0, 3, Stop(why="exhausted")),
    ],
)
def test_failures_and_infrastructure_have_budgets_of_their_own(
    outcome: Outcome, failures: int, infrastructure: int, expected: Again | Stop
) -> None:
    assert answer(outcome, failures, infrastructure) == expected


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.CANCELLED, Outcome.SUPERSEDED])
def test_what_is_final_is_not_tried_again(outcome: Outcome) -> None:
    assert answer(outcome, 1, retryable=False) == Stop(why="final")


@given(failures=st.integers(0, 10**9), jitter=st.floats(0, 1))
def test_the_wait_is_never_below_zero_nor_above_its_limit(failures: int, jitter: float) -> None:
    assert 0 <= delay_ms(failures, RETRY, jitter) <= 100_000


def test_the_jitter_is_full() -> None:
    assert answer(Outcome.FAILED, 2, jitter=0.0) == Again(at=NOW)
    assert answer(Outcome.FAILED, 2, jitter=0.5) == Again(at=NOW + 30_000)


def decided(
    code: str | None,
    *,
    retry: Retry = RETRY,
    failures: int = 1,
    age_ms: int = 0,
    outcome: Outcome = Outcome.FAILED,
    retry_at: int | None = None,
) -> Again | Stop:
    ending = Ending(outcome=outcome, result=Result(), error_code=code, retry_at=retry_at)
    history = History(failures=failures, infrastructure_failures=0)
    return decide(ending, history, retry, NOW, 1.0, NOW - age_ms)


KINDS = {
    "exit_code": FailureKind.AGENT,
    "try_again": FailureKind.TEMPORARY,
    "invalid_result": FailureKind.INVALID_RESULT,
    "timed_out": FailureKind.TIMEOUT,
    "github_unreachable": FailureKind.OUTSIDE,
    "github_permission": FailureKind.REFUSED,
}


@pytest.mark.parametrize(("code", "kind"), KINDS.items())
def test_the_kind_of_failure_decides_whether_there_is_another_try(
    code: str, kind: FailureKind
) -> None:
    only, others = Retry(on=(kind,)), Retry(on=tuple(set(FailureKind) - {kind}))
    assert isinstance(decided(code, retry=only), Again)
    assert decided(code, retry=others) == Stop(why="final")


@pytest.mark.parametrize(
    ("code", "is_tried_again"),
    [
        ("exit_code", False),
        ("try_again", True),
        ("invalid_result", True),
        ("timed_out", True),
        ("git", True),
        ("github_permission", False),
        ("address_refused", False),
        ("memory_limit", False),
        ("prompt", False),
        ("store_busy", True),
    ],
)
def test_unless_told_otherwise_only_what_may_end_better_is_tried_again(
    code: str, is_tried_again: bool
) -> None:
    assert isinstance(decided(code), Again) is is_tried_again


def test_a_task_that_is_too_old_is_not_tried_again_after_a_failure() -> None:
    assert decided("try_again", age_ms=86_400_000) == Stop(why="too_old")
    assert isinstance(decided("try_again", age_ms=86_400_000 - 30_001), Again)
    assert too_old_at(RETRY, NOW) == NOW + 1000 * DAY


def test_a_try_that_would_begin_too_late_is_not_begun() -> None:
    assert decided("try_again", age_ms=86_400_000 - 30_000) == Stop(why="too_old")


@pytest.mark.parametrize("outcome", [Outcome.INTERRUPTED, Outcome.LOST])
def test_what_was_interrupted_or_lost_is_never_too_old(outcome: Outcome) -> None:
    assert isinstance(decided(outcome, outcome=outcome, age_ms=10**12), Again)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("github_rate_limited", "rate_limited"),
        ("rate_limited", "rate_limited"),
        ("overloaded", "deferred"),
    ],
)
def test_what_the_outside_puts_off_is_deferred_to_that_moment(code: str, reason: str) -> None:
    at = NOW + 3_600_000
    assert decided(code, retry_at=at) == Again(at=at, reason=reason, is_deferred=True)


def test_a_deferral_needs_no_try_that_is_left_and_no_kind_that_is_retried() -> None:
    decision = decided(
        "github_rate_limited", retry=Retry(attempts=1, on=()), failures=9, retry_at=NOW + 5000
    )
    assert decision == Again(at=NOW + 5000, reason="rate_limited", is_deferred=True)


@pytest.mark.parametrize("moment", [0, NOW - 1, NOW])
def test_a_deferral_to_a_moment_that_has_passed_waits_a_little(moment: int) -> None:
    decision = decided("rate_limited", retry_at=moment)
    assert isinstance(decision, Again)
    assert decision.at == NOW + DEFERRED_MIN_MS


def test_a_deferral_beyond_the_age_of_a_task_ends_it() -> None:
    late = NOW + 1000 * round(DAY)
    assert decided("github_rate_limited", retry_at=late) == Stop(why="too_old")
