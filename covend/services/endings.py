"""The endings of attempts that no agent gave: what failed before or beside it, and a head that
moved.
"""

from __future__ import annotations

from dataclasses import replace

from covend.core.contract.outcome import StopReason
from covend.core.errors import CovendError
from covend.core.model import Conclusion, Ending, Result
from covend.core.states import Outcome

_NO_ANSWER = Result(conclusion=Conclusion.FAILURE)
"""What stands for the result where no agent gave one: it is no success."""


def failed(error: CovendError, *, retryable: bool) -> Ending:
    """End by an error that covend expected."""
    return Ending(
        outcome=Outcome.FAILED,
        result=_NO_ANSWER,
        error_code=error.code,
        error_message=str(error),
        retryable=retryable,
    )


def broken(former: Ending | None = None) -> Ending:
    """End by an error that covend did not expect; what it was stands in the log alone.

    Of a former ending only the cost is kept.
    """
    spent = former.result if former else _NO_ANSWER
    return Ending(
        outcome=Outcome.FAILED,
        result=replace(_NO_ANSWER, usage=spent.usage, session=spent.session),
        error_code=CovendError.code,
        error_message="covend itself failed at this; its log says why",
        retryable=True,
    )


def lost(why: str) -> Ending:
    """End an attempt that nobody is at any more."""
    return Ending(
        outcome=Outcome.LOST,
        result=_NO_ANSWER,
        error_code="lost",
        error_message=why,
        retryable=True,
    )


def stopped_early(reason: StopReason) -> Ending:
    """End an attempt whose agent never started."""
    return Ending(
        outcome=Outcome(reason),
        result=_NO_ANSWER,
        error_code=reason,
        error_message="stopped before the agent was started",
        retryable=True,
    )


def cancelled(ending: Ending) -> Ending:
    """Drop what was found, because somebody has asked to; what it cost is kept."""
    spent = ending.result
    return replace(
        ending,
        outcome=Outcome.CANCELLED,
        result=Result(usage=spent.usage, session=spent.session),
        error_code="cancelled",
        error_message="the task was cancelled",
        retryable=False,
    )


def superseded(ending: Ending, head_sha: str) -> Ending:
    """Drop the findings; what they cost is kept."""
    return replace(
        ending,
        outcome=Outcome.SUPERSEDED,
        result=Result(usage=ending.result.usage, session=ending.result.session),
        error_code="superseded",
        error_message=f"the head moved to {head_sha} while this attempt ran",
    )
