"""Says what kind of failure ended an attempt, and whose it was: one table over every error code.

It decides nothing: whether there is another try is for `core.retry`, whether another agent takes
over for `core.fallback`, and what safeguards make of it for `core.safeguards.learning`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from covend.core.bounds import FailureKind
from covend.core.contract.outcome import StopReason
from covend.core.ending import Ending
from covend.core.errors import (
    AgentArgumentsError,
    AgentError,
    AgentNotFoundError,
    AgentShortageError,
    AlreadyEndedError,
    AmbiguousIdError,
    ClaimLostError,
    ConfigError,
    ConflictError,
    CovendError,
    DrainingError,
    GitError,
    GitHubError,
    InvalidResultError,
    KeyReusedError,
    NotFoundError,
    NotPermittedError,
    OutsideError,
    PromptError,
    QueueFullError,
    SandboxError,
    StateDirectoryInUseError,
    StoreBusyError,
    StoreError,
    StoreFullError,
    TreeNotEmptyError,
    UserError,
)
from covend.core.presets.stream import Failure
from covend.core.states import Outcome


class Source(StrEnum):
    """Who or what has failed."""

    AGENT = "agent"
    """The agent's own program, what it did, or how it is configured."""
    SERVICE = "service"
    """The service that the agent's model is asked at."""
    HOST = "host"
    """The forge: it was not reached, or its answer made no sense."""
    FORGE = "forge"
    """The forge as well, but it has answered; or git, for a reason of its own."""
    COVEND = "covend"
    """covend itself, its store, or this machine."""


_BY_CODE: Mapping[str, tuple[FailureKind, Source]] = {
    # Stopped by covend, told by the outcome as well.
    StopReason.TIMED_OUT: (FailureKind.TIMEOUT, Source.AGENT),
    StopReason.IDLE_TIMED_OUT: (FailureKind.TIMEOUT, Source.AGENT),
    StopReason.CANCELLED: (FailureKind.REFUSED, Source.COVEND),
    StopReason.SUPERSEDED: (FailureKind.REFUSED, Source.COVEND),
    StopReason.LOST: (FailureKind.INFRASTRUCTURE, Source.COVEND),
    # The agent, judged by its exit and its result.
    "memory_limit": (FailureKind.REFUSED, Source.AGENT),
    "pids_limit": (FailureKind.REFUSED, Source.AGENT),
    "agent_error": (FailureKind.AGENT, Source.AGENT),
    "exit_code": (FailureKind.AGENT, Source.AGENT),
    "signal": (FailureKind.AGENT, Source.AGENT),
    "try_again": (FailureKind.TEMPORARY, Source.AGENT),
    InvalidResultError.code: (FailureKind.INVALID_RESULT, Source.AGENT),
    # The tool, by its own event stream.
    Failure.AUTHENTICATION: (FailureKind.REFUSED, Source.SERVICE),
    Failure.RATE_LIMITED: (FailureKind.TEMPORARY, Source.SERVICE),
    Failure.OVERLOADED: (FailureKind.TEMPORARY, Source.SERVICE),
    Failure.API_ERROR: (FailureKind.TEMPORARY, Source.SERVICE),
    Failure.NETWORK: (FailureKind.TEMPORARY, Source.SERVICE),
    Failure.INVALID_REQUEST: (FailureKind.AGENT, Source.AGENT),
    Failure.MODEL_UNKNOWN: (FailureKind.REFUSED, Source.AGENT),
    Failure.BUDGET: (FailureKind.REFUSED, Source.AGENT),
    Failure.MAX_TURNS: (FailureKind.AGENT, Source.AGENT),
    Failure.REFUSED: (FailureKind.AGENT, Source.AGENT),
    Failure.SESSION_UNKNOWN: (FailureKind.AGENT, Source.AGENT),
    # Said by a tool, and not by covend's shutdown, which the outcome tells.
    Failure.INTERRUPTED: (FailureKind.AGENT, Source.AGENT),
    Failure.NO_MODEL_CALL: (FailureKind.AGENT, Source.AGENT),
    Failure.INCOMPLETE: (FailureKind.AGENT, Source.AGENT),
    # The agent could not be started, or not be ended.
    AgentError.code: (FailureKind.AGENT, Source.AGENT),
    AgentShortageError.code: (FailureKind.OUTSIDE, Source.COVEND),
    AgentNotFoundError.code: (FailureKind.REFUSED, Source.AGENT),
    AgentArgumentsError.code: (FailureKind.REFUSED, Source.AGENT),
    TreeNotEmptyError.code: (FailureKind.REFUSED, Source.COVEND),
    # No other agent takes over: it might be one that is less confined.
    SandboxError.code: (FailureKind.REFUSED, Source.COVEND),
    # The forge.
    GitHubError.code: (FailureKind.OUTSIDE, Source.FORGE),
    "github_unreachable": (FailureKind.OUTSIDE, Source.HOST),
    "github_outcome_unknown": (FailureKind.OUTSIDE, Source.HOST),
    "github_bad_answer": (FailureKind.OUTSIDE, Source.HOST),
    "github_rate_limited": (FailureKind.OUTSIDE, Source.FORGE),
    "github_unauthorized": (FailureKind.REFUSED, Source.FORGE),
    "github_too_many_pages": (FailureKind.REFUSED, Source.FORGE),
    "github_refused": (FailureKind.REFUSED, Source.FORGE),
    "github_unknown_branch": (FailureKind.REFUSED, Source.FORGE),
    "unusable_delivery": (FailureKind.REFUSED, Source.FORGE),
    "github_not_found": (FailureKind.REFUSED, Source.FORGE),
    "github_permission": (FailureKind.REFUSED, Source.FORGE),
    # git: the plain code is for what its words do not tell (`edges.workspace.faults`).
    GitError.code: (FailureKind.OUTSIDE, Source.FORGE),
    "git_unreachable": (FailureKind.OUTSIDE, Source.HOST),
    "git_refused": (FailureKind.REFUSED, Source.FORGE),
    "git_broken": (FailureKind.OUTSIDE, Source.COVEND),
    "address_refused": (FailureKind.REFUSED, Source.FORGE),
    # covend and its store.
    CovendError.code: (FailureKind.OUTSIDE, Source.COVEND),
    OutsideError.code: (FailureKind.OUTSIDE, Source.COVEND),
    StoreError.code: (FailureKind.OUTSIDE, Source.COVEND),
    StoreBusyError.code: (FailureKind.OUTSIDE, Source.COVEND),
    StoreFullError.code: (FailureKind.OUTSIDE, Source.COVEND),
    QueueFullError.code: (FailureKind.OUTSIDE, Source.COVEND),
    StateDirectoryInUseError.code: (FailureKind.OUTSIDE, Source.COVEND),
    DrainingError.code: (FailureKind.OUTSIDE, Source.COVEND),
    ClaimLostError.code: (FailureKind.OUTSIDE, Source.COVEND),
    # Whoever wrote the configuration or the request must act.
    UserError.code: (FailureKind.REFUSED, Source.COVEND),
    NotFoundError.code: (FailureKind.REFUSED, Source.COVEND),
    AmbiguousIdError.code: (FailureKind.REFUSED, Source.COVEND),
    ConflictError.code: (FailureKind.REFUSED, Source.COVEND),
    KeyReusedError.code: (FailureKind.REFUSED, Source.COVEND),
    AlreadyEndedError.code: (FailureKind.REFUSED, Source.COVEND),
    NotPermittedError.code: (FailureKind.REFUSED, Source.COVEND),
    ConfigError.code: (FailureKind.REFUSED, Source.COVEND),
    "policy": (FailureKind.REFUSED, Source.COVEND),
    PromptError.code: (FailureKind.REFUSED, Source.COVEND),
}
_BY_OUTCOME: Mapping[Outcome, tuple[FailureKind, Source]] = {
    Outcome.TIMED_OUT: (FailureKind.TIMEOUT, Source.AGENT),
    Outcome.IDLE_TIMED_OUT: (FailureKind.TIMEOUT, Source.AGENT),
    Outcome.CANCELLED: (FailureKind.REFUSED, Source.COVEND),
    Outcome.SUPERSEDED: (FailureKind.REFUSED, Source.COVEND),
    Outcome.INTERRUPTED: (FailureKind.INFRASTRUCTURE, Source.COVEND),
    Outcome.LOST: (FailureKind.INFRASTRUCTURE, Source.COVEND),
}
"""What the outcome alone tells, whatever the code is."""

CODES = frozenset(_BY_CODE)


def kind_of(ending: Ending) -> FailureKind:
    """Say which kind of failure an ending is; it must not be a success.

    `Ending.retryable` is the agent's or its tool's own wish, and only theirs: it makes a failure of
    theirs `temporary`, whatever its code. An engine or sandbox that may come back is `outside`.
    Anybody else's failure is of the kind that its code says.
    """
    kind, source = _classify(ending)
    if ending.outcome is not Outcome.FAILED or not ending.retryable:
        return kind
    if ending.error_code == SandboxError.code:
        return FailureKind.OUTSIDE
    is_theirs = source in (Source.AGENT, Source.SERVICE)
    is_wish = is_theirs and kind is not FailureKind.INVALID_RESULT
    return FailureKind.TEMPORARY if is_wish else kind


def source_of(ending: Ending) -> Source:
    """Say who or what has failed; it must not be a success."""
    return _classify(ending)[1]


def _classify(ending: Ending) -> tuple[FailureKind, Source]:
    assert ending.outcome is not Outcome.SUCCEEDED
    told = _BY_OUTCOME.get(ending.outcome)
    if told is not None:
        return told
    # A code that is not known can only be a newer daemon's row: the agent is the likeliest.
    return _BY_CODE.get(ending.error_code or "", (FailureKind.AGENT, Source.AGENT))
