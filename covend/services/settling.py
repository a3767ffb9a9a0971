"""From how an attempt ended to its settlement: what becomes of its task, and what shall be seen.

The shell of `core.retry` and `core.effects.plan`; a fault of theirs leaves no task without an end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import random

from covend.core.effects.diff import ChangedFile
from covend.core.effects.plan import plan_end, plan_start, plan_stop
from covend.core.model import Claim, EffectDraft, EffectId, Ending, Moment, Task
from covend.core.retry import Again, History, decide
from covend.core.settings import Policy, Retry
from covend.core.states import Outcome, TaskState
from covend.services.clock import Clock
from covend.services.endings import broken, cancelled
from covend.store.protocol import Settlement
from covend.telemetry.logs import Log

log = Log("settling")
Effects = tuple[tuple[EffectId, EffectDraft], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Next:
    """Where the task goes, why, and when it may run again."""

    target: TaskState
    reason: str
    not_before_at: Moment = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Publishing:
    """What plans of visible effects need to know of this daemon."""

    is_app: bool
    key: bytes
    """Signs the markers by which covend's own comments and reviews are found again."""


_WITHOUT_CHOICE = {
    Outcome.SUCCEEDED: TaskState.COMPLETED,
    Outcome.CANCELLED: TaskState.CANCELLED,
    Outcome.SUPERSEDED: TaskState.SUPERSEDED,
}


def choose_next(task: Task, ending: Ending, retry: Retry, now: Moment, jitter: float) -> Next:
    """Say what becomes of a running task; `jitter` is a random number from 0 to 1."""
    target = _WITHOUT_CHOICE.get(ending.outcome)
    if target is not None:
        return Next(target=target, reason=ending.outcome)
    is_infrastructure = ending.outcome in (Outcome.INTERRUPTED, Outcome.LOST)
    history = History(
        failures=task.failures + (not is_infrastructure),
        infrastructure_failures=task.infrastructure_failures + is_infrastructure,
    )
    decision = decide(ending, history, retry, now, jitter)
    if isinstance(decision, Again):
        reason = ending.outcome if is_infrastructure else decision.reason
        return Next(target=TaskState.QUEUED, reason=reason, not_before_at=decision.at)
    return Next(
        target=TaskState.FAILED, reason=f"{ending.error_code or ending.outcome}: {decision.why}"
    )


class Settlements:
    """Plans how attempts are settled."""

    def __init__(self, *, clock: Clock, publishing: Publishing) -> None:
        """Name effects by `clock`, and sign them as `publishing` says."""
        self._clock = clock
        self._publishing = publishing

    def begin(self, claim: Claim, policy: Policy) -> Effects:
        """Say what shall be seen of the beginning."""
        return self._named(plan_start(claim, policy, app=self._publishing.is_app))

    def stop(self, task: Task, policy: Policy, target: TaskState) -> Effects:
        """Say what shall be seen of a task that ends while nobody is at it."""
        return self._named(plan_stop(task, policy, target=target, app=self._publishing.is_app))

    def plan(
        self,
        claim: Claim,
        policy: Policy,
        ending: Ending,
        *,
        files: Sequence[ChangedFile] | None = None,
        log_bytes: int = 0,
    ) -> Settlement:
        """Say what becomes of the task, and what shall be seen of it; also what does where somebody
        has asked to cancel it.

        What cannot be planned ends as a fault of covend, and without any effect where need be.
        """
        for candidate in (ending, broken(ending)):
            try:
                planned = self._planned(claim, policy, candidate, files, log_bytes)
                other = self._planned(claim, policy, cancelled(candidate), None, log_bytes)
                return replace(planned, if_cancelled=other)
            except Exception:
                log.exception("the end of an attempt cannot be planned")
        return unplanned(ending, log_bytes=log_bytes)

    def _planned(
        self,
        claim: Claim,
        policy: Policy,
        ending: Ending,
        files: Sequence[ChangedFile] | None,
        log_bytes: int,
    ) -> Settlement:
        now = self._clock.now()
        jitter = random()  # noqa: S311  no secret
        following = choose_next(claim.task, ending, policy.agent.retry, now, jitter)
        drafts = plan_end(
            claim,
            policy,
            ending,
            target=following.target,
            app=self._publishing.is_app,
            key=self._publishing.key,
            now=now,
            files=files,
        )
        return Settlement(
            target=following.target,
            reason=following.reason,
            ending=ending,
            not_before_at=following.not_before_at,
            log_bytes=log_bytes,
            effects=self._named(drafts),
        )

    def _named(self, drafts: Sequence[EffectDraft]) -> Effects:
        return tuple((EffectId(self._clock.new_id()), draft) for draft in drafts)


def unplanned(former: Ending | None = None, *, log_bytes: int = 0) -> Settlement:
    """Give the task up without anything to see: the last way out where covend itself fails."""
    ending = broken(former)
    return Settlement(
        target=TaskState.FAILED,
        reason=f"{ending.error_code}: final",
        ending=ending,
        log_bytes=log_bytes,
    )
