"""The endings of attempts that no agent gave: what failed before or beside it, and a head that
moved.

None of them loses what an agent has cost by then: `spent` is what is known of that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from covend.core.contract.outcome import StopReason
from covend.core.ending import Ending, Result
from covend.core.errors import CovendError, GitError
from covend.core.model import Conclusion, Moment, Task
from covend.core.states import Outcome
from covend.edges.workspace.faults import Fault, fault_of

NO_ANSWER = Result(conclusion=Conclusion.FAILURE)
"""What stands for the result where no agent gave one: it is no success."""

TAKEN_PLACE = "a newer head took this one's place"

TOO_OLD = "too_old"

_GIT_CODES: Mapping[Fault, str] = {
    Fault.PASSING: "git_unreachable",
    Fault.REFUSED: "git_refused",
    Fault.BROKEN: "git_broken",
}
"""What `core.failures` tells apart; one that took too long may do better at another time."""


def failed(
    error: CovendError, *, spent: Result = NO_ANSWER, retry_at: Moment | None = None
) -> Ending:
    """End by an error that covend expected; `retry_at` where the outside asks to wait until then.

    Whether there is another try is for `core.failures` to say, by the code.
    """
    return Ending(
        outcome=Outcome.FAILED,
        result=_cost_of(spent),
        error_code=_code_of(error),
        error_message=str(error),
        retry_at=retry_at,
    )


def broken(former: Ending | None = None, *, spent: Result = NO_ANSWER) -> Ending:
    """End by an error that covend did not expect; what it was stands in the log alone.

    Of a former ending only the cost is kept.
    """
    return Ending(
        outcome=Outcome.FAILED,
        result=_cost_of(former.result if former else spent),
        error_code=CovendError.code,
        error_message="covend itself failed at this; its log says why",
    )


def lost(why: str) -> Ending:
    """End an attempt that nobody is at any more."""
    return Ending(
        outcome=Outcome.LOST, result=NO_ANSWER, error_code="lost", error_message=why, retryable=True
    )


def too_old(task: Task) -> Ending:
    """End a task that waited too long for its next try: its last failure stays its error."""
    return Ending(
        outcome=Outcome.FAILED,
        result=NO_ANSWER,
        error_code=task.error_code or TOO_OLD,
        error_message=task.error_message or "it has waited too long to be tried again",
    )


def stopped_early(reason: StopReason, spent: Result = NO_ANSWER) -> Ending:
    """End an attempt whose agent does not run yet, or not again."""
    return Ending(
        outcome=Outcome(reason),
        result=_cost_of(spent),
        error_code=reason,
        error_message="stopped before the agent was started",
        retryable=True,
    )


def cancelled(ending: Ending) -> Ending:
    """Drop what was found, because somebody has asked to; what it cost is kept."""
    return _dropped(ending, Outcome.CANCELLED, "the task was cancelled")


def superseded(ending: Ending | None = None, why: str = TAKEN_PLACE) -> Ending:
    """Drop the findings; what they cost is kept."""
    former = ending or Ending(outcome=Outcome.SUPERSEDED, result=Result())
    return _dropped(former, Outcome.SUPERSEDED, why)


def _dropped(ending: Ending, outcome: Outcome, why: str) -> Ending:
    spent = ending.result
    return replace(
        ending,
        outcome=outcome,
        result=Result(usage=spent.usage, session=spent.session),
        error_code=outcome,
        error_message=why,
        retryable=False,
        retry_at=None,
        commits=None,
    )


def _cost_of(spent: Result) -> Result:
    return replace(NO_ANSWER, usage=spent.usage, session=spent.session)


def _code_of(error: CovendError) -> str:
    if type(error) is GitError:
        return _GIT_CODES.get(fault_of(error), error.code)
    return error.code
