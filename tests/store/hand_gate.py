"""A gate that says what a test tells it to, a queue that is filled at once, and claims from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from covend.core.ending import Ending, Result
from covend.core.model import Claim, ClaimToken, Moment, TaskId
from covend.core.safeguards.shapes import (
    FOREVER,
    Candidate,
    Decision,
    Facts,
    Hold,
    Pass,
    Questions,
    Scope,
    Terms,
    Waiting,
)
from covend.core.states import Outcome, TaskState
from covend.store.protocol import Settlement, Taken
from covend.store.tasks import StoredTasks
from tests.store.arrivals import NOW, POLICY, Database, arrival, draft, numbers, terms

DONE = Settlement(
    target=TaskState.COMPLETED,
    reason="succeeded",
    ending=Ending(outcome=Outcome.SUCCEEDED, result=Result(summary="Fine.")),
)
Judge = Callable[[Candidate, Facts], Decision]


class HandGate:
    """Asks what it is told to ask, and answers by a function; keeps what it was shown."""

    def __init__(
        self, judge: Judge = lambda _c, _f: Pass(), asked: Questions | None = None
    ) -> None:
        self.judged = judge
        self.asked = asked or Questions()
        self.seen: list[tuple[Candidate, Facts]] = []

    def questions(self, candidate: Candidate, terms: Terms, now: Moment) -> Questions:
        return self.asked

    def judge(self, candidate: Candidate, terms: Terms, facts: Facts) -> Decision:
        self.seen.append((candidate, facts))
        return self.judged(candidate, facts)


async def take(
    database: Database, gate: HandGate | None = None, *, now: Moment = NOW, **changes: Any
) -> Taken:
    """Look for work with a fresh token; without a gate, as covend does."""
    tasks = StoredTasks(database.connection, gate=gate) if gate else database.tasks
    token = ClaimToken(f"token-{next(numbers)}")
    return await tasks.claim(node="n", token=token, now=now, lease_s=90.0, terms=terms(**changes))


async def taken(
    database: Database, gate: HandGate | None = None, *, now: Moment = NOW, **changes: Any
) -> Claim:
    """Claim what must be there."""
    found = await take(database, gate, now=now, **changes)
    assert found.claim is not None
    return found.claim


def fill(database: Database, rows: Iterable[tuple[str, str, int, Moment]]) -> list[TaskId]:
    """Queue many tasks past all verbs, each with repository, agent, priority and not_before."""
    writer = database.connection._writer  # noqa: SLF001  by hand, past every query
    made = [(f"{next(numbers):026d}", *row) for row in rows]
    writer.execute("BEGIN")
    writer.executemany(
        "INSERT INTO tasks (id, repository_key, agent, priority, not_before_at, state, reason,"
        " rule, key, generation, policy, trust, event, subject_type, subject_title, subject_url,"
        " subject_author, needs, created_at, updated_at) VALUES (?, ?, ?, ?, ?, 'queued', 'new',"
        f" 'review', 'k' || last_insert_rowid() || random(), 1, '{POLICY.sha256}', 'member', 'e',"
        " 'none', '', '', '', '', 0, 0)",
        made,
    )
    writer.execute("COMMIT")
    return [TaskId(row[0]) for row in made]


async def queued(database: Database, repository_id: int = 1, **changes: object) -> TaskId:
    """Accept one task."""
    accepted = await database.deliveries.accept(
        arrival(draft(**changes), repository_id=repository_id)
    )
    return accepted.tasks[0]


async def waiting(database: Database, task: TaskId) -> tuple[str, Moment]:
    """Say why a task waits, and until when."""
    story = await database.tasks.story(task)
    assert story is not None
    return story.task.reason, story.task.not_before_at


def held(scope: Scope, until: Moment = FOREVER, reason: Waiting = Waiting.PAUSED) -> Hold:
    return Hold(reason=reason, until=until, scope=scope, by="pause/all")
