"""A store with work of every kind, and hostile texts wherever somebody else may write one."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from msgspec import structs

from covend.core.ending import Ending, Result
from covend.core.model import (
    Command,
    Conclusion,
    EffectDraft,
    EffectId,
    EffectKind,
    Json,
    Need,
    Subject,
    SubjectType,
    TaskId,
    Trust,
    Usage,
)
from covend.core.safeguards.shapes import Safeguard, SafeguardKind
from covend.core.states import Outcome, TaskState
from covend.edges.agents.output import Log, Stream
from covend.store.protocol import Settlement
from tests.store.arrivals import NOW, arrival, draft, task_id
from tests.web.desk import Desk

HOSTILE = """'"><script>alert(1)</script><img src=x onerror=alert(1)>\u202e\x1b]0;t\x07"""
EVIL_URL = "javascript:alert(1)//http://x.example"
LOG = (
    "\x1b[32mreading\x1b[0m a file",
    "\x1b]8;;javascript:alert(1)\x07a link\x1b]8;;\x07 and \x1b[2J<script>alert(2)</script>",
)


@dataclass(frozen=True, kw_only=True)
class Full:
    """The tasks that are in it."""

    done: TaskId
    failed: TaskId
    running: TaskId
    held: TaskId
    queued: TaskId


async def fill(desk: Desk, database: sqlite3.Connection) -> Full:
    """Put all of it in."""
    done = await _task(desk)
    await desk.tasks.settle(await desk.claim(), _done(), NOW + 5_000)
    _print(desk, done)
    failed = await _task(desk)
    await desk.tasks.settle(await desk.claim(NOW + 6_000), _failed(), NOW + 7_000)
    running = await _task(desk)
    await desk.claim(NOW + 8_000)
    _print(desk, running)
    held = await _task(desk, needs=frozenset({Need.APPROVAL}), trust=Trust.FORK)
    queued = await _task(desk, command=_command())
    await desk.guards.put(_pause(), NOW)
    await desk.guards.put(_block(), NOW)
    # An effect fails in the outbox, which nobody empties here.
    one = "(SELECT min(id) FROM effects WHERE state = '{}')"
    for before, after in (("pending", "sending"), ("sending", "failed")):
        database.execute(
            f"UPDATE effects SET state = ?, error = ? WHERE id = {one.format(before)}",
            (after, HOSTILE),
        )
    return Full(done=done, failed=failed, running=running, held=held, queued=queued)


async def _task(desk: Desk, **changes: object) -> TaskId:
    plain = draft(**changes)
    assert plain.subject.number is not None
    subject = Subject(
        type=SubjectType.PULL_REQUEST,
        number=plain.subject.number,
        title=HOSTILE,
        url=EVIL_URL,
        author=HOSTILE,
        head_sha=plain.subject.head_sha,
        head_ref=HOSTILE,
        base_ref="main",
    )
    came = arrival(structs.replace(plain, subject=subject), now=NOW)
    return (await desk.deliveries.accept(came)).tasks[0]


def _command() -> Command:
    return Command(verb="fix", text=HOSTILE, actor=HOSTILE, comment_id=1, place="issue_comment")


def _done() -> Settlement:
    usage = Usage(input_tokens=1_234_567, output_tokens=89, cost_usd=0.25)
    result = Result(conclusion=Conclusion.SUCCESS, summary=HOSTILE, usage=usage)
    comments = [{"path": HOSTILE, "line": 3, "body": HOSTILE}]
    review = {"body": {"body": f"{HOSTILE}\n<!-- marker -->", "comments": comments}}
    effects: tuple[tuple[EffectKind, Json], ...] = (
        (EffectKind.REVIEW, review),
        (EffectKind.COMMENT, {}),
    )
    return Settlement(
        target=TaskState.COMPLETED,
        reason="succeeded",
        ending=Ending(outcome=Outcome.SUCCEEDED, result=result, exit_code=0),
        log_bytes=10,
        effects=tuple(
            (
                EffectId(task_id()),
                EffectDraft(
                    kind=kind, slot=kind, subject="acme/r1#1", target=HOSTILE, request=request
                ),
            )
            for kind, request in effects
        ),
    )


def _failed() -> Settlement:
    ending = Ending(
        outcome=Outcome.FAILED,
        result=Result(),
        error_code="exit_code",
        error_message=HOSTILE,
        exit_code=3,
    )
    return Settlement(target=TaskState.FAILED, reason="exit_code: final", ending=ending)


def _print(desk: Desk, task: TaskId) -> None:
    with Log(desk.logs / f"{task}-1.jsonl", limit=1 << 20, clock=lambda: NOW) as log:
        for text in LOG:
            log.write(Stream.OUT, text)


def _pause() -> Safeguard:
    return _guard("pause/rule:review", "paused")


def _block() -> Safeguard:
    return _guard("loop/acme/r1#1", "blocked")


def _guard(identifier: str, state: str) -> Safeguard:
    kind, _, scope = identifier.partition("/")
    return Safeguard(
        id=identifier,
        kind=SafeguardKind(kind),
        scope=scope,
        state=state,
        reason=HOSTILE,
        until=None,
        values={"why": HOSTILE},
    )
