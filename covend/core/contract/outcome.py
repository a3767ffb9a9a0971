"""Judges how an attempt ended, from the exit, the result file, the tool's own stream and who
stopped it.

This is the second table of the states' page as one function: it decides nothing about when to try
again (`core.retry`) nor what becomes visible (`core.effects`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeVar

from covend.core.contract.result import result_in
from covend.core.ending import Ending, Result
from covend.core.errors import InvalidResultError
from covend.core.model import Conclusion, Usage
from covend.core.presets import PRESETS
from covend.core.presets.stream import MESSAGE_MAX, PASSING, StreamReport
from covend.core.settings import Agent, Sandbox
from covend.core.states import Outcome

_Number = TypeVar("_Number", int, float)

EXIT_TRY_AGAIN = 75
"""EX_TEMPFAIL of sysexits.h: the agent asks for a retry."""
EXIT_ENGINE = 125
"""docker and podman themselves failed, and nothing of the agent has run
(https://docs.docker.com/engine/containers/run/#exit-status).
"""
SUMMARY_MAX = 16 << 10
"""Characters of standard output that make the summary where there is no result file."""


class StopReason(StrEnum):
    """Why covend ended an attempt that had not ended by itself."""

    TIMED_OUT = "timed_out"
    IDLE_TIMED_OUT = "idle_timed_out"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"
    INTERRUPTED = "interrupted"
    LOST = "lost"
    BUDGET = "budget"
    """What the attempt may spend is spent: what there is by then is its answer."""


class Exceeded(StrEnum):
    """Which limit an agent's processes were over, all of them together."""

    MEMORY = "memory"
    PIDS = "pids"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """How an agent's process ended: by `code` or by `signal` (a name as SIGTERM), and whether we
    made it.

    Both are None where the kernel has not let it go even after SIGKILL. `start_ticks` tells this
    process from a later one with the same pid. `exceeded` says for which limit it was killed.
    `left_behind` counts the processes that outlived it and were killed after it; `unended` names
    those that not even that could end: what they work in must stay.
    """

    code: int | None = None
    signal: str | None = None
    stopped: StopReason | None = None
    exceeded: Exceeded | None = None
    pid: int
    start_ticks: int
    left_behind: int = 0
    unended: tuple[int, ...] = ()


class _Word(StrEnum):
    """What an exit code can mean, as `Agent.exit_codes` says it."""

    SUCCESS = "success"
    NEUTRAL = "neutral"
    FAILURE = "failure"
    NEEDS_INPUT = "needs_input"
    RETRY = "retry"
    ERROR = "error"


_STOPPED: dict[StopReason, tuple[Outcome, str, bool]] = {
    StopReason.TIMED_OUT: (Outcome.TIMED_OUT, "the agent was over its time", True),
    StopReason.IDLE_TIMED_OUT: (Outcome.IDLE_TIMED_OUT, "the agent was silent for too long", True),
    StopReason.CANCELLED: (Outcome.CANCELLED, "the task was cancelled", False),
    StopReason.SUPERSEDED: (Outcome.SUPERSEDED, "a newer head took this one's place", False),
    StopReason.INTERRUPTED: (Outcome.INTERRUPTED, "covend was shut down", True),
    StopReason.LOST: (Outcome.LOST, "the lease on the task ran out", True),
}

_OVER_BUDGET = "Stopped at its budget: this is what there was by then."
_OVER_BUDGET_EMPTY = "Stopped at its budget, before it had an answer."

_EXCEEDED: dict[Exceeded, tuple[str, str]] = {
    Exceeded.MEMORY: ("memory_limit", "the agent used more memory than its `limits.memory`"),
    Exceeded.PIDS: ("pids_limit", "the agent had more processes than its `limits.pids`"),
}

_ENGINE_FAILED = "the container engine failed; the attempt's log says why"


def judge(  # noqa: PLR0911 (one return for each row of the table)
    exit_: Exit,
    result: Result | InvalidResultError | None,
    stream: StreamReport | None,
    agent: Agent,
    *,
    stopped: StopReason | None = None,
    tail: str = "",
) -> Ending:
    """Give the ending; `tail` is the last of standard output, `stopped` goes before
    `exit_.stopped`.

    `error_code` is one of a fixed set: the outcome of a stop, `budget` (no failure: what there was
    by then stands), `memory_limit`, `pids_limit`, `invalid_result`, `agent_error` (the agent said
    so itself: its own code stands at the head of `error_message`), `exit_code`, `signal`,
    `try_again`, `sandbox` (the container's engine failed), or the class of the tool's failure.
    """
    reason = stopped or exit_.stopped
    if reason is StopReason.BUDGET:
        return _over_budget(exit_, result, stream, tail)
    if reason is not None:
        return _stopped(reason, exit_, result, stream)
    if exit_.exceeded is not None:
        return _exceeded(exit_.exceeded, exit_, result, stream)
    answer = _answer(result, stream, tail)
    if _is_the_engines(exit_, result, stream, agent):
        return _failed(exit_, answer, "sandbox", _ENGINE_FAILED, retryable=True)
    word = _word_of(exit_, agent)
    if word is _Word.RETRY:
        return _failed(exit_, answer, "try_again", _asked(answer), retryable=True)
    if word is _Word.ERROR:
        return _broken(exit_, result, stream, answer)
    if stream is not None and stream.error_code is not None:
        return _tool_failed(exit_, stream, answer)
    if isinstance(result, InvalidResultError):
        return _failed(exit_, answer, result.code, str(result), retryable=True)
    if answer.retryable:
        return _failed(exit_, answer, "agent_error", _own_words(answer), retryable=True)
    return _succeeded(exit_, answer, word)


def _word_of(exit_: Exit, agent: Agent) -> _Word:
    if exit_.code is None:
        return _Word.ERROR
    defaults = {0: _Word.SUCCESS, EXIT_TRY_AGAIN: _Word.RETRY}
    meanings = {**defaults, **PRESETS[agent.preset].exit_codes, **agent.exit_codes}
    return _Word(meanings.get(exit_.code, _Word.ERROR))


def _stopped(
    reason: StopReason,
    exit_: Exit,
    result: Result | InvalidResultError | None,
    stream: StreamReport | None,
) -> Ending:
    """Drop the result, but never what it has cost."""
    outcome, message, retryable = _STOPPED[reason]
    cost = replace(_cost_of(result, stream), conclusion=Conclusion.FAILURE)
    return Ending(
        outcome=outcome,
        result=cost,
        error_code=reason.value,
        error_message=message,
        exit_code=exit_.code,
        signal=exit_.signal,
        retryable=retryable,
    )


def _exceeded(
    limit: Exceeded,
    exit_: Exit,
    result: Result | InvalidResultError | None,
    stream: StreamReport | None,
) -> Ending:
    """Drop the result of a hog, but never what it has cost; once more would end the same."""
    code, message = _EXCEEDED[limit]
    return _failed(exit_, _cost_of(result, stream), code, message)


def _cost_of(result: Result | InvalidResultError | None, stream: StreamReport | None) -> Result:
    """Keep nothing of an answer but what it says that it has cost."""
    usage = result.usage if isinstance(result, Result) else Usage()
    return _with_stream(Result(usage=usage), stream)


def _over_budget(
    exit_: Exit,
    result: Result | InvalidResultError | None,
    stream: StreamReport | None,
    tail: str,
) -> Ending:
    """Take what there is for the answer, however it looks; whether it is enough nobody can say."""
    said = stream.last_text or stream.final_text or "" if stream else tail
    if isinstance(result, Result):
        answer = _with_stream(result, stream)
    else:
        told = result_in(said) if stream else None
        answer = _with_stream(told or Result(summary=said[-SUMMARY_MAX:].strip()), stream)
    has_said = bool(answer.summary or answer.findings)
    words = _OVER_BUDGET if has_said else _OVER_BUDGET_EMPTY
    return Ending(
        outcome=Outcome.SUCCEEDED,
        result=replace(
            answer,
            conclusion=Conclusion.NEUTRAL,
            summary=f"{words}\n\n{answer.summary}".strip(),
        ),
        error_code=StopReason.BUDGET.value,
        error_message=words,
        exit_code=exit_.code,
        signal=exit_.signal,
    )


def _answer(
    result: Result | InvalidResultError | None, stream: StreamReport | None, tail: str
) -> Result:
    if isinstance(result, Result):
        return _with_stream(result, stream)
    final = stream.final_text if stream else tail
    if final is None or isinstance(result, InvalidResultError):
        return _with_stream(Result(), stream)
    # Only a message can end in a result; plain output that happens to end in JSON is a summary.
    told = result_in(final) if stream else None
    return _with_stream(told or Result(summary=final[-SUMMARY_MAX:].strip()), stream)


def _with_stream(result: Result, stream: StreamReport | None) -> Result:
    """Prefer what the tool measured over what the agent says of itself."""
    if stream is None:
        return result
    told, measured = result.usage, stream.usage
    usage = Usage(
        input_tokens=_first(measured.input_tokens, told.input_tokens),
        output_tokens=_first(measured.output_tokens, told.output_tokens),
        cost_usd=_first(measured.cost_usd, told.cost_usd),
    )
    return replace(result, session=stream.session or result.session, usage=usage)


def _first(one: _Number | None, other: _Number | None) -> _Number | None:
    return other if one is None else one


def _is_the_engines(
    exit_: Exit,
    result: Result | InvalidResultError | None,
    stream: StreamReport | None,
    agent: Agent,
) -> bool:
    """Say whether the sandbox failed, and not the agent, of which nothing was heard."""
    if agent.sandbox is not Sandbox.CONTAINER or EXIT_ENGINE in agent.exit_codes:
        return False
    return exit_.code == EXIT_ENGINE and result is None and stream is None


def _broken(
    exit_: Exit,
    result: Result | InvalidResultError | None,
    stream: StreamReport | None,
    answer: Result,
) -> Ending:
    """Judge a bad exit: the tool's own reason says more than the agent's, and either more than a
    number.
    """
    if stream is not None and stream.error_code is not None:
        return _tool_failed(exit_, stream, answer)
    if answer.error_code is not None:
        retryable = answer.retryable
        return _failed(exit_, answer, "agent_error", _own_words(answer), retryable=retryable)
    also = f"; {result}" if isinstance(result, InvalidResultError) else ""
    if exit_.code is None:
        ended = f"ended by {exit_.signal}" if exit_.signal else "did not end, not even by SIGKILL"
        return _failed(exit_, answer, "signal", f"the agent was {ended}{also}")
    return _failed(exit_, answer, "exit_code", f"the agent exited with {exit_.code}{also}")


def _tool_failed(exit_: Exit, stream: StreamReport, answer: Result) -> Ending:
    assert stream.error_code is not None
    retryable = stream.error_code in PASSING or answer.retryable
    code, message = stream.error_code.value, stream.error_message or stream.error_code.value
    return _failed(exit_, answer, code, message, retryable=retryable)


def _failed(
    exit_: Exit, answer: Result, code: str, message: str, *, retryable: bool = False
) -> Ending:
    return Ending(
        outcome=Outcome.FAILED,
        result=replace(answer, conclusion=Conclusion.FAILURE),
        error_code=code,
        error_message=message[:MESSAGE_MAX],
        exit_code=exit_.code,
        signal=exit_.signal,
        retryable=retryable,
    )


def _succeeded(exit_: Exit, answer: Result, word: _Word) -> Ending:
    # An exit code that carries a verdict goes before the file's; plain success leaves the verdict
    # to it.
    said = answer.conclusion if word is _Word.SUCCESS else Conclusion(word.value)
    return Ending(
        outcome=Outcome.SUCCEEDED,
        result=replace(answer, conclusion=said),
        exit_code=exit_.code,
        signal=exit_.signal,
    )


def _asked(answer: Result) -> str:
    return _own_words(answer) if answer.error_code else "the agent asked for a retry"


def _own_words(answer: Result) -> str:
    return ": ".join(filter(None, (answer.error_code, answer.error_message)))
