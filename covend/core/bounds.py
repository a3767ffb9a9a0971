"""The settings that bound work: budgets, retries and safeguards, with every default in one place.

They are values and refuse nothing themselves; who keeps to them is in `core.retry` and
`core.safeguards`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from covend.core.units import DAY, MINUTE


@dataclass(frozen=True, slots=True, kw_only=True)
class Budgets:
    """What one rule or one agent may spend; None means no bound. Tokens are input and output."""

    usd_per_attempt: float | None = None
    usd_per_subject: float | None = None
    tokens_per_attempt: int | None = None
    tokens_per_subject: int | None = None


class FailureKind(StrEnum):
    """The kinds of failure that a retry tells apart (`core.failures` says which is which)."""

    AGENT = "agent"
    """The agent itself says that it has failed, or ended badly."""
    TEMPORARY = "temporary"
    """The agent asks for a retry: exit 75, `error.retryable`, or its model's service says so."""
    TIMEOUT = "timeout"
    INVALID_RESULT = "invalid_result"
    OUTSIDE = "outside"
    """A host or this machine failed, before or beside the agent."""
    REFUSED = "refused"
    """It would be refused again: a limit, a permission, an address that is not the forge's."""
    INFRASTRUCTURE = "infrastructure"
    """Interrupted or lost; has its own number of retries."""


RETRIED = (
    FailureKind.TEMPORARY,
    FailureKind.TIMEOUT,
    FailureKind.INVALID_RESULT,
    FailureKind.OUTSIDE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How often and when a failed task is tried again."""

    attempts: int = 3
    infrastructure: int = 3
    base_s: float = 30.0
    max_s: float = 15 * MINUTE
    age_s: float = DAY
    """A task whose first failed attempt began longer ago is not tried again after a failure."""
    on: tuple[FailureKind, ...] = RETRIED
    """`infrastructure` is always tried again, and never in here."""


SCOPES = ("rule", "subject", "repository", "installation", "actor", "agent")
"""What a rate limit may count by, alone or together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """At most `max_count` attempts may start within any `window_s`, for each value of `per`."""

    per: tuple[str, ...]
    max_count: int
    window_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """A subject is blocked after so many turns without progress, or failures that are the same."""

    no_progress: int = 20
    identical_failures: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class CrashLoop:
    """An agent is suppressed in a repository after so many failures within a window."""

    failures: int = 3
    window_s: float = 15 * MINUTE
    suppress_s: float = 15 * MINUTE


@dataclass(frozen=True, slots=True, kw_only=True)
class Circuit:
    """A circuit opens after so many failures within a window, for so long."""

    failures: int = 5
    window_s: float = 5 * MINUTE
    open_s: float = MINUTE


@dataclass(frozen=True, slots=True, kw_only=True)
class Safeguards:
    """What limits work beside the slots."""

    rate: tuple[Rate, ...] = ()
    loop: Loop = field(default_factory=Loop)
    crash_loop: CrashLoop = field(default_factory=CrashLoop)
    circuit: Circuit = field(default_factory=Circuit)
