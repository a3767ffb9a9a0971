"""Looks ahead and back for whoever explains: what a draft would meet in the store now, and what
past deliveries came to. It reads, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import orjson
import zstandard

from covend.core.model import Moment, Task, TaskId
from covend.core.rules.explanation import NEW, Collision, Prospect
from covend.core.rules.gates import Slots
from covend.core.rules.record import load_verdicts
from covend.core.safeguards import gate
from covend.core.states import TaskState
from covend.store.claiming import facts_of
from covend.store.connection import Connection, Script, one, rows
from covend.store.deliveries import BODY_MAX, NEWEST
from covend.store.protocol import Meeting, PastDelivery, Wanted
from covend.store.rows import delivery_of

STEPS = 1_000
"""So many deliveries are passed at once on the way back in time."""
_decompressor = zstandard.ZstdDecompressor()


class StoredOutlook:
    """`store.protocol.Outlook` over any dialect."""

    def __init__(self, connection: Connection) -> None:
        """Read by `connection` alone."""
        self._connection = connection

    async def prospect(self, wanted: Wanted, now: Moment, *, has_room: bool) -> Prospect:
        """See `Outlook.prospect`."""
        return await self._connection.read(_prospect(wanted, now, has_room=has_room))

    async def first_since(self, since: Moment) -> int | None:
        """See `Outlook.first_since`."""
        return await self._connection.read(_first_since(since))

    async def past(self, number: int, *, limit: int) -> tuple[Sequence[PastDelivery], int]:
        """See `Outlook.past`."""
        return await self._connection.read(_past(number, limit))


def _prospect(wanted: Wanted, now: Moment, *, has_room: bool) -> Script[Prospect]:
    task, candidate = wanted.candidate.task, wanted.candidate
    asked = gate.questions(candidate, wanted.terms, now)
    is_key_busy = (yield from one("is_key_running", key=task.key)) is not None
    return Prospect(
        collision=(yield from _collision(task, wanted.meeting)),
        facts=(yield from facts_of(asked, now, is_key_busy=is_key_busy)),
        slots=(yield from _slots(task)),
        has_room=has_room,
    )


def _collision(task: Task, meeting: Meeting) -> Script[Collision]:
    state, generation = None, meeting.generation
    if meeting.task is not None:
        row = yield from one("find_task_state", id=meeting.task)
        if row is None:  # deleted by its age since it was met
            return Collision(reason=NEW, generation=1)
        state, generation = TaskState(row["state"]), row["generation"]
    return Collision(
        reason=meeting.reason,
        task=meeting.task,
        state=state,
        generation=generation,
        supersedes=(yield from _older(task)) if meeting.takes_place else (),
    )


def _older(task: Task) -> Script[tuple[TaskId, ...]]:
    found = yield from rows(
        "list_on_older_heads",
        repository_key=task.repository_key,
        number=task.subject.number,
        rule=task.rule,
        head_sha=task.subject.head_sha,
    )
    return tuple(TaskId(row["id"]) for row in found)


def _slots(task: Task) -> Script[Slots]:
    found = yield from rows("count_running")

    def count(column: str, value: object) -> int:
        return sum(row["count"] for row in found if row[column] == value)

    return Slots(
        running=sum(row["count"] for row in found),
        of_agent=count("agent", task.agent),
        of_repository=count("repository_key", task.repository_key),
        of_installation=count("installation_id", task.installation_id),
    )


def _first_since(since: Moment) -> Script[int | None]:
    first, cursor = None, NEWEST
    while True:
        steps = yield from rows("list_numbers_before", cursor=cursor, limit=STEPS)
        for step in steps:
            if step["received_at"] < since:
                return first
            first = cursor = step["number"]
        if len(steps) < STEPS:
            return first


def _past(number: int, limit: int) -> Script[tuple[Sequence[PastDelivery], int]]:
    found = yield from rows("list_past_deliveries", cursor=number, limit=limit)
    ids = orjson.dumps([row["id"] for row in found]).decode()
    started: dict[str, dict[str, bool]] = {}
    tasks: dict[str, list[TaskId]] = {}
    verdicts = {row["id"]: load_verdicts(row["verdicts"]) for row in found}
    for link in (yield from rows("list_rules_started", ids=ids)) if found else ():
        if link["rule"] is None:
            # Its task was deleted by its age: which rule that was of, the verdicts tell.
            for each in verdicts[link["delivery_id"]]:
                if each.matched is not False:
                    started.setdefault(link["delivery_id"], {}).setdefault(each.rule, True)
            continue
        started.setdefault(link["delivery_id"], {})[link["rule"]] = bool(link["is_new"])
        tasks.setdefault(link["delivery_id"], []).append(TaskId(link["task_id"]))
    return [
        PastDelivery(
            delivery=delivery_of(row, tuple(tasks.get(row["id"], ()))),
            headers=orjson.loads(row["headers"]),
            body=_decompressor.decompress(row["body"], max_output_size=BODY_MAX),
            verdicts=verdicts[row["id"]],
            started=started.get(row["id"], {}),
        )
        for row in found
    ], found[-1]["number"] if found else number
