"""How an end looks on GitHub: the conclusion of the check, the state of the status, and the words.

The second table of the states as data: every outcome has exactly one look.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from covend.core.effects.review import count_of
from covend.core.effects.texts import code, cut, fenced, tame
from covend.core.ending import Ending
from covend.core.model import Claim, Conclusion, Moment, Task
from covend.core.settings import Policy
from covend.core.states import Outcome, TaskState

ERROR_MAX = 2_000
"""Characters of an error's message that are shown."""
_CENT = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """`conclusion` of a check run, `state` of a commit status, and what people read."""

    conclusion: str
    state: str
    icon: str
    title: str


_VERDICTS: Mapping[Conclusion, Look] = {
    Conclusion.SUCCESS: Look(conclusion="success", state="success", icon="✅", title="Done"),
    Conclusion.NEUTRAL: Look(conclusion="neutral", state="success", icon="⚪", title="No verdict"),
    Conclusion.FAILURE: Look(
        conclusion="failure", state="failure", icon="❌", title="Changes are needed"
    ),
    Conclusion.NEEDS_INPUT: Look(
        conclusion="action_required", state="failure", icon="❓", title="An answer is needed"
    ),
}

_FAULTS: Mapping[Outcome, Look] = {
    Outcome.FAILED: Look(
        conclusion="failure", state="error", icon="⚠️", title="The agent did not finish"
    ),
    Outcome.TIMED_OUT: Look(
        conclusion="timed_out", state="error", icon="⏱️", title="Stopped: over its time"
    ),
    Outcome.IDLE_TIMED_OUT: Look(
        conclusion="timed_out", state="error", icon="⏱️", title="Stopped: silent for too long"
    ),
    Outcome.INTERRUPTED: Look(
        conclusion="failure", state="error", icon="⚠️", title="Interrupted too often"
    ),
    Outcome.LOST: Look(
        conclusion="failure", state="error", icon="⚠️", title="Interrupted too often"
    ),
}

STOPPED: Mapping[TaskState, Look] = {
    TaskState.CANCELLED: Look(conclusion="cancelled", state="error", icon="🚫", title="Cancelled"),
    TaskState.SUPERSEDED: Look(
        conclusion="neutral", state="success", icon="⚪", title="A newer commit took its place"
    ),
    TaskState.FAILED: Look(
        conclusion="failure", state="error", icon="⚠️", title="Given up before it could start again"
    ),
}
"""Ends without an attempt that could tell more."""

_GONE = Look(conclusion="neutral", state="success", icon="⚪", title="Nothing to do any more")


def look_of(target: TaskState, ending: Ending) -> Look:
    """Give the look of a task that ends in `target` with this ending."""
    if target in {TaskState.CANCELLED, TaskState.SUPERSEDED}:
        return STOPPED[target]
    if ending.outcome is not Outcome.SUCCEEDED:
        return _FAULTS.get(ending.outcome, _FAULTS[Outcome.FAILED])
    look = _VERDICTS[ending.result.conclusion]
    return replace(look, title=_title(look, ending))


def look_of_ended(task: Task) -> Look:
    """Give the look of a task that has ended, as far as the task itself tells how."""
    if task.state is TaskState.COMPLETED:
        return _VERDICTS[task.conclusion or Conclusion.NEUTRAL]
    if task.state is TaskState.FAILED and task.attempts:
        return _FAULTS[Outcome.FAILED]
    return STOPPED.get(task.state, _GONE)


def explanation_of(policy: Policy, ending: Ending) -> str:
    """Say what went wrong, for those who did not configure it; "" where nothing did."""
    if ending.outcome in {Outcome.SUCCEEDED, Outcome.CANCELLED, Outcome.SUPERSEDED}:
        return ""
    kind = f" ({code(ending.error_code)})" if ending.error_code else ""
    said = fenced(cut(ending.error_message, ERROR_MAX)) if ending.error_message else ""
    return f"{code(policy.agent.name)} did not finish{kind}.\n\n{said}".rstrip()


def summary_of(ending: Ending) -> str:
    """Give the agent's own summary, harmless."""
    return tame(ending.result.summary).strip()


def start_text(claim: Claim, policy: Policy) -> str:
    """Say that work is under way."""
    again = f", attempt {claim.attempt}" if claim.attempt > 1 else ""
    return f"{code(policy.agent.name)} is at work{again}.\n\n{footer(claim.task, policy)}"


def footer(task: Task, policy: Policy, *details: str) -> str:
    """The small line below everything: who did it, what it took, and the id to ask covend about."""
    parts = [f"Rule {code(policy.rule.name)}", f"agent {code(policy.agent.name)}", *details]
    return f"<sub>{' · '.join([*parts, f'task {code(task.id)}'])}</sub>"


def spent(claim: Claim, ending: Ending, now: Moment) -> tuple[str, ...]:
    """Say how long it took, and what it cost where that is known."""
    took = _duration(max(0, now - claim.started_at) // 1000)
    cost = ending.result.usage.cost_usd
    if cost is None:
        return (took,)
    return (took, f"${cost:.2f}" if cost >= _CENT else "less than $0.01")


def _title(look: Look, ending: Ending) -> str:
    counted = count_of(ending.result.findings)
    if not counted:
        return look.title
    is_success = ending.result.conclusion is Conclusion.SUCCESS
    return counted if is_success else f"{look.title}: {counted}"


def _duration(seconds: int) -> str:
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
