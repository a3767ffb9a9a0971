"""What is known of the Codex CLI without a terminal: its flags and its stream of JSON lines.

- Flags and stream: https://developers.openai.com/codex/noninteractive
- Sandbox: https://developers.openai.com/codex/security

Seen with 0.169.0: it has no cost and no model in its stream; `turn.failed` has a message and no
code; without network it never gives up and keeps printing; its sandbox `workspace-write` leaves
`.git` read-only, so it cannot commit there; it tells its tokens at the end of a turn alone, so that
a budget stops it no sooner than in the next; `exec resume` of something that is no UUID silently
starts a new thread, of a UUID that it does not know exits 1 without any event; and after a resume
the usage is the whole thread's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from covend.core.model import Usage
from covend.core.presets.stream import (
    MESSAGE_MAX,
    TEXT_MAX,
    Failure,
    StreamReport,
    Tool,
    Words,
    count,
    decode,
    is_bare,
    is_uuid,
    mapping,
    substituted,
    text,
)
from covend.core.settings import Agent


def argv(agent: Agent, words: Words) -> tuple[str, ...]:
    """Give the command; a bare one gets flags for its own sandbox and for the prompt on standard
    input.

    The sandbox writes to the workspace and /tmp, and through `--add-dir` to the result's directory
    (seen so); all else is read-only. All flags stand before `resume`, which itself knows few.
    """
    if not is_bare(agent):
        return substituted(agent.command, words)
    flags = ["exec", "--json", "--skip-git-repo-check", "-c", "analytics.enabled=false"]
    flags += ["-C", words.workspace, "-s", "workspace-write"]
    flags += ["--add-dir", str(PurePath(words.result).parent)]
    model = words.model or agent.model
    flags += ["-m", model] if model else []
    if words.session and is_uuid(words.session):
        flags += ["resume", words.session]
    return (*agent.command, *flags, "-")


class CodexReader:
    """Reads `codex exec --json`."""

    def __init__(self) -> None:
        self._is_stream = False
        self._session: str | None = None
        self._turns = 0
        self._items = 0
        self._final: str | None = None
        self._usage = Usage()
        self._is_completed = False
        self._failed: str | None = None
        self._complaint: str | None = None

    def feed(self, line: str) -> bool:
        event = decode(line)
        kind = text(event.get("type")) if event else None
        if event is None or kind not in _KINDS:
            return not self._is_stream
        self._is_stream = True
        return self._take(kind, event)

    def report(self) -> StreamReport | None:
        if not self._is_stream:
            return None
        failure, message = self._failure()
        return StreamReport(
            session=self._session,
            usage=self._usage,
            final_text=self._final if failure is None else None,
            last_text=self._final[-TEXT_MAX:] if self._final else None,
            error_code=failure,
            error_message=message[:MESSAGE_MAX] if message else None,
            turn_count=self._turns,
            item_count=self._items,
        )

    def _take(self, kind: str | None, event: Mapping[str, Any]) -> bool:
        match kind:
            case "turn.started":
                self._turns += 1
                self._is_completed, self._failed = False, None
                return True
            case "turn.completed":
                self._is_completed, self._usage = True, _usage(mapping(event.get("usage")))
                return True
            case "item.started" | "item.updated" | "item.completed":
                return self._take_item(mapping(event.get("item")))
            case "thread.started":
                self._session = text(event.get("thread_id"))
            case "turn.failed":
                message = text(mapping(event.get("error")).get("message"))
                self._failed = message or "the turn failed"
            case _:
                self._complaint = text(event.get("message"))
        return False

    def _take_item(self, item: Mapping[str, Any]) -> bool:
        # Items of type `error` are warnings (an unknown model's metadata), neither failure nor
        # progress.
        if item.get("type") == "error":
            return False
        self._items += 1
        self._complaint = None
        if item.get("type") == "agent_message":
            self._final = text(item.get("text")) or self._final
        return True

    def _failure(self) -> tuple[Failure | None, str | None]:
        if self._failed is not None:
            return _classify(self._failed), self._failed
        if self._is_completed:
            return None, None
        if self._complaint is not None:
            return _classify(self._complaint), self._complaint
        return Failure.INCOMPLETE, "the stream ended within a turn"


_KINDS = frozenset(
    {
        *("thread.started", "turn.started", "turn.completed", "turn.failed"),
        *("item.started", "item.updated", "item.completed", "error"),
    },
)

_CLASSES = (
    (Failure.AUTHENTICATION, r"\b40[13]\b|unauthorized|forbidden|api key"),
    (Failure.BUDGET, r"quota|billing|usage limit"),
    (Failure.RATE_LIMITED, r"\b429\b|too many requests|rate limit"),
    (Failure.OVERLOADED, r"high demand|overloaded|\b503\b|\b529\b"),
    (Failure.NETWORK, r"waiting for network|error sending request|connection failed|timed? ?out"),
    (Failure.MODEL_UNKNOWN, r"model.*(does not exist|not found|not supported)|model_not_found"),
    (Failure.SESSION_UNKNOWN, r"no rollout found|(thread|conversation) not found"),
    (Failure.INVALID_REQUEST, r"\b400\b|\b413\b|invalid_request|context window"),
    (Failure.REFUSED, r"content policy|flagged|refus"),
)
"""It gives no codes, so the message has to do; the first that matches."""


def _classify(message: str) -> Failure:
    matching = (kind for kind, shape in _CLASSES if re.search(shape, message, re.IGNORECASE))
    return next(matching, Failure.API_ERROR)


def _usage(usage: Mapping[str, Any]) -> Usage:
    # `cached_input_tokens` is a part of `input_tokens`, `reasoning_output_tokens` one of
    # `output_tokens`.
    return Usage(
        input_tokens=count(usage.get("input_tokens")),
        output_tokens=count(usage.get("output_tokens")),
    )


TOOL = Tool(
    argv=argv,
    reader=CodexReader,
    stop_signal="SIGINT",
    progress_by_events=True,
    can_resume=True,
    counts_whole_session=True,
)
"""SIGINT, because it then ends its tools too: they have sessions of their own."""
