"""Decides whether and when a task is tried again after an attempt that did not succeed.

Exponential with full jitter
(https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/). What the daemon itself
is to blame for (interrupted, lost) is counted apart and never uses up the agent's tries.
"""

from __future__ import annotations

from dataclasses import dataclass

from covend.core.model import Ending, Moment
from covend.core.settings import Retry
from covend.core.states import Outcome

INFRASTRUCTURE = frozenset({Outcome.INTERRUPTED, Outcome.LOST})
_DOUBLINGS_MAX = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """Try again, not before `at`."""

    at: Moment
    reason: str = "retry"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Do not try again; `why` is `final` or `exhausted`."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """How many attempts have ended badly so far, this one included, each kind apart."""

    failures: int
    infrastructure_failures: int


def decide(
    ending: Ending, history: History, retry: Retry, now: Moment, jitter: float
) -> Again | Stop:
    """Say when to try again; `jitter` is a random number from 0 to 1.

    `retry.attempts` is the number of attempts in all that may fail, `retry.infrastructure` the
    number of retries after an attempt was interrupted or lost.
    """
    assert 0 <= jitter <= 1
    if ending.outcome in INFRASTRUCTURE:
        return _decide_infrastructure(ending, history, retry, now, jitter)
    if not ending.retryable:
        return Stop(why="final")
    if history.failures >= retry.attempts:
        return Stop(why="exhausted")
    return Again(at=now + delay_ms(history.failures, retry, jitter))


def delay_ms(failures: int, retry: Retry, jitter: float) -> int:
    """Give the wait after that many failures: up to `base_s`, doubled each time, never above
    `max_s`.
    """
    doublings = min(max(failures - 1, 0), _DOUBLINGS_MAX)
    return round(1000 * jitter * min(retry.max_s, retry.base_s * (1 << doublings)))


def _decide_infrastructure(
    ending: Ending, history: History, retry: Retry, now: Moment, jitter: float
) -> Again | Stop:
    count = history.infrastructure_failures
    if count > retry.infrastructure:
        return Stop(why="exhausted")
    # A shutdown is nobody's fault; a lost attempt may be what took the daemon down.
    if ending.outcome is Outcome.INTERRUPTED:
        return Again(at=now, reason="interrupted")
    return Again(at=now + delay_ms(count, retry, jitter), reason="recovered")
