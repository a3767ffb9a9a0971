"""What all tools have in common: the report of an event stream, the classes of failure, the words
of a command.

Knows no tool; what is known of one stands in that tool's own file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NoReturn, Protocol

import orjson

from covend.core.model import Usage
from covend.core.settings import Agent

MESSAGE_MAX = 2000
"""Characters kept of a tool's own error message."""
TEXT_MAX = 1 << 16
"""Characters kept of what the model said last."""
COUNT_MAX = 2**53
"""As in the result's contract: what a tool counts beyond it is a mistake, and no store takes it."""


COST_MAX = 1e9
"""USD, as in the result's contract."""
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


class Failure(StrEnum):
    """Why a tool says that it failed: the few classes that all tools' own codes fold into."""

    AUTHENTICATION = "authentication"
    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    API_ERROR = "api_error"
    INVALID_REQUEST = "invalid_request"
    NETWORK = "network"
    MODEL_UNKNOWN = "model_unknown"
    BUDGET = "budget"
    MAX_TURNS = "max_turns"
    REFUSED = "refused"
    SESSION_UNKNOWN = "session_unknown"
    INTERRUPTED = "interrupted"
    NO_MODEL_CALL = "no_model_call"
    INCOMPLETE = "incomplete"


PASSING = frozenset({Failure.RATE_LIMITED, Failure.OVERLOADED, Failure.API_ERROR, Failure.NETWORK})
"""Failures that may be gone at the next try."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamReport:
    """What a tool's own event stream told so far; `error_code` is None where the tool says it has
    succeeded, and `Failure.INCOMPLETE` while it has not ended.
    """

    session: str | None = None
    usage: Usage = field(default_factory=Usage)
    """Before the end at least this much, as far as the tool says anything by then."""
    final_text: str | None = None
    last_text: str | None = None
    """What the model said last, also where it was not its last word; at most `TEXT_MAX`."""
    error_code: Failure | None = None
    error_message: str | None = None
    turn_count: int = 0
    """Turns of the conversation that were begun, by its tool's own notion of one."""
    item_count: int = 0
    """Messages of the model, calls of tools and their results: what a retry adds nothing to."""


class Reader(Protocol):
    """Reads one attempt's standard output, line by line; keeps a bounded part of it, and raises
    for no line.
    """

    def feed(self, line: str) -> bool:
        """Take one line without its newline, and say whether the tool got on.

        It does by each of its own items and turns, not by retries and heartbeats; what is no event
        that is known is passed over. As long as no line was an event, each line is progress.
        """
        ...

    def report(self) -> StreamReport | None:
        """Give what is known so far, at little cost; None where no line was an event, so that the
        output is plain text.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What the placeholders of a command stand for; `edits`: the task is to change files and
    commit.
    """

    prompt: str
    brief: str
    result: str
    workspace: str
    session: str | None = None
    model: str | None = None
    edits: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """What covend knows of one tool."""

    argv: Callable[[Agent, Words], tuple[str, ...]]
    reader: Callable[[], Reader]
    environment: Mapping[str, str] = field(default_factory=dict)
    exit_codes: Mapping[int, str] = field(default_factory=dict)
    """As `Agent.exit_codes`, which goes first."""
    stop_signal: str = "SIGTERM"
    """The default of `Agent.stop_signal`."""
    progress_by_events: bool = False
    """Whether a reader tells progress from mere output; else any output is progress."""
    can_resume: bool = False
    """Whether the bare tool goes on with the session in `Words.session`, where that is a UUID."""
    counts_whole_session: bool = False
    """Whether its usage after a resume is that of the whole session, not of the attempt."""


def substituted(command: tuple[str, ...], words: Words) -> tuple[str, ...]:
    """Put in the placeholders, each a whole word; one without a value becomes an empty word."""
    values = {
        "{prompt}": words.prompt,
        "{brief}": words.brief,
        "{result}": words.result,
        "{workspace}": words.workspace,
        "{session}": words.session or "",
        "{model}": words.model or "",
    }
    return tuple(values.get(word, word) for word in command)


def takes_prompt_on_stdin(agent: Agent) -> bool:
    """Say whether standard input carries the prompt; it is closed where the command has it as a
    word.
    """
    return "{prompt}" not in agent.command


def is_bare(agent: Agent) -> bool:
    """Say whether the command is the tool alone, so that its preset adds the flags."""
    return len(agent.command) == 1


def is_uuid(text: str) -> bool:
    """Say whether a session's id has the shape that claude and codex give it."""
    return _UUID.fullmatch(text) is not None


def decode(line: str) -> Mapping[str, Any] | None:
    """Read a line as a JSON object, or None."""
    if not line.startswith("{"):
        return None
    try:
        event = orjson.loads(line.encode("utf-8", "replace"))
    except orjson.JSONDecodeError:
        event = _decode_leniently(line)
    return event if isinstance(event, dict) else None


def _decode_leniently(line: str) -> Any:
    # A tool that cuts a text within a pair of surrogates writes half of it, which orjson refuses.
    if "\\ud" not in line.lower():
        return None
    try:
        return json.loads(line, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None


def _refuse(constant: str) -> NoReturn:
    message = f"{constant} is no JSON"
    raise ValueError(message)


def mapping(value: Any) -> Mapping[str, Any]:
    """Give the object that stands there, or an empty one."""
    return value if isinstance(value, dict) else {}


def text(value: Any) -> str | None:
    """Give the text that stands there, or None for an empty one and for anything else."""
    if not isinstance(value, str) or not value:
        return None
    return value.encode("utf-8", "replace").decode()


def count(*values: Any) -> int:
    """Sum the counts that stand there, to at most `COUNT_MAX`; what is none counts as 0."""
    return min(sum(_count(value) for value in values), COUNT_MAX)


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def amount(value: Any) -> float | None:
    """Give the sum of money that stands there, from 0 to `COST_MAX`, or None."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return float(value) if 0 <= value <= COST_MAX else None
