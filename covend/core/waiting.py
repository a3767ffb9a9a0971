"""Says in words why a task waits, and what lets it go on: one sentence for each reason.

It is for people at a terminal, on the dashboard or in a comment, and decides nothing; programs read
`reason` and `not_before`, whose meaning never changes. Names from outside stand in it as they came:
whoever shows it makes them harmless.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import assert_never

from covend.core.amounts import whole_duration
from covend.core.model import Moment, Need, Task, Trust
from covend.core.safeguards import names, spending
from covend.core.safeguards.shapes import FOREVER, Safeguard, SafeguardKind, Waiting
from covend.core.states import TaskState


@dataclass(frozen=True, slots=True)
class _Case:
    """A task that waits, and what is known of what holds it."""

    task: Task
    now: Moment
    guards: Mapping[str, Safeguard] = field(default_factory=dict)

    @property
    def when(self) -> str:
        """Say when it is looked at again, as "in 4 min 3 s"."""
        return in_words(self.task.not_before_at, self.now)

    @property
    def subject(self) -> str:
        """Name what it is about, as operators write it."""
        return names.subject_of(self.task) or names.repository_of(self.task) or "it"


def explain_waiting(task: Task, now: Moment, guards: Iterable[Safeguard] = ()) -> str:
    """Say why a task waits and what is to be done about it; "" for one that waits for nothing.

    Of the `guards`, those that hold it say what they have counted; without them it is told in
    general.
    """
    case = _Case(task, now, {guard.id: guard for guard in guards})
    match task.state:
        case TaskState.RUNNING:
            return _stopping(task)
        case TaskState.RECEIVED | TaskState.QUEUED:
            return _waiting(case)
        case _:
            return ""


def in_words(until: Moment | None, now: Moment) -> str:
    """Say when a moment comes: "in 4 min 3 s", "now", or "when somebody lets it" where no clock
    brings it.
    """
    if until is None or until >= FOREVER:
        return "when somebody lets it"
    seconds = -(-(until - now) // 1000)
    return f"in {whole_duration(seconds)}" if seconds > 0 else "now"


def scope_words(scope: str) -> str:
    """Name what a pause holds: "everything", "rule review"."""
    return "everything" if scope == "all" else scope.replace(":", " ", 1)


def _stopping(task: Task) -> str:
    if task.superseded_by is not None:
        return f"a newer commit took its place (task {task.superseded_by}); its agent is stopped"
    if task.cancel_requested_at is not None:
        return "it is to be cancelled; its agent is stopped"
    return ""


def _waiting(case: _Case) -> str:
    task = case.task
    if task.superseded_by is not None:
        return f"a newer commit took its place (task {task.superseded_by}); it ends in a moment"
    if task.state is TaskState.QUEUED and task.reason == "closed":
        return "its pull request or issue was closed; it ends in a moment"
    if task.state is TaskState.QUEUED and task.not_before_at <= case.now:
        if (pause := _pause_of(case)) is not None:
            return _told(pause)
        return "it runs as soon as a slot is free (`covend tasks --state running`)"
    explain = _REASONS.get(task.reason.partition(":")[0], _tell_when)
    return explain(case)


# --- received -------------------------------------------------------------------------------------

_CAUSED_BY = {
    Trust.FORK: "it comes from a fork",
    Trust.FIRST_TIME: "it comes from somebody new here",
    Trust.NONE: "it comes from a stranger",
    Trust.BOT: "it comes from a bot",
}
_NEEDS = {
    Need.PATHS: "the changed paths",
    Need.HEAD: "the head commit",
    Need.PERMISSION: "the permission of who asks",
    Need.CHECKS: "the checks of the commit",
}


def _approval(case: _Case) -> str:
    task = case.task
    caused = _CAUSED_BY.get(task.trust, f"its rule holds the work of {task.trust}")
    who = f" ({task.actor})" if task.actor else ""
    by_comment = "`/covend approve` by somebody who may write"
    return f"{caused}{who}; `covend approve {task.id}`, or {by_comment}, lets it run"


def _look_up(case: _Case) -> str:
    needs = [words for need, words in _NEEDS.items() if need in case.task.needs]
    wanted = " and ".join(needs) or "what the webhook lacks"
    _, _, code = case.task.reason.partition(": ")
    if code:
        return f"GitHub did not tell {wanted} ({code}); it is asked again {case.when}"
    return f"GitHub is asked for {wanted}"


def _debounce(case: _Case) -> str:
    return f"further pushes are gathered; it goes on {case.when}"


def _new(case: _Case) -> str:
    return _debounce(case) if case.task.not_before_at > case.now else "it has just come in"


def _checks_pending(case: _Case) -> str:
    return f"other checks of its commit are not over; they are looked at again {case.when}"


def _fault(case: _Case) -> str:
    return f"covend itself failed at it, as its log tells; it is tried again {case.when}"


# --- queued ---------------------------------------------------------------------------------------


def _retry(case: _Case) -> str:
    code = case.task.error_code
    return f"its last attempt failed{f' ({code})' if code else ''}; the next begins {case.when}"


def _given_back(case: _Case) -> str:
    return f"its last attempt was cut off, not by its own fault; the next begins {case.when}"


def _key_busy(_case: _Case) -> str:
    return "the same work is running already; it begins when that has ended"


def _rate_limited(case: _Case) -> str:
    kinds = {guard.kind for guard in case.guards.values() if is_holding(guard)}
    if SafeguardKind.RATE in kinds:
        return f"too much has started of late (`covend safeguards`); it goes on {case.when}"
    return f"a rate limit is reached, of covend's own or outside; it goes on {case.when}"


def _deferred(case: _Case) -> str:
    code = case.task.error_code
    return f"the outside asks to wait{f' ({code})' if code else ''}; it goes on {case.when}"


def _paused(case: _Case) -> str:
    pause = _pause_of(case)
    return _told(pause) if pause else "an operator has paused it; `covend safeguards` says what"


def _pause_of(case: _Case) -> Safeguard | None:
    task = case.task
    ids = (
        names.DRAIN,
        names.PAUSE_ALL,
        names.pause_repository(task.repository or ""),
        names.pause_rule(task.rule),
        names.pause_agent(task.agent),
    )
    return next((case.guards[each] for each in ids if each in case.guards), None)


def _blocked(case: _Case) -> str:
    guard = case.guards.get(names.loop(case.task) or "")
    if guard is None:
        return f"{case.subject} makes no progress; `covend unblock {case.subject}` lets it go on"
    return _told(guard)


def _suppressed(case: _Case) -> str:
    task = case.task
    identifier = names.crash_loop(task.agent, task)
    guard = case.guards.get(identifier or "")
    counted = f" ({guard.reason})" if guard else ""
    at_once = f"`covend unblock {identifier}` lets it go on at once"
    return f"agent {task.agent} keeps crashing here{counted}; it goes on {case.when}, {at_once}"


def _circuit_open(case: _Case) -> str:
    ids = (names.agent_circuit(case.task.agent), *(each for each in case.guards if _is_host(each)))
    shut = next((case.guards[each] for each in ids if _is_shut(case.guards.get(each))), None)
    what = scope_words(shut.scope) if shut else "what it needs outside"
    return f"{what} does not answer as it should; it is tried again {case.when}"


def _is_host(safeguard: str) -> bool:
    return safeguard.startswith(names.host_circuit(""))


def _is_shut(guard: Safeguard | None) -> bool:
    return guard is not None and is_holding(guard)


def _budget(case: _Case) -> str:
    if case.task.not_before_at < FOREVER:
        return _budget_of_the_day(case)
    budgets = (spending.of_rule(case.task), spending.of_agent(case.task, case.task.agent))
    ids = [spending.safeguard_of(each) for each in budgets if each is not None]
    known = next((each for each in ids if each in case.guards), "budget/…")
    told = "" if known in case.guards else " (see `covend safeguards`)"
    return (
        f"what work on {case.subject} may cost is spent; `covend unblock {known}` begins its "
        f"budget anew{told}"
    )


def _budget_of_the_day(case: _Case) -> str:
    budgets = (spending.everything(case.now), spending.of_repository(case.task, case.now))
    ids = [spending.safeguard_of(each) for each in budgets if each is not None]
    known = (case.guards[each] for each in ids if each in case.guards)
    guard = next((each for each in known if holds_now(each, case.now)), None)
    if guard is None:
        return f"the budget of the day is spent; it goes on {case.when}"
    at_once = f"`{release_command(guard)}` begins the day's budget anew"
    return f"the budget of the day is spent ({guard.reason}); it goes on {case.when}, {at_once}"


def _tell_when(case: _Case) -> str:
    return f"it waits ({case.task.reason}); it goes on {case.when}"


_REASONS: Mapping[str, Callable[[_Case], str]] = {
    "new": _new,
    "debounce": _debounce,
    "look_up": _look_up,
    "checks_pending": _checks_pending,
    "approval": _approval,
    "fault": _fault,
    "retry": _retry,
    "interrupted": _given_back,
    "recovered": _given_back,
    "lost": _given_back,
    "deferred": _deferred,
    Waiting.RATE_LIMITED: _rate_limited,
    Waiting.CIRCUIT_OPEN: _circuit_open,
    Waiting.BUDGET: _budget,
    Waiting.PAUSED: _paused,
    Waiting.BLOCKED: _blocked,
    Waiting.SUPPRESSED: _suppressed,
    Waiting.KEY_BUSY: _key_busy,
}


# --- safeguards -----------------------------------------------------------------------------------


_HOLDING = frozenset(
    {"paused", "draining", "blocked", "suppressed", "open", "half_open", "holding"}
)
_TIMED = frozenset(
    {
        SafeguardKind.RATE,
        SafeguardKind.BUDGET,
        SafeguardKind.CRASH_LOOP,
        SafeguardKind.PAUSE,
    }
)
"""These let go at their moment; a circuit has to be proved then."""


def is_holding(guard: Safeguard) -> bool:
    """Say whether a safeguard holds work back; else it only counts."""
    return guard.state in _HOLDING


def is_over(guard: Safeguard, now: Moment) -> bool:
    """Say whether a safeguard has let go by itself, and its row is only left over."""
    return guard.until is not None and guard.until <= now and guard.kind in _TIMED


def holds_now(guard: Safeguard, now: Moment) -> bool:
    """Say whether a safeguard holds work back, and its time is not over."""
    return is_holding(guard) and not is_over(guard, now)


def is_probe_due(guard: Safeguard, now: Moment) -> bool:
    """Say whether an open circuit has rested long enough: the next task that needs it tries it."""
    is_open = guard.kind is SafeguardKind.CIRCUIT and guard.state == "open"
    return is_open and guard.until is not None and guard.until <= now


def explain_safeguard(guard: Safeguard, now: Moment = 0) -> str:  # noqa: PLR0911 - one for each kind
    """Say what a safeguard holds, and why; of one that only counts, what it has counted."""
    if not is_holding(guard):
        return guard.reason
    match guard.kind:
        case SafeguardKind.PAUSE:
            return f"{scope_words(guard.scope)} is paused, by {guard.reason}"
        case SafeguardKind.DRAIN:
            return f"nothing is taken in and nothing starts, by {guard.reason}"
        case SafeguardKind.LOOP:
            return f"{guard.scope} goes round in circles: {guard.reason}"
        case SafeguardKind.CRASH_LOOP:
            agent, _, repository = guard.scope.removeprefix("agent:").partition("@")
            return f"agent {agent} rests in {repository}: {guard.reason}"
        case SafeguardKind.CIRCUIT if guard.state == "half_open":
            return f"one task tries whether {scope_words(guard.scope)} answers: {guard.reason}"
        case SafeguardKind.CIRCUIT if is_probe_due(guard, now):
            what = scope_words(guard.scope)
            return f"{what} has rested, and the next task tries it: {guard.reason}"
        case SafeguardKind.CIRCUIT:
            return f"{scope_words(guard.scope)} rests until one task gets through: {guard.reason}"
        case SafeguardKind.RATE | SafeguardKind.BUDGET:
            return guard.reason
        case _:
            assert_never(guard.kind)


def release_command(guard: Safeguard) -> str:
    """Give the command that lets go at once what a safeguard holds; "" where only time does."""
    match guard.kind:
        case SafeguardKind.PAUSE | SafeguardKind.DRAIN:
            kind, _, name = guard.scope.partition(":")
            option = {"repository": "repo"}.get(kind, kind)
            return f"covend resume --{option} {name}" if name else "covend resume"
        case SafeguardKind.LOOP:
            return f"covend unblock {guard.scope}"
        case SafeguardKind.CRASH_LOOP | SafeguardKind.CIRCUIT | SafeguardKind.BUDGET:
            return f"covend unblock {guard.id}"
        case SafeguardKind.RATE:
            return ""
        case _:
            assert_never(guard.kind)


def _told(guard: Safeguard) -> str:
    return f"{explain_safeguard(guard)}; `{release_command(guard)}` lets it go on"
