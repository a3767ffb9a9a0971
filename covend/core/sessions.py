"""Decides whether an attempt goes on with an agent's earlier conversation, and what of it counts.

A session that cannot be resumed never fails an attempt: it then starts afresh. What resuming needs
of the world (the same directory, the same HOME) is for the caller to provide.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from covend.core.contract.outcome import EXIT_TRY_AGAIN, Exit
from covend.core.model import Conclusion, Moment, TaskId, Usage
from covend.core.presets import PRESETS
from covend.core.presets.stream import Failure, StreamReport, is_bare, is_uuid
from covend.core.settings import Agent
from covend.core.units import DAY

SESSION_AGE_MAX_S = 14 * DAY
"""After that a session is not resumed: what it remembers has moved on, and the tools themselves
forget (claude after 30 days: https://docs.anthropic.com/en/docs/claude-code/settings,
`cleanupPeriodDays`).
"""
PREVIOUS_SUMMARY_MAX = 8 << 10
"""Characters of an earlier summary that a brief repeats."""

UNUSABLE = frozenset({Failure.SESSION_UNKNOWN, Failure.INVALID_REQUEST, Failure.REFUSED})
"""Failures that a session would meet again."""
_NOT_ITS_FAULT = frozenset(
    {
        Failure.AUTHENTICATION,
        Failure.RATE_LIMITED,
        Failure.OVERLOADED,
        Failure.API_ERROR,
        Failure.NETWORK,
        Failure.MODEL_UNKNOWN,
        Failure.BUDGET,
        Failure.INTERRUPTED,
    },
)
"""Failures that a fresh session would meet as well."""
_WORD = re.compile(r"[0-9A-Za-z][\x21-\x7e]{0,199}")
"""What may stand in a command line: no option, and no more than any tool's own ids."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A conversation that an earlier attempt had with its agent, and what came of it."""

    id: str
    task: TaskId
    agent: str
    workspace: str
    """The name of the directory in which alone it can be resumed."""
    ended_at: Moment
    used: Usage = field(default_factory=Usage)
    """Tokens of the whole conversation until then."""
    conclusion: Conclusion | None = None
    summary: str | None = None


def may_resume(agent: Agent, session: str) -> bool:
    """Say whether the agent's command can be given this session.

    Ids come from what agents write: one that could be read as an option is refused here.
    """
    if is_bare(agent):
        return PRESETS[agent.preset].can_resume and is_uuid(session)
    return "{session}" in agent.command and _WORD.fullmatch(session) is not None


def starts_afresh(report: StreamReport | None, exit_: Exit) -> bool:
    """Say whether an attempt that was to resume a session shall begin again without it.

    It does where the tool does not know the session, and where it ended by itself before it had
    done anything, unless a fresh session would have met the same.
    """
    if exit_.stopped is not None or exit_.exceeded is not None:
        return False
    if report is None:
        return exit_.signal is not None or exit_.code not in (0, EXIT_TRY_AGAIN, None)
    if report.error_code is Failure.SESSION_UNKNOWN:
        return True
    if report.error_code is None or report.error_code in _NOT_ITS_FAULT:
        return False
    return report.item_count == 0


def own_part(report: StreamReport, agent: Agent, resumed: Session | None) -> StreamReport:
    """Take out of a report what the resumed session had used before this attempt, for tools that
    count on from there.

    A total below the former one is no total any more: it stays as it is.
    """
    if resumed is None or report.session != resumed.id:
        return report
    if not PRESETS[agent.preset].counts_whole_session:
        return report
    usage, past = report.usage, resumed.used
    return replace(
        report,
        usage=replace(
            usage,
            input_tokens=_since(usage.input_tokens, past.input_tokens),
            output_tokens=_since(usage.output_tokens, past.output_tokens),
        ),
    )


def _since(total: int | None, past: int | None) -> int | None:
    if total is None or past is None or total < past:
        return total
    return total - past


def previous_result(session: Session) -> Mapping[str, str | None] | None:
    """Give what a brief says of the attempt before, bounded; None where nothing came of it."""
    if session.conclusion is None and not session.summary:
        return None
    return {
        "conclusion": session.conclusion,
        "summary": (session.summary or "")[:PREVIOUS_SUMMARY_MAX],
    }
