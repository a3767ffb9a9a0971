"""What safeguards ask, are told, and answer; none of it decides anything.

A claim asks `questions` of its candidate, has the store read the answers in the same transaction,
and gives them to `gate.judge`. The end of an attempt does the same with `learning`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from covend.core.bounds import Safeguards
from covend.core.model import Json, Moment, Task, TaskId
from covend.core.settings import Policy

FOREVER: Moment = 253_402_300_799_000
"""The end of the year 9999: until somebody lets it go. It is shown as no moment at all."""

RECHECK_MS = 60_000
"""What waits for an end that might be missed is looked at again after so long."""


class SafeguardKind(StrEnum):
    """The persisted limiters."""

    RATE = "rate"
    BUDGET = "budget"
    LOOP = "loop"
    CRASH_LOOP = "crash_loop"
    CIRCUIT = "circuit"
    PAUSE = "pause"
    DRAIN = "drain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Safeguard:
    """One limiter as the store keeps it; where there is no row, it is at rest."""

    id: str
    """`kind/scope`, as operators name it."""
    kind: SafeguardKind
    scope: str
    """What it holds: `all`, `agent:NAME`, `rule:NAME`, `repository:O/R`, `host:NAME`, a subject."""
    state: str
    reason: str
    until: Moment | None
    values: Json
    """What it has counted, for its own decision and for people."""
    created_at: Moment = 0
    updated_at: Moment = 0


class Waiting(StrEnum):
    """Why a queued task waits: its `reason`, which scripts rely on."""

    RATE_LIMITED = "rate_limited"
    CIRCUIT_OPEN = "circuit_open"
    BUDGET = "budget"
    PAUSED = "paused"
    BLOCKED = "blocked"
    SUPPRESSED = "suppressed"
    KEY_BUSY = "key_busy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Which queued tasks a decision is about: those that have every value that is not None."""

    key: str | None = None
    rule: str | None = None
    agent: str | None = None
    actor: str | None = None
    repository_key: str | None = None
    repository: str | None = None
    """By its name, in lower case: what is held until somebody lets go a thing that is named so is
    held by that name, since a renamed repository keeps its key.
    """
    subject_number: int | None = None
    installation_id: int | None = None


EVERYTHING = Scope()


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a claim is bound by; the counts of running tasks are the store's to make."""

    concurrency: int
    agents: Mapping[str, int] = field(default_factory=dict)
    per_repository: int | None = None
    per_installation: int | None = None
    safeguards: Safeguards = field(default_factory=Safeguards)
    usd_per_day: float | None = None
    tokens_per_day: int | None = None
    usd_per_repository_per_day: float | None = None
    tokens_per_repository_per_day: int | None = None
    host: str | None = None
    """The API's host, which every task with a repository needs that checks something out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What has been spent of one budget."""

    usd: float = 0.0
    tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendingId:
    """One budget: `scope` as in `spending.ids_at` names it; day 0 is for good."""

    scope: str
    day: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Questions:
    """What has to be read to judge a candidate."""

    guards: tuple[str, ...] = ()
    """Ids of safeguards."""
    rates: tuple[tuple[Scope, Moment, int], ...] = ()
    """Of each rate limit: among the attempts of this scope that started after this moment, when did
    the one start that has so many newer ones, itself counted (1: the newest)?
    """
    spending: tuple[SpendingId, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What was read."""

    now: Moment
    is_key_busy: bool = False
    """Whether another task of the same key is running."""
    running: frozenset[TaskId] = frozenset()
    """All tasks that are running; a probe is one of them, or is over."""
    guards: Mapping[str, Safeguard] = field(default_factory=dict)
    rates: tuple[Moment | None, ...] = ()
    """In the order of the questions; None where there are not so many."""
    spent: Mapping[SpendingId, Spent] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """It may run; `writes` are safeguards that this changes (a probe), `budget` what it may
    spend.
    """

    writes: tuple[Safeguard, ...] = ()
    budget: Spent | None = None
    """None where nothing bounds it; a bound that is not set is infinite (`inf`, or 2**63-1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """It waits, and so does everything queued in `scope`, until the moment or a release."""

    reason: Waiting
    until: Moment
    scope: Scope
    by: str
    """The id of the safeguard; of limits without a row as well, for metrics and people."""
    writes: tuple[Safeguard, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """Its agent cannot be had now, and another one can: it is the other's from here on."""

    agent: str
    reason: str


Decision: TypeAlias = Pass | Hold | Switch


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What waits for this reason in this scope may be tried again now."""

    reason: Waiting
    scope: Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """What an end teaches: safeguards to write, ids to remove, and what may go on."""

    writes: tuple[Safeguard, ...] = ()
    removes: tuple[str, ...] = ()
    releases: tuple[Release, ...] = ()
    trips: tuple[str, ...] = ()
    """Ids of those that have tripped by it, for metrics and logs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A queued task that is about to be claimed, and the settings it was routed by."""

    task: Task
    policy: Policy
    """With the task's present agent at work (`Policy.by`)."""
