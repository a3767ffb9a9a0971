"""Records as the JSON that scripts rely on: no name ever changes, moments are RFC 3339 in UTC."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import orjson
from aiohttp import web

from covend.core.audit import AuditRow
from covend.core.model import Attempt, Delivery, Effect, Moment, Subject, Task, Usage
from covend.core.rules.verdicts import ClauseResult, Verdict
from covend.core.safeguards.shapes import FOREVER, Safeguard
from covend.core.waiting import explain_safeguard, is_holding, release_command
from covend.edges.agents.output import Line, Stream
from covend.services.live import Ended
from covend.store.happenings import Arrived, Moved
from covend.store.protocol import Attended, Meeting, Move

Shape = dict[str, Any]
Record = TypeVar("Record")
_STREAMS = {Stream.OUT: "stdout", Stream.ERROR: "stderr", Stream.MARK: "covend"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def answer(data: object, *, status: int = 200) -> web.Response:
    """Make the answer to a request that went well."""
    body = orjson.dumps(data, default=str)
    return web.Response(status=status, body=body, content_type="application/json")


def page(
    shape: Callable[[Record], Shape], items: Sequence[Record], next_cursor: str | None = None
) -> web.Response:
    """Make the answer that is a list."""
    return answer({"items": [shape(item) for item in items], "next_cursor": next_cursor})


def moment(at: Moment | None) -> str | None:
    """Write a moment with its milliseconds; 0 means that there is none, and so does one that no
    clock brings.
    """
    if not at or at >= FOREVER:
        return None
    written = (_EPOCH + timedelta(milliseconds=at)).isoformat(timespec="milliseconds")
    return written.replace("+00:00", "Z")


def delivery(record: Delivery) -> Shape:
    """Give a delivery without what came in it."""
    return {
        "id": record.id,
        "source": record.source,
        "via": record.via,
        "event": record.event,
        "action": record.action,
        "installation_id": record.installation_id,
        "repository_id": record.repository_id,
        "repository": record.repository,
        "sender": record.sender,
        "state": record.state,
        "reason": record.reason,
        "received_at": moment(record.received_at),
        "body_sha256": record.body_sha256,
        "duplicates": record.duplicates,
        "tasks": record.tasks,
    }


def verdict(record: Verdict) -> Shape:
    """Give what a rule said, clause by clause."""
    return {
        "rule": record.rule,
        "matched": record.matched,
        "reason": record.reason,
        "clauses": [_clause(one) for one in record.clauses],
    }


def _clause(record: ClauseResult) -> Shape:
    return {
        "name": record.name,
        "satisfied": record.satisfied,
        "values": record.values,
        "conditions": record.conditions,
        "need": record.need,
    }


def meeting(record: Meeting) -> Shape:
    """Give what one draft of a delivery would meet."""
    return {
        "rule": record.rule,
        "key": record.key,
        "reason": record.reason,
        "task": record.task,
        "generation": record.generation,
    }


def task(record: Task, explanation: str = "") -> Shape:
    """Give a task without its story; `explanation` says in words why it waits."""
    return {
        "id": record.id,
        "state": record.state,
        "reason": record.reason,
        "explanation": explanation or None,
        "not_before": moment(record.not_before_at),
        "rule": record.rule,
        "agent": record.agent,
        "priority": record.priority,
        "key": record.key,
        "generation": record.generation,
        "policy": record.policy,
        "trust": record.trust,
        "approved_by": record.approved_by,
        "approved_at": moment(record.approved_at),
        "event": record.event,
        "installation_id": record.installation_id,
        "repository_id": record.repository_id,
        "repository": record.repository,
        "subject": subject(record.subject),
        "inputs": record.inputs,
        "delivery": record.delivery,
        "parent": record.parent,
        "depth": record.depth,
        "superseded_by": record.superseded_by,
        "attempts": record.attempts,
        "created_at": moment(record.created_at),
        "updated_at": moment(record.updated_at),
        "finished_at": moment(record.finished_at),
        "conclusion": record.conclusion,
        "summary": record.summary,
        "error": _error(record.error_code, record.error_message),
        "cost_usd": record.cost_usd,
        "cancel_requested_at": moment(record.cancel_requested_at),
    }


def subject(record: Subject) -> Shape:
    return {
        "type": record.type,
        "number": record.number,
        "title": record.title or None,
        "url": record.url or None,
        "author": record.author or None,
        "head_sha": record.head_sha,
        "base_sha": record.base_sha,
    }


def _error(code: str | None, message: str | None) -> Mapping[str, str | None] | None:
    return {"code": code, "message": message} if code else None


def attended(record: Attended | None) -> Shape | None:
    """Give what became of a command to covend itself; None where a delivery has brought none."""
    if record is None:
        return None
    return {"verb": record.verb, "state": record.state, "reason": record.reason}


def wish(record: AuditRow) -> Shape:
    """Give a line of the audit."""
    asked = record.wish
    return {
        "number": record.number,
        "at": moment(record.at),
        "who": asked.who,
        "via": asked.way,
        "from": asked.address,
        "client": asked.client,
        "verb": asked.verb,
        "target": asked.target,
        "details": _details(asked.details),
        "outcome": record.outcome,
        "ended_at": moment(record.ended_at),
    }


def _details(text: str) -> object:
    """Read them as they were written; what was too long to be kept whole is shown as its text."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return {"cut": text}


def moved(record: Moved) -> Shape:
    """Give a move of a task, as who follows the whole daemon is told of it."""
    return {
        "task": record.task,
        "from": record.source,
        "to": record.target,
        "reason": record.reason,
        "at": moment(record.at),
        "rule": record.rule,
        "repository": record.repository,
    }


def arrived(record: Arrived) -> Shape:
    """Give a delivery, as who follows the whole daemon is told of it."""
    return {
        "id": record.id,
        "event": record.event,
        "action": record.action,
        "repository": record.repository,
        "state": record.state,
        "reason": record.reason,
        "at": moment(record.at),
    }


def move(record: Move) -> Shape:
    """Give one line of a timeline."""
    return {
        "moment": moment(record.at),
        "what": record.target,
        "why": record.reason,
        "from": record.source,
    }


def attempt(record: Attempt) -> Shape:
    """Give an attempt without its log."""
    return {
        "number": record.number,
        "agent": record.agent,
        "node": record.node,
        "mode": record.mode,
        "resumes": record.resumes,
        "workspace": record.workspace,
        "phase": record.phase,
        "outcome": record.outcome,
        "error_code": record.error_code,
        "error_message": record.error_message,
        "exit_code": record.exit_code,
        "signal": record.signal,
        "pid": record.pid,
        "started_at": moment(record.started_at),
        "ended_at": moment(record.ended_at),
        "session": record.session,
        "usage": _usage(record.usage),
        "log_bytes": record.log_bytes,
    }


def line(record: Line) -> Shape:
    """Give one line of what an attempt has printed."""
    return {
        "at": moment(record.at),
        "stream": _STREAMS[record.stream],
        "text": record.text,
        "next_offset": record.next_offset,
    }


def ended(record: Ended, attempt: int) -> Shape:
    """Give what ends a log that was followed; without an outcome the attempt never began."""
    progress = record.progress
    return {
        "attempt": attempt,
        "outcome": progress.outcome,
        "error_code": progress.error_code,
        "state": progress.state,
        "attempts": progress.attempts,
        "next_offset": record.next_offset,
    }


def _usage(record: Usage) -> Shape:
    return {
        "input_tokens": record.input_tokens,
        "output_tokens": record.output_tokens,
        "cost_usd": record.cost_usd,
    }


def effect(record: Effect) -> Shape:
    """Give an effect without its request; one that answers a command has no task."""
    return {
        "id": record.id,
        "task": record.task,
        "kind": record.kind,
        "target": record.target,
        "state": record.state,
        "tries": record.tries,
        "not_before": moment(record.not_before_at) if record.done_at is None else None,
        "remote_id": record.remote_id,
        "remote_url": record.remote_url,
        "error": record.error,
        "created_at": moment(record.created_at),
        "done_at": moment(record.done_at),
    }


def safeguard(record: Safeguard, now: Moment = 0) -> Shape:
    """Give a safeguard, with its explanation and the command that lets go what it holds; one that
    does not hold only counts.
    """
    return {
        "id": record.id,
        "kind": record.kind,
        "scope": record.scope,
        "state": record.state,
        "holds": is_holding(record),
        "reason": record.reason,
        "explanation": explain_safeguard(record, now),
        "release": release_command(record) or None,
        "until": moment(record.until),
        "values": record.values,
        "created_at": moment(record.created_at),
        "updated_at": moment(record.updated_at),
    }
