"""Chooses the next step of a task whose attempt has failed: again, afresh, another agent, or none.

In this order, each only while it makes sense: a session that was gone on with and failed is left
for a fresh start; the same agent tries again as `core.retry` says; the next of the task's
`fallbacks` takes over, its failures counted anew. What was not the agent's fault (git, GitHub, this
machine, covend) never changes the agent.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from covend.core.bounds import FailureKind
from covend.core.ending import Ending
from covend.core.failures import Source, kind_of, source_of
from covend.core.model import Moment, Task
from covend.core.presets.stream import Failure
from covend.core.retry import Again, Stop
from covend.core.settings import Policy
from covend.core.states import Outcome

_FAILED = frozenset({Outcome.FAILED, Outcome.TIMED_OUT, Outcome.IDLE_TIMED_OUT})
_THEIRS = frozenset({Source.AGENT, Source.SERVICE})
_BY_A_SESSION = frozenset({FailureKind.AGENT, FailureKind.TIMEOUT, FailureKind.INVALID_RESULT})
"""Kinds of an agent's failure that the session may be to blame for."""
_NOT_BY_A_SESSION = frozenset({Failure.INTERRUPTED.value})


class Target(StrEnum):
    """Where a task goes on."""

    AGAIN = "again"
    """With the same agent, at `Step.at`."""
    AFRESH = "afresh"
    """With the same agent and no session, at once."""
    AGENT = "agent"
    """With the agent `Step.agent`, at once."""
    NONE = "none"
    """Nowhere: the task ends failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What comes after a failed attempt.

    `reason` is the task's: what `Again` says, `afresh`, `fallback`, or of its end the error code
    and why nothing more is tried, as `exit_code: final`.
    """

    target: Target
    reason: str
    at: Moment | None = None
    """None: at once."""
    agent: str | None = None
    is_afresh: bool = False
    """Whether the next attempt goes on with no session."""
    is_deferred: bool = False
    """Whether no failure is counted."""


def choose_step(
    task: Task, ending: Ending, decision: Again | Stop, *, was_resumed: bool, policy: Policy
) -> Step:
    """Choose, by what `retry.decide` has said; `was_resumed`: the attempt went on with a session.

    `policy` is the one with the task's present agent at work.
    """
    if was_resumed and _is_by_session(ending) and not _is_too_old(decision):
        return Step(target=Target.AFRESH, reason="afresh", is_afresh=True)
    if isinstance(decision, Again):
        return Step(
            target=Target.AGAIN,
            reason=decision.reason,
            at=decision.at,
            is_afresh=task.is_afresh,
            is_deferred=decision.is_deferred,
        )
    following = _next_agent(task, policy)
    if following is not None and _may_fall_back(ending, decision):
        return Step(target=Target.AGENT, reason="fallback", agent=following)
    return Step(target=Target.NONE, reason=f"{ending.error_code or ending.outcome}: {decision.why}")


def _is_by_session(ending: Ending) -> bool:
    """Say whether a fresh start may end better; the service, or an exit that asks for a retry, is
    no fault of the session.
    """
    if ending.outcome not in _FAILED or ending.retry_at is not None:
        return False
    if source_of(ending) is not Source.AGENT or ending.error_code in _NOT_BY_A_SESSION:
        return False
    return kind_of(ending) in _BY_A_SESSION


def _is_too_old(decision: Again | Stop) -> bool:
    return isinstance(decision, Stop) and decision.why == "too_old"


def _may_fall_back(ending: Ending, decision: Stop) -> bool:
    if ending.outcome not in _FAILED or _is_too_old(decision):
        return False
    return source_of(ending) in _THEIRS


def _next_agent(task: Task, policy: Policy) -> str | None:
    known = {agent.name for agent in policy.fallbacks}
    return next((name for name in task.fallbacks if name in known), None)
