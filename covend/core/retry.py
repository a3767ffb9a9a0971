"""Decides whether and when a task is tried again after an attempt that did not succeed.

Exponential with full jitter
(https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/). What the daemon itself
is to blame for (interrupted, lost) is counted apart and never uses up the agent's tries; what the
outside has put off to a moment is deferred, and uses up nothing at all.
"""

from __future__ import annotations

from dataclasses import dataclass

from covend.core.bounds import Retry
from covend.core.ending import Ending
from covend.core.failures import kind_of
from covend.core.model import Moment
from covend.core.presets.stream import Failure
from covend.core.states import Outcome

INFRASTRUCTURE = frozenset({Outcome.INTERRUPTED, Outcome.LOST})
DEFERRED_MIN_MS = 1000
"""What is put off is put off for at least so long, whatever moment was asked for."""
_FAILED = frozenset({Outcome.FAILED, Outcome.TIMED_OUT, Outcome.IDLE_TIMED_OUT})
_RATE_LIMITED = frozenset({"github_rate_limited", Failure.RATE_LIMITED.value})
_DOUBLINGS_MAX = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """Try again, not before `at`.

    `reason` is `retry`, `interrupted`, `recovered`, or of what is deferred `rate_limited` or
    `deferred`.
    """

    at: Moment
    reason: str = "retry"
    is_deferred: bool = False
    """Put off by the outside: no failure is counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Do not try again; `why` is `final`, `exhausted` or `too_old`."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """How many attempts have ended badly so far, this one included, each kind apart."""

    failures: int
    infrastructure_failures: int


def decide(
    ending: Ending,
    history: History,
    retry: Retry,
    now: Moment,
    jitter: float,
    since: Moment,
) -> Again | Stop:
    """Say when to try again; `jitter` is a random number from 0 to 1.

    `retry.attempts` is the number of attempts in all that may fail, `retry.infrastructure` the
    number of retries after an attempt was interrupted or lost. The kind of failure decides whether
    there is another try (`retry.on`); `ending.retryable` has its part in what the kind is. No try
    after a failure begins later than `retry.age_s` after `since`, when the first attempt that
    failed began; what was interrupted or lost has no such limit, for it did not fail.
    """
    assert 0 <= jitter <= 1
    if ending.outcome in INFRASTRUCTURE:
        return _decide_infrastructure(ending, history, retry, now, jitter)
    if ending.outcome not in _FAILED:
        return Stop(why="final")
    decision = _decide_failure(ending, history, retry, now, jitter)
    if isinstance(decision, Again) and decision.at >= too_old_at(retry, since):
        return Stop(why="too_old")
    return decision


def too_old_at(retry: Retry, since: Moment) -> Moment:
    """Say from when on a task that has failed is not tried again: `Settlement.retry_until_at`."""
    return since + round(1000 * retry.age_s)


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


def _decide_failure(
    ending: Ending, history: History, retry: Retry, now: Moment, jitter: float
) -> Again | Stop:
    if ending.retry_at is not None:
        reason = "rate_limited" if ending.error_code in _RATE_LIMITED else "deferred"
        at = max(ending.retry_at, now + DEFERRED_MIN_MS)
        return Again(at=at, reason=reason, is_deferred=True)
    if kind_of(ending) not in retry.on:
        return Stop(why="final")
    if history.failures >= retry.attempts:
        return Stop(why="exhausted")
    return Again(at=now + delay_ms(history.failures, retry, jitter))
