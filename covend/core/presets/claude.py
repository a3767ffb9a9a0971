"""What is known of Claude Code without a terminal: its flags, its switches, its stream of JSON
lines.

- Flags: https://docs.anthropic.com/en/docs/claude-code/cli-reference
- Permission rules (`//path` is absolute): https://docs.anthropic.com/en/docs/claude-code/iam
- Stream: https://docs.anthropic.com/en/docs/claude-code/sdk/sdk-headless

Seen with 2.1.197: exit codes tell little (1 for nearly everything, also 0 for a command it does not
know), so the `result` line's `is_error` decides; its `subtype` says success even of API errors.
`usage` has been wrong, `modelUsage` has not. It refuses to bypass permissions as root, so no flag
here does; and it resumes a session only in the same directory and HOME.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from types import MappingProxyType
from typing import Any

from covend.core.model import Usage
from covend.core.presets.stream import (
    MESSAGE_MAX,
    Failure,
    StreamReport,
    Tool,
    Words,
    count,
    decode,
    is_bare,
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
    flags += ["--resume", words.session] if words.session else []
    return (*agent.command, *flags)


class ClaudeReader:
    """Reads `--output-format stream-json`."""

    def __init__(self) -> None:
        self._is_stream = False
        self._session: str | None = None
        self._progress = 0
        self._error: str | None = None
        self._result: Mapping[str, Any] | None = None

    def feed(self, line: str) -> None:
        event = decode(line)
        if event is None:
            return
        match event.get("type"):
            case "assistant":
                self._progress += 1
                self._error = text(event.get("error")) or self._error
            case "user":
                self._progress += 1
            case "result":
                self._result = event
            case "system":
                pass
            case _:
                return
        self._is_stream = True
        self._session = text(event.get("session_id")) or self._session

    def report(self) -> StreamReport | None:
        if not self._is_stream:
            return None
        result = self._result or {}
        failure = self._failure()
        return StreamReport(
            session=self._session,
            usage=_usage(result),
            final_text=text(result.get("result")) if failure is None else None,
            error_code=failure,
            error_message=_message(result) if failure else None,
            progress_count=self._progress,
        )

    def _failure(self) -> Failure | None:
        if self._result is None:
            return Failure.INCOMPLETE
        if self._result.get("is_error"):
            return _classify(self._result, self._error)
        # A prompt that it took for a command of its own ends as a success without any call.
        return None if count(self._result.get("num_turns")) else Failure.NO_MODEL_CALL


_BY_SUBTYPE = {
    "error_max_turns": Failure.MAX_TURNS,
    "error_max_budget_usd": Failure.BUDGET,
}
_BY_STATUS = {
    401: Failure.AUTHENTICATION,
    403: Failure.AUTHENTICATION,
    429: Failure.RATE_LIMITED,
    529: Failure.OVERLOADED,
}
_BY_ERROR = {
    "authentication_failed": Failure.AUTHENTICATION,
    "billing_error": Failure.BUDGET,
    "rate_limit": Failure.RATE_LIMITED,
    "overloaded": Failure.OVERLOADED,
    "model_not_found": Failure.MODEL_UNKNOWN,
}


def _classify(result: Mapping[str, Any], error: str | None) -> Failure:
    known = (
        _BY_SUBTYPE.get(result.get("subtype") or "")
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


def _message(result: Mapping[str, Any]) -> str:
    if not result:
        return "the stream ended without a result"
    errors = result.get("errors")
    listed = "; ".join(str(item) for item in errors) if isinstance(errors, list) else ""
    return (text(result.get("result")) or listed or str(result.get("subtype")))[:MESSAGE_MAX]


def _usage(result: Mapping[str, Any]) -> Usage:
    models = [mapping(item) for item in mapping(result.get("modelUsage")).values()]
    if not result:
        return Usage()
    cost = result.get("total_cost_usd")
    return Usage(
        input_tokens=count(*(_input_tokens(item) for item in models)),
        output_tokens=count(*(item.get("outputTokens") for item in models)),
        cost_usd=float(cost) if isinstance(cost, int | float) else None,
    )


def _input_tokens(model: Mapping[str, Any]) -> int:
    # Cached tokens stand apart here; codex counts them in.
    names = ("inputTokens", "cacheReadInputTokens", "cacheCreationInputTokens")
    return count(*(model.get(name) for name in names))


TOOL = Tool(argv=argv, reader=ClaudeReader, environment=ENVIRONMENT, stop_signal="SIGINT")
"""SIGINT, because it then stops its own tools and still writes its `result` line with the cost."""
