"""How an attempt ended, and what its agent answered: records without behaviour.

Moments and durations are written as in `core.model`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from covend.core.model import Conclusion, Json, Moment, Usage
from covend.core.states import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One remark of a review, on a line of the new side unless `side` says LEFT."""

    path: str
    line: int
    body: str
    start_line: int | None = None
    side: str = "RIGHT"
    severity: str = "info"
    suggestion: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The agent's answer by the contract of the result file, checked."""

    conclusion: Conclusion = Conclusion.SUCCESS
    summary: str = ""
    review_event: str | None = None
    findings: tuple[Finding, ...] = ()
    pull_request: Json | None = None
    labels: tuple[str, ...] = ()
    outputs: Json = field(default_factory=dict)
    session: str | None = None
    usage: Usage = field(default_factory=Usage)
    error_code: str | None = None
    error_message: str | None = None
    retryable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Commits:
    """What the agent committed beyond its checkout; a mirror keeps it until it is pushed."""

    sha: str
    """Of the last one."""
    mirror: str
    """The name of the mirror's directory."""
    attempt: str
    """The attempt's name, under which the mirror keeps them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How an attempt ended, judged: what the store settles and the effects are planned from."""

    outcome: Outcome
    result: Result
    error_code: str | None = None
    error_message: str | None = None
    exit_code: int | None = None
    signal: str | None = None
    retryable: bool = False
    retry_at: Moment | None = None
    """The outside asks to wait until then: the task is deferred, and no failure is counted."""
    commits: Commits | None = None
    """To be published; None where there are none, or the rule does not publish them."""
