"""Out of `received`: look up what the payload lacked, judge the rule once more, and queue, hold for
an approval, or refuse.

What merely cannot be looked up now, and a head whose checks are not all in, waits, and the task
says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import anyio

from covend.core.effects.acknowledge import Reaction, acknowledge_task
from covend.core.errors import GitHubError, StoreError
from covend.core.model import EffectDraft, EffectId, Moment, Need, Subject, Task, Trust
from covend.core.rules import checks
from covend.core.rules.admission import trust_of
from covend.core.rules.checks import HeadChecks, Stand
from covend.core.rules.routing import needs_of
from covend.core.settings import Policy, Rule
from covend.core.states import TaskState
from covend.edges.github.errors import NotFound, RateLimited
from covend.services.clock import Clock
from covend.services.looking_up import Asked, LookUps, Refusal
from covend.services.side_by_side import SideBySide
from covend.services.waiting_longer import as_long_again
from covend.services.wakeups import Wakeups
from covend.store.protocol import Tasks
from covend.telemetry.logs import Log, about
from covend.telemetry.metrics import Metrics

AT_ONCE = 8
LOOK_EVERY_S = 15.0
STORE_WAIT_S = 1.0
CHECKS_WAIT_MIN_MS = 30_000
GIVE_UP_MS = 24 * 3_600_000
STANDSTILL_MS = 2 * 3_600_000
"""What nobody has looked at for so long is not given up by one look: covend may just be back."""
NAMED_MAX = 10
"""How many checks a sentence names."""

FAULT = "fault"
CHECKS_PENDING = "checks_pending"
APPROVAL_ALONE = frozenset({Need.APPROVAL})

PolicyOf = Callable[[str, Trust], Policy | None]
"""Gives the policy in force for a rule and a trust; None where there is no such rule any more."""

log = Log("ripening")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ripe:
    """A task that is wanted: what it is about, and trust and policy where they have changed."""

    subject: Subject
    trust: Trust | None = None
    policy: Policy | None = None
    is_held: bool = False
    """Whether only an approval is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotYet:
    """Checks of the head that are not in."""

    names: tuple[str, ...]


class Ripening:
    """Works on received tasks whose time has come."""

    def __init__(
        self,
        *,
        tasks: Tasks,
        look_ups: LookUps,
        clock: Clock,
        wakeups: Wakeups,
        policy_of: PolicyOf,
        key: bytes,
        metrics: Metrics,
    ) -> None:
        """Let `look_ups` find out what is missing; `key` signs what acknowledges a command."""
        self._tasks = tasks
        self._look_ups = look_ups
        self._clock = clock
        self._wakeups = wakeups
        self._policy_of = policy_of
        self._key = key
        self._metrics = metrics

    async def run(self) -> None:
        """Ripen until cancelled."""
        async with anyio.create_task_group() as group:
            looks = SideBySide(group, at_once=AT_ONCE, bell=self._wakeups.received)
            while True:
                try:
                    await self.ripen_due(looks)
                    pause = await self._pause_s()
                except StoreError as error:
                    log.error("received tasks cannot be read", code=error.code, error=str(error))
                    pause = STORE_WAIT_S
                await self._wakeups.received.wait(pause)

    async def ripen_due(self, looks: SideBySide) -> int:
        """Start to attend to the received tasks that are due; say how many that is."""
        due = await self._tasks.ripe(now=self._clock.now(), limit=looks.limit)
        return sum(
            looks.start(task.id, partial(self._attend, task), partial(self._put_off, task))
            for task in due
        )

    async def _attend(self, task: Task) -> None:
        with about(task=task.id):
            try:
                found = await self._judge(task)
            except NotFound as error:
                found = Refusal(reason="subject_gone", message=str(error))
            except GitHubError as error:
                await self._postpone(task, error)
                return
            if isinstance(found, Refusal):
                await self._refuse(task, found)
            elif isinstance(found, NotYet):
                await self._wait_for_checks(task, found)
            elif found.is_held:
                await self._hold(task, found)
            else:
                await self._ripen(task, found)

    async def _judge(self, task: Task) -> Ripe | NotYet | Refusal:
        """Say what becomes of the task, by all that can be known of it now."""
        if task.needs <= APPROVAL_ALONE:
            return Ripe(subject=task.subject, is_held=bool(task.needs))
        event = await self._look_ups.event_of(task)
        if event is None:
            return Refusal(reason="delivery_gone", message="its delivery cannot be read any more")
        policy = await self._tasks.policy_of(task)
        is_by_permission = policy.rule.allow is not None or task.command is not None
        asked = Asked(task=task, event=event, is_by_permission=is_by_permission)
        found = await self._admit(asked, policy)
        if isinstance(found, Ripe) and Need.CHECKS in task.needs:
            stand = await self._look_ups.checks_of(task)
            return _judge_checks(stand, task.event) or found
        return found

    async def _admit(self, asked: Asked, policy: Policy) -> Ripe | Refusal:
        """Say whether the rule still wants it, and how it is to be done then."""
        task = asked.task
        considered = await self._look_ups.consider(asked, policy.rule)
        if isinstance(considered, Refusal):
            return considered
        learnt, verdict = considered
        if verdict.matched is not True:
            return Refusal(reason=verdict.reason, message=f"{verdict.reason} does not hold")
        trust = trust_of(asked.event, learnt.known)
        chosen = self._choose(task, policy.rule, trust)
        if isinstance(chosen, Refusal):
            return chosen
        return Ripe(
            subject=learnt.complete(task.subject),
            trust=None if trust is task.trust else trust,
            policy=chosen,
            is_held=Need.APPROVAL in needs_of(verdict) and task.approved_at is None,
        )

    def _choose(self, task: Task, rule: Rule, trust: Trust) -> Policy | Refusal | None:
        """Give the policy for the trust as it is known by now; None where it is the task's own.

        Only the rules in force know it: where they are others by now, and it matters, the work has
        to be asked for again.
        """
        if trust is task.trust or not any(_binds(rule, each) for each in (trust, task.trust)):
            return None
        routed, wanted = (self._policy_of(task.rule, each) for each in (task.trust, trust))
        if routed is None or wanted is None or routed.sha256 != task.policy:
            message = (
                f"the rule has changed since, so how it treats {trust} is not known: ask again"
            )
            return Refusal(reason="rule_changed", message=message)
        return None if wanted.sha256 == task.policy else wanted

    async def _ripen(self, task: Task, ripe: Ripe) -> None:
        now, subject = self._clock.now(), ripe.subject
        if await self._tasks.ripen(task.id, subject, now, trust=ripe.trust, policy=ripe.policy):
            log.info("ripe", head_sha=subject.head_sha, trust=ripe.trust or task.trust)
            self._wakeups.queued.wake()

    async def _hold(self, task: Task, ripe: Ripe) -> None:
        now, subject = self._clock.now(), ripe.subject
        if await self._tasks.hold(task.id, subject, now, trust=ripe.trust, policy=ripe.policy):
            log.info("held for approval", trust=ripe.trust or task.trust)

    async def _wait_for_checks(self, task: Task, found: NotYet) -> None:
        """Look again soon at first, then less often; after a day give up."""
        now, names = self._clock.now(), _listed(found.names)
        if _has_waited_long(task, now):
            message = f"after a day these checks are not in: {names}"
            await self._refuse(task, Refusal(reason=CHECKS_PENDING, message=message))
            return
        until = as_long_again(task.created_at, now, least_ms=CHECKS_WAIT_MIN_MS)
        log.info("checks are pending", checks=names, until=until)
        await self._tasks.postpone(
            task.id, reason=CHECKS_PENDING, until=until, now=now, seen_at=task.updated_at
        )

    async def _refuse(self, task: Task, refusal: Refusal) -> None:
        reason, message = refusal.reason, refusal.message
        effects = self._named(acknowledge_task(task, Reaction.REFUSED, key=self._key))
        now = self._clock.now()
        if await self._tasks.refuse(
            task.id, reason=reason, message=message, now=now, effects=effects
        ):
            log.info("refused", reason=reason, why=message)
            self._metrics.count_task(task.rule, task.repository or "none", TaskState.IGNORED)
            self._wakeups.followers.wake(task.id)
            if effects:
                self._wakeups.effects.wake()

    def _named(self, drafts: Sequence[EffectDraft]) -> list[tuple[EffectId, EffectDraft]]:
        return [(EffectId(self._clock.new_id()), draft) for draft in drafts]

    async def _postpone(self, task: Task, error: GitHubError) -> None:
        """Wait for about as long as the task has waited already; after a day give up."""
        now = self._clock.now()
        if _has_waited_long(task, now):
            await self._refuse(task, Refusal(reason="look_up_failed", message=str(error)))
            return
        until = (
            error.retry_at
            if isinstance(error, RateLimited)
            else as_long_again(task.created_at, now)
        )
        log.warning("a look-up failed", code=error.code, error=str(error), until=until)
        await self._tasks.postpone(task.id, reason=f"look_up: {error.code}", until=until, now=now)

    async def _put_off(self, task: Task) -> None:
        """Let others go first after a fault of covend's own; after a day give up."""
        now = self._clock.now()
        if now - task.created_at > GIVE_UP_MS:
            await self._refuse(task, Refusal(reason=FAULT, message="covend itself fails at this"))
        else:
            until = as_long_again(task.created_at, now)
            await self._tasks.postpone(task.id, reason=FAULT, until=until, now=now)

    async def _pause_s(self) -> float:
        now = self._clock.now()
        due = await self._tasks.next_due_at(TaskState.RECEIVED, now)
        return LOOK_EVERY_S if due is None else min(LOOK_EVERY_S, max(0.01, (due - now) / 1000))


def _has_waited_long(task: Task, now: Moment) -> bool:
    """Say whether it was looked at for a day; a covend that did not run has looked at nothing."""
    return now - task.created_at > GIVE_UP_MS and now - task.updated_at < STANDSTILL_MS


def _judge_checks(found: HeadChecks, name: str) -> NotYet | Refusal | None:
    """Say why not yet, or not at all; None where all checks stand as the event's name says."""
    if found.stand is Stand.PENDING:
        return NotYet(names=found.names)
    has_passed = found.stand is Stand.PASSED
    if name == (checks.PASSED if has_passed else checks.FAILED):
        return None
    verb = "passed" if has_passed else "failed"
    message = f"{name} does not hold: these have {verb}: {_listed(found.names)}"
    return Refusal(reason=f"checks_{verb}", message=message)


def _binds(rule: Rule, trust: Trust) -> bool:
    """Say whether the rule works otherwise for that trust."""
    terms = rule.trust.get(trust)
    return terms is not None and (terms.agent, terms.sandbox, terms.budgets) != (None, None, None)


def _listed(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:NAMED_MAX]) or "none is known"
    return f"{shown} and {len(names) - NAMED_MAX} more" if len(names) > NAMED_MAX else shown
