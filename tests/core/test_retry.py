from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covend.core.model import Ending, Result
from covend.core.retry import Again, History, Stop, decide, delay_ms
from covend.core.settings import Retry
from covend.core.states import Outcome

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
    return decide(ending, history, RETRY, NOW, jitter)


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
