"""From how an attempt ended to its settlement: what becomes of its task, what shall be seen, what
its safeguards learn from it, and what follows.

The shell of `core.retry`, `core.fallback`, `core.safeguards.learning` and `core.effects.plan`; a
fault of theirs leaves no task without an end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from random import random

from covend.core import fallback
from covend.core.bounds import Retry
from covend.core.effects.concluding import plan_again, plan_conclusion, plan_unfit
from covend.core.effects.diff import ChangedFile
from covend.core.effects.plan import plan_end, plan_start, plan_stop
from covend.core.ending import Ending
from covend.core.failures import kind_of
from covend.core.model import Claim, Effect, EffectDraft, EffectId, EffectKind, Moment, Task
from covend.core.retry import INFRASTRUCTURE, History, decide, too_old_at
from covend.core.safeguards.learning import Ended, learn, lesson_ids
from covend.core.safeguards.shapes import Lesson, Safeguard, Terms
from covend.core.settings import Policy
from covend.core.states import Outcome, TaskState
from covend.services.clock import Clock
from covend.services.endings import broken, cancelled, superseded, too_old
from covend.store.protocol import Arrival, LessonOf, Settlement
from covend.telemetry.logs import Log
from covend.telemetry.metrics import Metrics

log = Log("settling")
Effects = tuple[tuple[EffectId, EffectDraft], ...]
Follow = Callable[[Task, Ending, TaskState], Arrival | None]
CallBack = Callable[[Task, Policy, Ending, TaskState], Sequence[EffectDraft]]
GiveTerms = Callable[[], Terms]
PLAIN = Terms(concurrency=1)
"""Safeguards as they are where nothing is configured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Next:
    """Where the task goes, why, when it may run again, and how."""

    target: TaskState
    reason: str
    not_before_at: Moment = 0
    is_deferred: bool = False
    agent: str | None = None
    is_afresh: bool = False
    retry_until_at: Moment | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Publishing:
    """What plans of visible effects need to know of this daemon."""

    is_app: bool
    key: bytes
    """Signs the markers by which covend's own comments and reviews are found again."""


class Learning:
    """What safeguards make of one end; remembers which have tripped by it, for whoever tells."""

    def __init__(self, ended: Ended) -> None:
        self.trips: tuple[str, ...] = ()
        self._ended = ended

    def __call__(self, guards: Mapping[str, Safeguard]) -> Lesson:
        """Decide, by the rows that the settling transaction has read."""
        lesson = learn(self._ended, guards)
        self.trips = lesson.trips
        return lesson


_WITHOUT_CHOICE = {
    Outcome.SUCCEEDED: TaskState.COMPLETED,
    Outcome.CANCELLED: TaskState.CANCELLED,
    Outcome.SUPERSEDED: TaskState.SUPERSEDED,
}
_CHECKED = frozenset({EffectKind.CHECK, EffectKind.STATUS})
_UNDER_WAY = (("status", "in_progress"), ("state", "pending"))


def choose_next(
    claim: Claim,
    policy: Policy,
    ending: Ending,
    now: Moment,
    jitter: float,
    *,
    was_resumed: bool = False,
) -> Next:
    """Say what becomes of a running task; `jitter` is a random number from 0 to 1, `policy` has the
    attempt's agent at work, and `was_resumed` where that went on with a session.
    """
    target = _WITHOUT_CHOICE.get(ending.outcome)
    if target is not None:
        return Next(target=target, reason=ending.outcome)
    task, retry = claim.task, policy.agent.retry
    is_infrastructure = ending.outcome in INFRASTRUCTURE
    history = History(
        failures=task.failures + (not is_infrastructure),
        infrastructure_failures=task.infrastructure_failures + is_infrastructure,
    )
    since = _tried_since(claim, retry)
    decision = decide(ending, history, retry, now, jitter, since)
    step = fallback.choose_step(task, ending, decision, was_resumed=was_resumed, policy=policy)
    if step.target is fallback.Target.NONE:
        return Next(target=TaskState.FAILED, reason=step.reason)
    until = too_old_at(retry, since)
    return Next(
        target=TaskState.QUEUED,
        reason=step.reason,
        not_before_at=now if step.at is None else step.at,
        is_deferred=step.is_deferred,
        agent=step.agent,
        is_afresh=step.is_afresh,
        retry_until_at=task.retry_until_at if is_infrastructure else until,
    )


def _tried_since(claim: Claim, retry: Retry) -> Moment:
    """Say since when the task has been tried: the first attempt that failed says so for all that
    follow, also for those of another agent. How long it waited before that is not its fault.
    """
    until = claim.task.retry_until_at
    return claim.started_at if until is None else until - round(1000 * retry.age_s)


class Settlements:
    """Plans how attempts are settled."""

    def __init__(
        self,
        *,
        clock: Clock,
        publishing: Publishing,
        terms: GiveTerms = lambda: PLAIN,
        follow: Follow = lambda _task, _ending, _target: None,
        call_back: CallBack = lambda _task, _policy, _ending, _target: (),
    ) -> None:
        """Name effects by `clock`, and sign them as `publishing` says; safeguards learn by what
        `terms` gives, `follow` gives the delivery of a task's end (`Following.arrival`), and
        `call_back` who is told of it (`Notifying.drafts`).
        """
        self._clock = clock
        self._publishing = publishing
        self._terms = terms
        self._follow = follow
        self._call_back = call_back

    def begin(self, claim: Claim, policy: Policy) -> Effects:
        """Say what shall be seen of the beginning."""
        publishing = self._publishing
        drafts = plan_start(claim, policy, app=publishing.is_app, key=publishing.key)
        return self._named(drafts)

    def stop(self, task: Task, policy: Policy, target: TaskState) -> Effects:
        """Say what shall be seen of a task that ends while nobody is at it."""
        publishing = self._publishing
        drafts = plan_stop(task, policy, target=target, app=publishing.is_app, key=publishing.key)
        return self._named((*drafts, *self._call_back(task, policy, too_old(task), target)))

    def conclude(self, task: Task, policy: Policy) -> Effects:
        """Say what shall be seen of a task that has ended, and whose check does not show it."""
        return self._named(plan_conclusion(task, policy, app=self._publishing.is_app))

    def again(self, task: Task, policy: Policy) -> Effects:
        """Say what shall be seen of a task that is to be done again."""
        return self._named(plan_again(task, policy, app=self._publishing.is_app))

    def unfit(self, task: Task, policy: Policy, why: str) -> Effects:
        """Say what shall be seen of a task that cannot be done again."""
        return self._named(plan_unfit(task, policy, why, app=self._publishing.is_app))

    def follower(self, task: Task, ending: Ending, target: TaskState) -> Arrival | None:
        """Give the delivery of an end that no attempt has made."""
        return self._follow(task, ending, target)

    def plan(
        self,
        claim: Claim,
        policy: Policy,
        ending: Ending,
        *,
        files: Sequence[ChangedFile] | None = None,
        outdated: Sequence[str] = (),
        log_bytes: int = 0,
        was_resumed: bool = False,
    ) -> Settlement:
        """Say what becomes of the task, and what shall be seen of it; also what does where somebody
        has asked to cancel it, or a newer head has taken its place.

        What cannot be planned ends as a fault of covend, and without any effect where need be.
        """
        for candidate in (ending, broken(ending)):
            try:
                planned = partial(self._planned, claim, policy, log_bytes, was_resumed, outdated)
                return replace(
                    planned(candidate, files),
                    if_cancelled=planned(cancelled(candidate), None),
                    if_superseded=planned(superseded(candidate), None),
                )
            except Exception:
                log.exception("the end of an attempt cannot be planned")
        return unplanned(ending, log_bytes=log_bytes)

    def _planned(
        self,
        claim: Claim,
        policy: Policy,
        log_bytes: int,
        was_resumed: bool,  # noqa: FBT001  bound once, by `plan`
        outdated: Sequence[str],
        ending: Ending,
        files: Sequence[ChangedFile] | None,
    ) -> Settlement:
        now = self._clock.now()
        jitter = random()  # noqa: S311  no secret
        following = choose_next(claim, policy, ending, now, jitter, was_resumed=was_resumed)
        drafts = plan_end(
            claim,
            policy,
            ending,
            target=following.target,
            app=self._publishing.is_app,
            key=self._publishing.key,
            now=now,
            files=files,
            outdated=outdated,
        )
        call_backs = self._call_back(claim.task, policy, ending, following.target)
        return Settlement(
            target=following.target,
            reason=following.reason,
            ending=ending,
            not_before_at=following.not_before_at,
            log_bytes=log_bytes,
            effects=self._named((*drafts, *call_backs)),
            is_deferred=following.is_deferred,
            agent=following.agent,
            is_afresh=following.is_afresh,
            retry_until_at=following.retry_until_at,
            lesson=self._lesson(claim.task, policy, ending, following.target),
            follower=self._follow(claim.task, ending, following.target),
        )

    def _lesson(
        self, task: Task, policy: Policy, ending: Ending, target: TaskState
    ) -> LessonOf | None:
        terms = self._terms()
        is_on_github = bool(task.repository) and not task.is_foreign
        hosts = (terms.host,) if terms.host and is_on_github else ()
        ended = Ended(
            task=task,
            policy=policy,
            ending=ending,
            target=target,
            settings=terms.safeguards,
            hosts=hosts,
            now=self._clock.now(),
        )
        ids = lesson_ids(task, policy.agent.name, hosts)
        return LessonOf(ids=ids, learn=Learning(ended)) if ids else None

    def _named(self, drafts: Sequence[EffectDraft]) -> Effects:
        return tuple((EffectId(self._clock.new_id()), draft) for draft in drafts)


def is_announced(effects: Sequence[Effect]) -> bool:
    """Say whether these effects of a task show already that work on it is under way: its newest
    check or status says so, until its end or its next generation.
    """
    shown = [each for each in effects if each.kind in _CHECKED]
    if not shown:
        return False
    body = max(shown, key=lambda each: each.id).request.get("body") or {}
    return any(body.get(name) == value for name, value in _UNDER_WAY)


def tell(settlement: Settlement, task: Task, metrics: Metrics) -> None:
    """Count and log what a written settlement did beside the end: safeguards that have tripped by
    it, and a change of the agent.
    """
    learning = settlement.lesson.learn if settlement.lesson else None
    for safeguard in learning.trips if isinstance(learning, Learning) else ():
        log.warning("a safeguard has tripped", safeguard=safeguard, task=task.id)
        metrics.safeguard_trips.labels(safeguard.partition("/")[0]).inc()
    if settlement.agent is not None:
        why = kind_of(settlement.ending)
        log.warning("another agent goes on", task=task.id, was=task.agent, now=settlement.agent)
        metrics.fallbacks.labels(task.agent, settlement.agent, why).inc()


def unplanned(former: Ending | None = None, *, log_bytes: int = 0) -> Settlement:
    """Give the task up without anything to see: the last way out where covend itself fails."""
    ending = broken(former)
    return Settlement(
        target=TaskState.FAILED,
        reason=f"{ending.error_code}: final",
        ending=ending,
        log_bytes=log_bytes,
    )
