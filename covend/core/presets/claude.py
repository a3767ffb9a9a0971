"""What is known of Claude Code without a terminal: its flags, its switches, its stream of JSON
lines.

- Flags: https://docs.anthropic.com/en/docs/claude-code/cli-reference
- Permission rules (`//path` is absolute): https://docs.anthropic.com/en/docs/claude-code/iam
- Stream: https://docs.anthropic.com/en/docs/claude-code/sdk/sdk-headless

Seen with 2.1.197: exit codes tell little (1 for nearly everything, also 0 for a command it does not
know), so the `result` line's `is_error` decides; its `subtype` says success even of API errors.
`usage` has been wrong, `modelUsage` has not. What it says in the model's name without asking it (an
error, the answer to a command of its own) has the model `<synthetic>`. It refuses to bypass
permissions as root, so no flag here does. It resumes a session only in the same directory and HOME,
and then counts the attempt's own tokens and cost alone. Each message of the model tells its tokens
when it begins (what goes in whole, what comes out hardly begun); money is told by the `result` line
alone, so that only a budget of tokens can stop it on its way.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from types import MappingProxyType
from typing import Any

from covend.core.model import Usage
from covend.core.presets.stream import (
    COUNT_MAX,
    MESSAGE_MAX,
    TEXT_MAX,
    Failure,
    StreamReport,
    Tool,
    Words,
    amount,
    count,
    decode,
    is_bare,
    is_uuid,
    mapping,
    substituted,
    text,
)
from covend.core.settings import Agent

READING = (
    "Read",
    "Grep",
    "Glob",
    "Bash(git diff:*)",
    "Bash(git log:*)",
    "Bash(git show:*)",
    "Bash(git blame:*)",
    "Bash(git status:*)",
)
EDITING = ("Edit", "Write", "Bash(git add:*)", "Bash(git commit:*)")

ENVIRONMENT = MappingProxyType(
    {
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
        # Its default of 10 takes three minutes of a slot; covend retries by itself.
        "CLAUDE_CODE_MAX_RETRIES": "2",
    },
)


def argv(agent: Agent, words: Words) -> tuple[str, ...]:
    """Give the command; a bare one gets flags that let it read, run git's readers and write its
    result.

    The answer comes from the result file. Its directory lies outside the checkout: `--add-dir`
    shows it, and the rule `Edit(//…)`, which governs every tool that writes files, allows just that
    directory; `dontAsk` refuses all else without asking (seen so), and a refusal is no failure.
    Where no file was written, the final message is the summary, or the result that ends it.
    """
    if not is_bare(agent):
        return substituted(agent.command, words)
    exchange = PurePath(words.result).parent
    allowed = (*READING, *(EDITING if words.edits else ()), f"Edit(/{exchange}/**)")
    flags = ["-p", "--output-format", "stream-json", "--verbose", "--permission-mode", "dontAsk"]
    flags += ["--add-dir", str(exchange), "--allowedTools", ",".join(allowed)]
    model = words.model or agent.model
    flags += ["--model", model] if model else []
    if words.session and is_uuid(words.session):
        flags += ["--resume", words.session]
    return (*agent.command, *flags)


class ClaudeReader:
    """Reads `--output-format stream-json`."""

    def __init__(self) -> None:
        self._is_stream = False
        self._session: str | None = None
        self._answers = _Answers()
        self._items = 0
        self._said: str | None = None
        self._error: str | None = None
        self._result: Mapping[str, Any] | None = None

    def feed(self, line: str) -> bool:
        event = decode(line)
        kind = text(event.get("type")) if event else None
        if event is None or kind not in _KINDS:
            return not self._is_stream
        self._is_stream = True
        self._session = text(event.get("session_id")) or self._session
        match kind:
            case "assistant":
                return self._take_message(event)
            case "user":
                self._items += 1
                return True
            case "result":
                self._result = event
                return True
            case "stream_event":
                return mapping(event.get("event")).get("type") != "ping"
            case _:
                return event.get("subtype") == "compact_boundary"

    def report(self) -> StreamReport | None:
        if not self._is_stream:
            return None
        result, failure = self._result or {}, self._failure()
        return StreamReport(
            session=self._session,
            usage=_usage(result) if result else self._answers.usage,
            final_text=text(result.get("result")) if failure is None else None,
            last_text=self._said,
            error_code=failure,
            error_message=_message(result) if failure else None,
            turn_count=self._answers.count,
            item_count=self._items,
        )

    def _take_message(self, event: Mapping[str, Any]) -> bool:
        self._error = text(event.get("error")) or self._error
        message = mapping(event.get("message"))
        if message.get("model") == "<synthetic>":
            return False
        self._items += 1
        self._answers.take(message)
        if not event.get("parent_tool_use_id"):  # said to an agent within the agent
            self._said = _text_of(message) or self._said
        return True

    def _failure(self) -> Failure | None:
        if self._result is None:
            return Failure.INCOMPLETE
        if self._result.get("is_error"):
            return _classify(self._result, self._error)
        # A prompt that it took for a command of its own ends as a success without any call.
        return None if count(self._result.get("num_turns")) else Failure.NO_MODEL_CALL


_KINDS = frozenset({"system", "assistant", "user", "result", "stream_event"})
ANSWERS_OPEN_MAX = 64
"""How many answers may be told piece by piece at once: agents within the agent run side by side."""


class _Answers:
    """The model's answers so far; each piece of one is a line with the usage of the whole."""

    def __init__(self) -> None:
        self.count = 0
        self._open: dict[str, tuple[int, int]] = {}
        self._input_tokens = 0
        self._output_tokens = 0

    @property
    def usage(self) -> Usage:
        """Give at least what was used: output is told as it stood when an answer began."""
        if not self.count:
            return Usage()
        return Usage(
            input_tokens=min(self._input_tokens, COUNT_MAX),
            output_tokens=min(self._output_tokens, COUNT_MAX),
        )

    def take(self, message: Mapping[str, Any]) -> None:
        usage, answer = mapping(message.get("usage")), text(message.get("id")) or ""
        if answer not in self._open:
            self.count += 1
        was_input, was_output = self._open.pop(answer, (0, 0))
        now = _tokens(usage, _MESSAGE_INPUT), count(usage.get("output_tokens"))
        self._open[answer] = now
        self._input_tokens += now[0] - was_input
        self._output_tokens += now[1] - was_output
        if len(self._open) > ANSWERS_OPEN_MAX:
            del self._open[next(iter(self._open))]


_BY_SUBTYPE = {
    "error_max_turns": Failure.MAX_TURNS,
    "error_max_budget_usd": Failure.BUDGET,
}
_BY_STATUS = {
    400: Failure.INVALID_REQUEST,
    413: Failure.INVALID_REQUEST,
    401: Failure.AUTHENTICATION,
    403: Failure.AUTHENTICATION,
    429: Failure.RATE_LIMITED,
    529: Failure.OVERLOADED,
}
_BY_ERROR = {
    "authentication_failed": Failure.AUTHENTICATION,
    "billing_error": Failure.BUDGET,
    "invalid_request": Failure.INVALID_REQUEST,
    "rate_limit": Failure.RATE_LIMITED,
    "overloaded": Failure.OVERLOADED,
    "model_not_found": Failure.MODEL_UNKNOWN,
}


def _classify(result: Mapping[str, Any], error: str | None) -> Failure:
    known = (
        _BY_SUBTYPE.get(text(result.get("subtype")) or "")
        or _BY_ERROR.get(error or "")
        or _BY_STATUS.get(count(result.get("api_error_status")))
    )
    if known:
        return known
    if result.get("stop_reason") == "refusal":
        return Failure.REFUSED
    if str(result.get("terminal_reason")).startswith("aborted"):
        return Failure.INTERRUPTED
    if _message(result).startswith("No conversation found"):
        return Failure.SESSION_UNKNOWN
    return Failure.API_ERROR


def _text_of(message: Mapping[str, Any]) -> str | None:
    content = message.get("content")
    if not isinstance(content, list):
        return None
    told = [text(mapping(part).get("text")) for part in content]
    return "\n\n".join(part for part in told if part)[-TEXT_MAX:] or None


def _message(result: Mapping[str, Any]) -> str:
    if not result:
        return "the stream ended without a result"
    errors = result.get("errors")
    listed = "; ".join(str(item) for item in errors) if isinstance(errors, list) else ""
    return (text(result.get("result")) or listed or str(result.get("subtype")))[:MESSAGE_MAX]


def _usage(result: Mapping[str, Any]) -> Usage:
    models = [mapping(item) for item in mapping(result.get("modelUsage")).values()]
    return Usage(
        input_tokens=count(*(_tokens(item, _MODEL_INPUT) for item in models)),
        output_tokens=count(*(item.get("outputTokens") for item in models)),
        cost_usd=amount(result.get("total_cost_usd")),
    )


# Cached tokens stand apart here; codex counts them in.
_MODEL_INPUT = ("inputTokens", "cacheReadInputTokens", "cacheCreationInputTokens")
_MESSAGE_INPUT = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


def _tokens(usage: Mapping[str, Any], names: tuple[str, ...]) -> int:
    return count(*(usage.get(name) for name in names))


TOOL = Tool(
    argv=argv,
    reader=ClaudeReader,
    environment=ENVIRONMENT,
    stop_signal="SIGINT",
    progress_by_events=True,
    can_resume=True,
)
"""SIGINT, because it then stops its own tools and still writes its `result` line with the cost."""
