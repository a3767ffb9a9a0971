"""The nouns of the API as JSON Schemas, one for each shape of `shapes`: their members are named the
same, in the same order, and a test holds one against the other.

A member that is not there has null; more members may come, and none changes its meaning.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from covend.core.audit import Way
from covend.core.installing import InstallationState
from covend.core.model import Conclusion, EffectKind, Mode, Need, Phase, SubjectType, Trust, Via
from covend.core.safeguards.shapes import SafeguardKind
from covend.core.states import DeliveryState, EffectState, Outcome, TaskState
from covend.services.looks import LookState
from covend.web.routes import Schema

TEXT: Schema = {"type": "string"}
WHOLE: Schema = {"type": "integer"}
COUNT: Schema = {"type": "integer", "minimum": 0}
AMOUNT: Schema = {"type": "number", "minimum": 0}
YES_OR_NO: Schema = {"type": "boolean"}
OBJECT: Schema = {"type": "object"}
MOMENT: Schema = {
    "type": "string",
    "format": "date-time",
    "description": "RFC 3339 in UTC, with milliseconds.",
}


def about(schema: Schema, words: str) -> Schema:
    """Give a schema with words for people."""
    return {**schema, "description": words}


def or_null(schema: Schema) -> Schema:
    """Let there be nothing as well."""
    if "$ref" in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    changed: dict[str, Any] = {**schema, "type": [schema["type"], "null"]}
    if "enum" in schema:
        changed["enum"] = [*schema["enum"], None]
    return changed


def one_of(names: Iterable[str]) -> Schema:
    """Give one of a fixed set of names."""
    return {"type": "string", "enum": [str(name) for name in names]}


def ref(name: str) -> Schema:
    """Point to a noun."""
    return {"$ref": f"#/components/schemas/{name}"}


def array(items: Schema) -> Schema:
    """Give a list of things."""
    return {"type": "array", "items": items}


def made_of(words: str, members: Mapping[str, Schema], optional: Collection[str] = ()) -> Schema:
    """Give an object that has these members, all but the `optional` ones always."""
    return {
        "type": "object",
        "description": words,
        "properties": members,
        "required": [name for name in members if name not in optional],
    }


def page_of(name: str) -> Schema:
    """Give a page of a list of nouns."""
    words = "A page, newest first; the next one begins at `next_cursor`, null after the last."
    return made_of(words, {"items": array(ref(name)), "next_cursor": or_null(TEXT)})


def _delivery() -> dict[str, Schema]:
    return {
        "id": about(TEXT, "GitHub's GUID for source `github`."),
        "source": TEXT,
        "via": one_of(Via),
        "event": TEXT,
        "action": or_null(TEXT),
        "installation_id": or_null(WHOLE),
        "repository_id": or_null(WHOLE),
        "repository": or_null(TEXT),
        "sender": or_null(TEXT),
        "state": one_of(DeliveryState),
        "reason": TEXT,
        "received_at": or_null(MOMENT),
        "body_sha256": TEXT,
        "duplicates": COUNT,
        "tasks": about(array(TEXT), "Ids of the tasks it asked for, new or there already."),
    }


def _task() -> dict[str, Schema]:
    return {
        "id": TEXT,
        "state": one_of(TaskState),
        "reason": about(TEXT, "Why it is in this state, or what it waits for."),
        "explanation": about(or_null(TEXT), "Why it waits, in words for people."),
        "not_before": or_null(MOMENT),
        "rule": TEXT,
        "agent": TEXT,
        "priority": WHOLE,
        "key": about(TEXT, "What is the same for the same work."),
        "generation": {"type": "integer", "minimum": 1},
        "policy": about(TEXT, "SHA-256 of the settings that it was routed by."),
        "trust": one_of(Trust),
        "approved_by": or_null(TEXT),
        "approved_at": or_null(MOMENT),
        "event": TEXT,
        "installation_id": or_null(WHOLE),
        "repository_id": or_null(WHOLE),
        "repository": or_null(TEXT),
        "subject": ref("Subject"),
        "inputs": OBJECT,
        "delivery": or_null(TEXT),
        "parent": about(or_null(TEXT), "The task whose end has started this one."),
        "depth": COUNT,
        "superseded_by": or_null(TEXT),
        "attempts": COUNT,
        "created_at": or_null(MOMENT),
        "updated_at": or_null(MOMENT),
        "finished_at": or_null(MOMENT),
        "conclusion": or_null(one_of(Conclusion)),
        "summary": about(or_null(TEXT), "Markdown, in the agent's words."),
        "error": or_null(ref("Fault")),
        "cost_usd": or_null({"type": "number"}),
        "cancel_requested_at": or_null(MOMENT),
    }


def _subject() -> dict[str, Schema]:
    return {
        "type": one_of(SubjectType),
        "number": or_null(WHOLE),
        "title": or_null(TEXT),
        "url": or_null(TEXT),
        "author": or_null(TEXT),
        "head_sha": or_null(TEXT),
        "base_sha": or_null(TEXT),
    }


def _attempt() -> dict[str, Schema]:
    return {
        "number": {"type": "integer", "minimum": 1},
        "agent": TEXT,
        "node": TEXT,
        "mode": one_of(Mode),
        "resumes": or_null(TEXT),
        "workspace": or_null(TEXT),
        "phase": one_of(Phase),
        "outcome": about(or_null(one_of(Outcome)), "Null as long as it is open."),
        "error_code": or_null(TEXT),
        "error_message": or_null(TEXT),
        "exit_code": or_null(WHOLE),
        "signal": or_null(TEXT),
        "pid": or_null(WHOLE),
        "started_at": or_null(MOMENT),
        "ended_at": or_null(MOMENT),
        "session": or_null(TEXT),
        "usage": ref("Usage"),
        "log_bytes": COUNT,
    }


def _effect() -> dict[str, Schema]:
    return {
        "id": TEXT,
        "task": about(or_null(TEXT), "Null for an answer to a command that is no task."),
        "kind": one_of(EffectKind),
        "target": TEXT,
        "state": one_of(EffectState),
        "tries": COUNT,
        "not_before": or_null(MOMENT),
        "remote_id": or_null(TEXT),
        "remote_url": or_null(TEXT),
        "error": or_null(TEXT),
        "created_at": or_null(MOMENT),
        "done_at": or_null(MOMENT),
    }


def _safeguard() -> dict[str, Schema]:
    return {
        "id": about(TEXT, "`kind/scope`."),
        "kind": one_of(SafeguardKind),
        "scope": TEXT,
        "state": TEXT,
        "holds": about(YES_OR_NO, "Whether it holds work back; else it only counts."),
        "reason": TEXT,
        "explanation": about(TEXT, "What it holds and why, in words for people."),
        "release": about(or_null(TEXT), "The command that lets go what it holds."),
        "until": or_null(MOMENT),
        "values": OBJECT,
        "created_at": or_null(MOMENT),
        "updated_at": or_null(MOMENT),
    }


def _audit() -> dict[str, Schema]:
    return {
        "number": WHOLE,
        "at": or_null(MOMENT),
        "who": about(TEXT, "`operator`, or `@LOGIN` of a commenter."),
        "via": one_of(Way),
        "from": about(or_null(TEXT), "An IP address, `unix`, or null for what is no request."),
        "client": about(or_null(TEXT), "What the program said of itself."),
        "verb": TEXT,
        "target": or_null(TEXT),
        "details": about(OBJECT, "What else was asked for; where it was too long, `cut` of it."),
        "outcome": about(or_null(TEXT), "`ok`, the error's code, or null: cut off, nobody knows."),
        "ended_at": or_null(MOMENT),
    }


def _installation() -> dict[str, Schema]:
    return {
        "id": WHOLE,
        "account": TEXT,
        "state": one_of(InstallationState),
        "permissions": {"type": "object", "additionalProperties": TEXT},
        "events": array(TEXT),
        "repositories": COUNT,
        "created_at": or_null(MOMENT),
        "updated_at": or_null(MOMENT),
        "forget_at": or_null(MOMENT),
    }


def _look() -> dict[str, Schema]:
    stopped = {"code": TEXT, "message": TEXT, "retry_at": or_null(MOMENT)}
    counts = ("logs", "listed", "known", "fetched", "kept", "ignored", "unknown_delivered")
    return {
        "id": COUNT,
        "state": one_of(LookState),
        "asked": YES_OR_NO,
        "since": or_null(MOMENT),
        "started_at": or_null(MOMENT),
        "ended_at": or_null(MOMENT),
        "is_complete": YES_OR_NO,
        "error": or_null(made_of("Why.", stopped)),
        **dict.fromkeys(counts, COUNT),
        "failed": COUNT,
    }


def _clause() -> dict[str, Schema]:
    return {
        "name": TEXT,
        "satisfied": or_null(YES_OR_NO),
        "values": array(TEXT),
        "conditions": array(TEXT),
        "need": or_null(one_of(Need)),
    }


def _stats() -> dict[str, Schema]:
    slots = {"used": COUNT, "total": COUNT}
    money = {
        "today_usd": AMOUNT,
        "cap_usd": or_null(AMOUNT),
        "today_tokens": COUNT,
        "cap_tokens": or_null(COUNT),
    }
    quota = {"remaining": or_null(COUNT), "limit": or_null(COUNT), "reset_at": or_null(MOMENT)}
    return {
        "state": one_of(("starting", "ready", "draining")),
        "version": TEXT,
        "now": or_null(MOMENT),
        "uptime_s": AMOUNT,
        "tasks": made_of("How many, by state.", dict.fromkeys(map(str, TaskState), COUNT)),
        "effects": made_of("How many, by state.", dict.fromkeys(map(str, EffectState), COUNT)),
        "slots": made_of("Attempts that run, and how many may.", slots),
        "money": made_of("What today (UTC) has cost, and its budget.", money),
        "github": made_of("Requests left of the hour; null where it has not told.", quota),
        "holding": about(COUNT, "Safeguards that hold work back now."),
        "oldest_queued": about(or_null(MOMENT), "Since when the oldest ripe task waits."),
        "queue_oldest_seconds": AMOUNT,
        "outbox_oldest_seconds": AMOUNT,
        "wal_bytes": COUNT,
    }


def _problem() -> dict[str, Schema]:
    members = {
        "code": about(TEXT, "Stable; for programs."),
        "message": about(TEXT, "What is wrong and how it is mended; for people."),
        "details": OBJECT,
    }
    return {"error": made_of("What is wrong.", members)}


def _whole_task() -> dict[str, Schema]:
    return {
        **_task(),
        "timeline": array(ref("Move")),
        "attempts_list": array(ref("Attempt")),
        "effects": array(ref("Effect")),
    }


def _whole_delivery() -> dict[str, Schema]:
    return {
        **_delivery(),
        "command": or_null(ref("Command")),
        "headers": {"type": "object", "additionalProperties": TEXT},
        "verdicts": array(ref("Verdict")),
        "payload": or_null(OBJECT),
    }


def _replay() -> dict[str, Schema]:
    return {
        "replayed": TEXT,
        "dry_run": YES_OR_NO,
        "delivery": or_null(TEXT),
        "state": one_of(DeliveryState),
        "reason": TEXT,
        "tasks": array(TEXT),
        "verdicts": array(ref("Verdict")),
        "has_room": about(YES_OR_NO, "Of a dry run: whether the queue would take it."),
        "meets": about(array(ref("Meeting")), "Of a dry run: what each rule's work would meet."),
    }


SCHEMAS: Mapping[str, Schema] = {
    "Problem": made_of("Every error has this form.", _problem()),
    "Delivery": made_of("An accepted webhook request.", _delivery()),
    "WholeDelivery": made_of("A delivery with all that came with it.", _whole_delivery()),
    "Command": made_of(
        "What became of a command to covend itself.",
        {"verb": TEXT, "state": one_of(("received", "done", "refused")), "reason": TEXT},
    ),
    "Verdict": made_of(
        "What one rule said of an event.",
        {
            "rule": TEXT,
            "matched": or_null(YES_OR_NO),
            "reason": TEXT,
            "clauses": array(made_of("What one clause said.", _clause())),
        },
    ),
    "Replay": made_of("What became of a replay.", _replay(), optional=("has_room", "meets")),
    "Meeting": made_of(
        "What a rule's work would meet.",
        {
            **dict.fromkeys(("rule", "key", "reason"), TEXT),
            "task": or_null(TEXT),
            "generation": or_null(WHOLE),
        },
    ),
    "Task": made_of("One unit of work.", _task()),
    "WholeTask": made_of("A task with its story.", _whole_task()),
    "Subject": made_of("What a task is about.", _subject()),
    "Fault": made_of("Why it failed.", {"code": TEXT, "message": or_null(TEXT)}),
    "Move": made_of(
        "One move of a task.",
        {
            "moment": or_null(MOMENT),
            "what": one_of(TaskState),
            "why": TEXT,
            "from": or_null(one_of(TaskState)),
        },
    ),
    "Attempt": made_of("One execution of a task.", _attempt()),
    "Usage": made_of(
        "What an attempt has used up, as its agent tells.",
        {
            "input_tokens": or_null(WHOLE),
            "output_tokens": or_null(WHOLE),
            "cost_usd": or_null({"type": "number"}),
        },
    ),
    "Line": made_of(
        "One line of a log.",
        {
            "at": or_null(MOMENT),
            "stream": one_of(("stdout", "stderr", "covend")),
            "text": TEXT,
            "next_offset": COUNT,
        },
    ),
    "Log": made_of(
        "What an attempt has printed.",
        {"items": array(ref("Line")), "next_offset": COUNT, "attempt_ended": YES_OR_NO},
    ),
    "Effect": made_of("One intended write to the outside.", _effect()),
    "Safeguard": made_of("One limiter that has something to say.", _safeguard()),
    "Audit": made_of("What somebody has asked to be changed.", _audit()),
    "Installation": made_of("An account that has the App.", _installation()),
    "Look": made_of("One look through GitHub's delivery log.", _look()),
    "Stats": made_of("Sizes of the whole.", _stats()),
}
