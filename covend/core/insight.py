"""What operators are shown of the last hour, of agents, rules and money, gathered out of what is
stored.

Each look is bounded, by time or by a number of rows, the newest first: `is_cut` says that there
was more than it has counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from covend.core.model import Moment, TaskId
from covend.core.safeguards.shapes import Safeguard, Spent
from covend.core.states import EffectState, Outcome, TaskState

BUCKET_MS = 300_000
BUCKETS_COUNT = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """Five minutes: what came in them, and what ended."""

    since_at: Moment
    deliveries: int
    ended: Mapping[TaskState, int]
    """Tasks, by the state they ended in; none is left out, also where it is 0."""
    outcomes: Mapping[Outcome, int]
    """Attempts; those that did not occur are left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hour:
    """The last hour, oldest first; the last of its buckets is not over yet."""

    buckets: tuple[Bucket, ...]
    is_cut: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """The newest attempt of an agent that has failed."""

    code: str | None
    at: Moment
    task: TaskId


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentFigures:
    """What an agent has done in a while."""

    agent: str
    attempts: int = 0
    running: int = 0
    """Tasks that it is at now."""
    succeeded: int = 0
    failed: int = 0
    """By its own fault or its time; what was stopped, interrupted or lost is in neither."""
    p50_s: float | None = None
    p95_s: float | None = None
    """So long at most took half, and 95 of 100, of those that succeeded or failed."""
    cost_usd: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0
    trouble: Trouble | None = None
    guards: tuple[Safeguard, ...] = ()
    """What holds it, or counts against it: suppressions, circuits, pauses."""

    @property
    def success_share(self) -> float | None:
        """Give succeeded of those that succeeded or failed, 0 to 1; None where there are none."""
        judged = self.succeeded + self.failed
        return self.succeeded / judged if judged else None


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleFigures:
    """What a rule has brought about in a while."""

    rule: str
    tasks: Mapping[TaskState, int]
    last_hit_at: Moment | None
    refusals: Mapping[str, int]
    """By the clause that said no: of the newest deliveries whose event it listens to."""
    first_effect_s: float | None
    """Median from the delivery to the first thing that was visible."""

    @property
    def hits(self) -> int:
        """Give how many tasks it has asked for."""
        return sum(self.tasks.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxLine:
    """The effects of one state."""

    state: EffectState
    count: int
    oldest_at: Moment


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """What was spent today (UTC); `everything` and `repositories` are what budgets are held to."""

    everything: Spent
    repositories: Mapping[str, Spent]
    """By name, the dearest first, and no more than some."""
    agents: Mapping[str, Spent]
    rules: Mapping[str, Spent]
    """Of the attempts that began today."""
