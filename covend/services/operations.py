"""The operator's verbs. Refuses what the state of a thing does not allow; waits for no agent.

What an operator has wished is on disk before anybody is asked to fulfil it: no crash forgets it.
Each verb may be said twice; `by` says who has said it, for timelines and logs.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection
from difflib import get_close_matches

from covend.core.contract.outcome import StopReason
from covend.core.errors import (
    AlreadyEndedError,
    ConflictError,
    NotFoundError,
    NotPermittedError,
    StoreError,
    UserError,
)
from covend.core.model import Need, Task, TaskId
from covend.core.safeguards.names import ALL, DRAIN, PAUSE_ALL
from covend.core.safeguards.shapes import Safeguard, SafeguardKind
from covend.core.states import TaskState
from covend.core.waiting import explain_waiting, in_words
from covend.services.clock import Clock
from covend.services.settling import Effects, Settlements
from covend.services.wakeups import Wakeups
from covend.store.protocol import Guards, Tasks
from covend.telemetry.logs import Log
from covend.telemetry.metrics import Metrics

OPERATOR = "operator"
"""Who has done it, in timelines: there is one token, and whoever holds it is the operator."""
COMMENTER = "@"
"""What the name of somebody who has said it in a comment begins with."""
TRIES_MAX = 5
"""So often a task is looked at again that moved between the look and the wish."""
SCOPES = "all, rule:NAME, agent:NAME or repository:OWNER/NAME"
"""What can be paused."""

_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
_REPOSITORY = r"[A-Za-z0-9_.-]{1,100}"
_SCOPE = re.compile(rf"all|(rule|agent):{_NAME}|repository:{_REPOSITORY}/{_REPOSITORY}")
_NEAREST_MAX = 3
_SAID_LIKE = 0.5
"""How alike a name must be to be offered in place of one that nobody knows."""

StopAttempt = Callable[[TaskId, StopReason], bool]
"""Ask what runs of a task to end now; False where nothing of it runs in this process."""
OnDrain = Callable[[bool], None]
"""Take no deliveries and claim nothing from now on; or, with False, go on."""
NamesOf = Callable[[str], Collection[str] | None]
"""Gives the names of the rules (`rule`) or agents (`agent`) in force; None where nobody knows."""
Try = Callable[[Task], Awaitable[Task | None]]
"""Do it to a task as it was read; None where it has moved since."""
log = Log("operations")


class Operations:
    """What operators may do to tasks and safeguards."""

    def __init__(  # noqa: PLR0913 - the one desk before the rooms that it has a say in
        self,
        *,
        tasks: Tasks,
        guards: Guards,
        clock: Clock,
        wakeups: Wakeups,
        metrics: Metrics,
        settlements: Settlements,
        stop_attempt: StopAttempt,
        on_drain: OnDrain,
        names_of: NamesOf = lambda _kind: None,
    ) -> None:
        """Stop attempts by `stop_attempt`, which the dispatcher has; `on_drain` is told whether the
        daemon drains whenever that may have changed. What can be paused is known by `names_of`.
        """
        self._tasks = tasks
        self._guards = guards
        self._clock = clock
        self._wakeups = wakeups
        self._metrics = metrics
        self._settlements = settlements
        self._stop_attempt = stop_attempt
        self._on_drain = on_drain
        self._names_of = names_of

    # --- tasks ------------------------------------------------------------------------------------

    async def cancel(self, task: str, why: str = "", *, by: str = OPERATOR) -> Task:
        """Cancel what waits, at once; ask what runs to stop. Give the task as it is then.

        A task that is still `running` then will end as `cancelled`, whatever its attempt comes to,
        also over a restart. To cancel twice is to cancel once. The task may be named by the
        beginning of its id. Raises NotFoundError, AmbiguousIdError, and AlreadyEndedError where it
        has ended in another way.
        """
        reason = _reason(by, why)
        return await self._insist(task, lambda found: self._cancelled(found, reason))

    async def retry(self, task: str, why: str = "", *, by: str = OPERATOR) -> Task:
        """Queue a task once more that has failed or was cancelled, with all its tries; give it.

        The task may be named by the beginning of its id. Raises NotFoundError, AmbiguousIdError,
        and ConflictError, which says what to do instead, where it has not ended so.
        """
        reason = _reason(by, why)
        return await self._insist(task, lambda found: self._retried(found, reason))

    async def approve(self, task: str, *, by: str = OPERATOR) -> Task:
        """Say yes to a task that waits for it; give the task as it is then.

        To approve twice is to approve once. The task may be named by the beginning of its id.
        Raises NotFoundError, AmbiguousIdError, and ConflictError where it waits for something else.
        """
        return await self._insist(task, lambda found: self._approved(found, by))

    async def _insist(self, task: str, attempt: Try) -> Task:
        """Try it on the task as it is, until it stands still for it."""
        for _ in range(TRIES_MAX):
            if (done := await attempt(await self._find(task))) is not None:
                return done
        raise ConflictError(f"Task {task} keeps moving: try again.", id=task)

    async def _find(self, task: str) -> Task:
        story = await self._tasks.story(task)
        if story is None:
            raise NotFoundError(f"There is no task {task}.", id=task)
        return story.task

    async def _cancelled(self, task: Task, reason: str) -> Task | None:
        match task.state:
            case TaskState.RECEIVED | TaskState.QUEUED:
                return await self._take_back(task, reason)
            case TaskState.RUNNING:
                return await self._stop(task, reason)
            case TaskState.CANCELLED:
                return task
            case _:
                raise AlreadyEndedError(
                    f"Task {task.id} is {task.state}: there is nothing to cancel.",
                    id=task.id,
                    state=task.state,
                )

    async def _take_back(self, task: Task, reason: str) -> Task | None:
        effects, now = await self._effects(task), self._clock.now()
        cancelled = await self._tasks.cancel(task, reason=reason, effects=effects, now=now)
        if cancelled is not None:
            log.info("task cancelled", task=task.id, was=task.state, reason=reason)
            self._metrics.count_task(task.rule, task.repository or "none", TaskState.CANCELLED)
            self._wakeups.effects.wake()
            self._wakeups.callbacks.wake()
            self._wakeups.followers.wake(task.id)
        return cancelled

    async def _stop(self, task: Task, reason: str) -> Task | None:
        asked = await self._tasks.request_cancel(task.id, reason=reason, now=self._clock.now())
        if asked is not None:
            is_here = self._stop_attempt(task.id, StopReason.CANCELLED)
            log.info("cancel requested", task=task.id, reason=reason, runs_here=is_here)
        return asked

    async def _effects(self, task: Task) -> Effects:
        """Plan what shall be seen; what cannot be planned keeps nobody from cancelling."""
        try:
            policy = await self._tasks.policy_of(task)
            return self._settlements.stop(task, policy, TaskState.CANCELLED)
        except StoreError:
            raise
        except Exception:
            log.exception("the end of a task cannot be shown", task=task.id)
            return ()

    async def _retried(self, task: Task, reason: str) -> Task | None:
        if task.state not in {TaskState.FAILED, TaskState.CANCELLED}:
            raise ConflictError(self._why_no_retry(task), id=task.id, state=task.state)
        retried = await self._tasks.retry(task.id, reason=reason, now=self._clock.now())
        if retried is not None:
            log.info("task retried", task=task.id, was=task.state, reason=reason)
            self._wakeups.queued.wake()
            self._wakeups.followers.wake(task.id)
        return retried

    def _why_no_retry(self, task: Task) -> str:
        match task.state:
            case TaskState.RECEIVED | TaskState.QUEUED:
                why = explain_waiting(task, self._clock.now())
                return f"Task {task.id} is {task.state} already: {why}."
            case TaskState.RUNNING:
                return f"Task {task.id} is running: its agent is still at it; cancel it first."
            case TaskState.SUPERSEDED:
                newer = f": task {task.superseded_by} took its place" if task.superseded_by else ""
                return f"Task {task.id} is superseded{newer}; what it was about is not there now."
            case _:
                told = f"Task {task.id} is {task.state}: only what has failed or was cancelled is"
                anew = "a new commit, a command in a comment, or `covend replay DELIVERY`"
                return f"{told} tried again. To have it done anew: {anew}."

    async def _approved(self, task: Task, by: str) -> Task | None:
        if task.approved_at is not None:
            return task
        if task.state is not TaskState.RECEIVED or Need.APPROVAL not in task.needs:
            why = explain_waiting(task, self._clock.now()) or f"it is {task.state}"
            message = f"Task {task.id} does not wait to be approved: {why}."
            raise ConflictError(message, id=task.id, state=task.state)
        approved = await self._tasks.approve(task.id, by=by, now=self._clock.now())
        if approved is not None:
            log.info("task approved", task=task.id, by=by, trust=task.trust)
            self._wakeups.received.wake()
            self._wakeups.queued.wake()
        return approved

    # --- safeguards -------------------------------------------------------------------------------

    async def pause(self, scope: str, why: str = "", *, by: str = OPERATOR) -> Safeguard:
        """Let nothing of a scope start until it is resumed; what runs goes on. Give the pause.

        A scope is one of `SCOPES`; raises UserError for anything else, and NotFoundError, which
        names the nearest, for a rule or an agent that there is not. A repository may be paused
        before its first task; `values["unknown"]` says so then. A comment leaves an operator's
        pause as it is, and so does whoever gives no reason for one that has a reason.
        """
        checked = _read_scope(scope)
        there = await self._guards.find(f"pause/{checked}")
        if there is not None and (_is_out_of_reach(there, by) or _says_less(there, why, by)):
            return there
        unknown = await self._unknown(checked)
        paused = await self._hold(SafeguardKind.PAUSE, checked, "paused", why, by, **unknown)
        # So that what waits says at once why it does.
        self._wakeups.queued.wake()
        return paused

    async def drain(self, why: str = "", *, by: str = OPERATOR) -> Safeguard:
        """Take no deliveries and start nothing until everything is resumed, also over a restart;
        what runs goes on. Give the drain.
        """
        drained = await self._hold(SafeguardKind.DRAIN, ALL, "draining", why, by)
        await self._tell_drain()
        return drained

    async def resume(
        self, scope: str, why: str = "", *, by: str = OPERATOR
    ) -> tuple[Safeguard, ...]:
        """Lift the pause of a scope, give what was lifted: nothing where it was not paused.

        `all` lifts the pause of everything and the drain, and leaves pauses of a rule, an agent or
        a repository as they are. Raises UserError for what is no scope, and NotPermittedError where
        a comment would lift what an operator has paused.
        """
        checked = _read_scope(scope)
        ids = (PAUSE_ALL, DRAIN) if checked == ALL else (f"pause/{checked}",)
        for each in ids:
            there = await self._guards.find(each)
            if there is not None and _is_out_of_reach(there, by):
                raise NotPermittedError(
                    f"{each} is an operator's: `covend resume` lifts it.", id=each
                )
        now = self._clock.now()
        found = [await self._guards.reset(each, now) for each in ids]
        lifted = tuple(each for each in found if each is not None)
        await self._let_go(lifted, why, by)
        return lifted

    async def reset(self, safeguard: str, why: str = "", *, by: str = OPERATOR) -> Safeguard:
        """Put a safeguard at rest, so that what it held goes on; give what it was.

        Raises NotFoundError, which names the nearest, where none of that id has anything to say,
        and ConflictError for a rate limit: it has no count of its own that could be reset.
        """
        found = await self._guard(safeguard)
        if found.kind is SafeguardKind.RATE:
            when = in_words(found.until, self._clock.now())
            told = f"{found.id} counts what has started: it goes on {when}, or with a larger max"
            raise ConflictError(f"{told} in safeguards.rate.", id=found.id)
        was = await self._guards.reset(found.id, self._clock.now()) or found
        await self._let_go((was,), why, by)
        return was

    async def _hold(
        self, kind: SafeguardKind, scope: str, state: str, why: str, by: str, **said: str
    ) -> Safeguard:
        now = self._clock.now()
        wished = Safeguard(
            id=f"{kind}/{scope}",
            kind=kind,
            scope=scope,
            state=state,
            reason=_reason(by, why),
            until=None,
            values={"by": by, "why": why, **said},
            created_at=now,
            updated_at=now,
        )
        held = await self._guards.put(wished, now)
        log.warning("held", safeguard=held.id, reason=held.reason)
        return held

    async def _unknown(self, scope: str) -> dict[str, str]:
        """Say of a repository that nobody has heard of it; refuse a rule or an agent of which
        nothing is in force and nothing waits.
        """
        kind, _, name = scope.partition(":")
        if kind == "repository":
            known = await self._tasks.repositories()
            if name in {each.lower() for each in known}:
                return {}
            return {"unknown": _nobody_knows("task in", name, _nearest(name, known))}
        names = self._names_of(kind)
        if not names or name in names or await self._tasks.waits_for(**{kind: name}):
            return {}
        nearest = _nearest(name, names)
        raise NotFoundError(_nobody_knows(kind, name, nearest), name="scope", nearest=nearest)

    async def _guard(self, safeguard: str) -> Safeguard:
        """Give it by its id, however that is capitalised: names of repositories are in any case."""
        if (found := await self._guards.find(safeguard)) is not None:
            return found
        known = await self._guards.list()
        for each in known:
            if each.id.lower() == safeguard.lower():
                return each
        raise _unknown(safeguard, [each.id for each in known])

    async def _let_go(self, lifted: tuple[Safeguard, ...], why: str, by: str) -> None:
        for each in lifted:
            log.warning("let go", safeguard=each.id, was=each.state, reason=_reason(by, why))
        if any(each.kind is SafeguardKind.DRAIN for each in lifted):
            await self._tell_drain()
        self._wakeups.queued.wake()
        self._wakeups.callbacks.wake()

    async def _tell_drain(self) -> None:
        """Tell what the store says by now: of two who wish opposites, the last one has it."""
        self._on_drain(await self._guards.find(DRAIN) is not None)


def _is_out_of_reach(paused: Safeguard, by: str) -> bool:
    """Say whether an operator has paused it, and somebody in a comment wants to change that."""
    return by.startswith(COMMENTER) and not str(paused.values.get("by", "")).startswith(COMMENTER)


def _says_less(paused: Safeguard, why: str, by: str) -> bool:
    """Say whether pausing again without a reason would only forget the reason that there is."""
    return not why and bool(paused.values.get("why")) and paused.values.get("by") == by


def _reason(by: str, why: str) -> str:
    return f"{by}: {why}" if why else by


def _read_scope(scope: str) -> str:
    if _SCOPE.fullmatch(scope) is None:
        raise UserError(f"{scope!r} cannot be paused: name {SCOPES}.", name="scope")
    return scope.lower() if scope.startswith("repository:") else scope


def _unknown(safeguard: str, ids: list[str]) -> NotFoundError:
    """Say what there is instead: what is about the same subject or agent, else what looks alike."""
    kind, _, scope = safeguard.lower().partition("/")
    about_it = [each for each in ids if (scope or kind) in each.lower()]
    nearest = (about_it or get_close_matches(safeguard, ids))[:_NEAREST_MAX]
    there = f"there is {', '.join(nearest)}" if nearest else "it is at rest"
    message = f"No safeguard {safeguard} holds or counts anything: {there}."
    return NotFoundError(message, id=safeguard, nearest=nearest)


def _nearest(name: str, known: Collection[str]) -> list[str]:
    """Give the names that look like this one, the nearest first."""
    by_lower = {each.lower(): each for each in known}
    found = get_close_matches(name.lower(), by_lower, n=_NEAREST_MAX, cutoff=_SAID_LIKE)
    return [by_lower[each] for each in found]


def _nobody_knows(what: str, name: str, nearest: Collection[str]) -> str:
    there = f": did you mean {', '.join(nearest)}?" if nearest else "."
    return f"There is no {what} {name}{there}"
