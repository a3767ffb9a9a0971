"""Keep arrivals, many in one transaction: each once, and the newest head before all others.

Refuses nothing by itself but what there is no room for: whether a signature was good and what the
rules said was decided before, and which of two heads is the newer one says `core.succession`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from covend.core.errors import CovendError, QueueFullError
from covend.core.model import DeliveryId, Moment, TaskId
from covend.core.states import OPEN_TASK, DeliveryState, TaskState
from covend.core.succession import Head, Place, compare, is_over
from covend.store.connection import Ask, Row, Script
from covend.store.overtaking import Cause, Closing, Marked, Newer, end_pointless
from covend.store.packing import First, Packed, SubjectKey, WantedTask, compress, pack
from covend.store.protocol import Accepted, Arrival, Foreseen, Meeting
from covend.store.telling import keep_wishes
from covend.store.turns import turns_of

STALE = "stale"
NEW = "new"
SAME_WORK = "same_work"
GroupKey = tuple[str, int, str]
"""Of tasks that take each other's place: repository, number, rule."""


@dataclass(slots=True)
class _Key:
    """Who holds a key: its newest generation, and the task that does the work, if one does.

    A task that is to end without having done it holds its generation alone.
    """

    generation: int
    task: TaskId | None = None
    is_open: bool = False


@dataclass(slots=True)
class _Seen:
    """What the store holds already of a batch; `known` by id, and by event and body."""

    known: dict[object, First] = field(default_factory=dict)
    keys: dict[str, _Key] = field(default_factory=dict)
    rivals: dict[GroupKey, Head] = field(default_factory=dict)
    closings: dict[SubjectKey, Moment] = field(default_factory=dict)
    open_count: int = 0


@dataclass(slots=True)
class _Fresh:
    """An arrival that was never here, and what of it is still wanted."""

    packed: Packed
    first: First
    tasks: Sequence[WantedTask]
    newer: Sequence[WantedTask] = ()
    """Of these tasks: those that take the place of others."""
    asked: dict[TaskId, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Sorting:
    """What becomes of each arrival of a batch, by its place in it, as it is found out."""

    answers: dict[int, Accepted | CovendError] = field(default_factory=dict)
    repetitions: dict[int, First] = field(default_factory=dict)
    fresh: dict[int, _Fresh] = field(default_factory=dict)


def accept_all(batch: Sequence[Packed], queue_max: int) -> Script[Sequence[Accepted | CovendError]]:
    """Sort out repetitions, then what there is no room for; keep the rest. One transaction."""
    answers: list[Accepted | CovendError] = []
    for turn in turns_of(batch):
        sorting = yield from _keep_new(turn, queue_max)
        yield from _answer_repetitions(sorting)
        answers += [sorting.answers[place] for place in range(len(turn))]
    return answers


def foresee(packed: Packed, queue_max: int) -> Script[Foreseen]:
    """Say what would become of an arrival that was never here; reads alone."""
    seen = yield from _look([packed])
    fresh = _judged(packed, seen)
    wanted = {task.id for task in fresh.tasks}
    newer = {task.id for task in fresh.newer}
    meetings = tuple(
        _meeting(task, seen, packed, takes_place=task.id in newer)
        if task.id in wanted
        else _past(task)
        for task in packed.tasks
    )
    new_count = sum(meeting.reason == NEW for meeting in meetings)
    is_same = bool(wanted) and not new_count
    return Foreseen(
        state=fresh.first.state,
        reason=SAME_WORK if is_same else fresh.first.reason,
        meetings=meetings,
        has_room=new_count <= queue_max - seen.open_count or not new_count,
    )


def _meeting(task: WantedTask, seen: _Seen, packed: Packed, *, takes_place: bool) -> Meeting:
    holder = _holder(seen, task, packed)
    return Meeting(
        rule=task.rule,
        key=task.key,
        reason=SAME_WORK if holder else NEW,
        task=holder,
        generation=None if holder else _next_generation(seen, task.key),
        takes_place=takes_place,
    )


def _past(task: WantedTask) -> Meeting:
    return Meeting(rule=task.rule, key=task.key, reason=STALE, task=None, generation=None)


def keep_follower(arrival: Arrival) -> Script[None]:
    """Keep the event of a task's own end, in the transaction that ends it; do nothing where it is
    there already. A full queue takes it: nobody could send it again.
    """
    yield from _keep_new([pack(arrival)], None)


def _keep_new(batch: Sequence[Packed], queue_max: int | None) -> Script[_Sorting]:
    """Do everything but answer repetitions."""
    seen = yield from _look(batch)
    sorting = _sort(batch, seen)
    if queue_max is not None:
        room = queue_max - seen.open_count
        if sum(len(fresh.tasks) for fresh in sorting.fresh.values()) > room:
            why = f"all {queue_max} places of limits.queue_max are taken"
            _refuse_beyond(room, sorting, seen, why)
    yield from _keep(sorting, seen)
    return sorting


def _look(batch: Sequence[Packed]) -> Script[_Seen]:
    """Ask once for everything that decides what becomes of the batch."""
    answer = yield Ask(
        "look_before_keeping", each=[row for packed in batch for row in packed.questions]
    )
    seen = _Seen()
    for row in answer.rows:
        match row["what"]:
            case "known":
                first = First(DeliveryId(row["id"]), DeliveryState(row["state"]), row["reason"])
                seen.known[first.id] = seen.known[row["event"], row["body_sha256"]] = first
            case "holder":
                _note_holder(seen.keys, row)
            case "rival":
                group = (row["repository_key"], row["subject_number"], row["rule"])
                seen.rivals[group] = Head(row["head_sha"], row["at"], row["before_sha"])
            case "closing":
                seen.closings[row["repository_key"], row["subject_number"]] = row["at"]
            case _:
                seen.open_count = row["count"]
    return seen


def _note_holder(keys: dict[str, _Key], row: Row) -> None:
    """Note the newest generation of a key, and the newest one that does the work."""
    key = keys.setdefault(row["key"], _Key(0))
    is_newest = row["generation"] > key.generation
    if not row["is_doomed"] and (is_newest or key.task is None):
        key.task = TaskId(row["id"])
        key.is_open = TaskState(row["state"]) in OPEN_TASK
    key.generation = max(key.generation, row["generation"])


def _sort(batch: Sequence[Packed], seen: _Seen) -> _Sorting:
    """Tell the fresh from the repeated, also among those that came in the same instant."""
    sorting, known = _Sorting(), seen.known
    for place, packed in enumerate(batch):
        first = known.get(packed.first.id) or known.get(packed.body_key)
        if first is not None:
            sorting.repetitions[place] = first
            continue
        fresh = sorting.fresh[place] = _judged(packed, seen)
        known[packed.first.id] = fresh.first
        if packed.body_key:
            known[packed.body_key] = fresh.first
    return sorting


def _judged(packed: Packed, seen: _Seen) -> _Fresh:
    """Say what of an arrival is still wanted: nothing that is older than what is known.

    What was asked for on purpose is wanted all the same, and then takes nobody's place.
    """
    if not packed.tasks or packed.subject is None:
        return _Fresh(packed, packed.first, packed.tasks)
    closed_at = seen.closings.get(packed.subject)
    is_past = is_over(packed.updated_at, closed_at, is_opening=packed.is_opening)
    wanted: list[WantedTask] = []
    newer: list[WantedTask] = []
    for task in packed.tasks:
        place = Place.OLDER if is_past else _place_of(task, packed.subject, seen)
        if place is not Place.OLDER:
            wanted.append(task)
        elif packed.is_anew:
            wanted.append(task._replace(head=None))
        if place is Place.NEWER:
            newer.append(task)
    if not wanted:
        return _Fresh(packed, First(packed.first.id, DeliveryState.IGNORED, STALE), ())
    return _Fresh(packed, packed.first, wanted, newer)


def _place_of(task: WantedTask, subject: SubjectKey, seen: _Seen) -> Place:
    if task.head is None:
        return Place.SAME
    rival = seen.rivals.get((*subject, task.rule))
    return Place.SAME if rival is None else compare(task.head, rival)


def _refuse_beyond(room: int, sorting: _Sorting, seen: _Seen, why: str) -> None:
    """Refuse, in order, what there is no room for, and whatever repeats it; work that is there
    already needs none.
    """
    refused: set[str] = set()
    promised: set[str] = set()
    for place, fresh in list(sorting.fresh.items()):
        wanted = {
            task.key
            for task in fresh.tasks
            if task.key not in promised and _holder(seen, task, fresh.packed) is None
        }
        if len(wanted) <= room or not wanted:
            room -= len(wanted)
            promised |= wanted
            continue
        refused.add(fresh.first.id)
        sorting.answers[place] = QueueFullError(why)
        del sorting.fresh[place]
    for place, first in list(sorting.repetitions.items()):
        if first.id in refused:
            sorting.answers[place] = QueueFullError(why)
            del sorting.repetitions[place]


def _holder(seen: _Seen, task: WantedTask, packed: Packed) -> TaskId | None:
    """Give the task that does this work already; where it is asked for anew, only an open one."""
    key = seen.keys.get(task.key)
    if key is None or (packed.is_anew and not key.is_open):
        return None
    return key.task


def _keep(sorting: _Sorting, seen: _Seen) -> Script[None]:
    """Insert deliveries, then their tasks, then the links to tasks that were there already; then
    end what these have overtaken.
    """
    if not sorting.fresh:
        return
    fresh = sorting.fresh.values()
    tasks: list[tuple[object, ...]] = []
    links: list[tuple[str, str, str]] = []
    for each in fresh:
        each.asked = _asked(each, seen, tasks)
        if each.asked and NEW not in each.asked.values():
            each.first = each.first._replace(reason=SAME_WORK)
        links += [(each.first.id, task, why) for task, why in each.asked.items() if why != NEW]
    bodies = compress([each.packed.body for each in fresh])
    yield Ask(
        "insert_deliveries",
        each=[_delivery_row(each, body) for each, body in zip(fresh, bodies, strict=True)],
    )
    yield Ask("insert_tasks", each=tasks)
    yield Ask("link_deliveries", each=links)
    yield from _hasten_checks(fresh)
    yield from keep_wishes([(each.packed, each.first.reason != STALE) for each in fresh])
    marked = yield from end_pointless(_newer(fresh, seen), _closings(fresh, seen))
    for place, each in sorting.fresh.items():
        sorting.answers[place] = _accepted(each, marked)


def _delivery_row(fresh: _Fresh, body: bytes) -> tuple[object, ...]:
    return (*fresh.packed.row, fresh.first.state.value, fresh.first.reason, body)


def _asked(fresh: _Fresh, seen: _Seen, tasks: list[tuple[object, ...]]) -> dict[TaskId, str]:
    """Say which task each draft gets: the one that does its work, else a new one, which holds the
    key from now on.
    """
    asked: dict[TaskId, str] = {}
    for wanted in fresh.tasks:
        holder = _holder(seen, wanted, fresh.packed)
        if holder is None:
            generation = _next_generation(seen, wanted.key)
            seen.keys[wanted.key] = _Key(generation, wanted.id, is_open=True)
            tasks.append((*wanted.row, generation, wanted.head is not None))
        asked[holder or wanted.id] = SAME_WORK if holder else NEW
    return asked


def _next_generation(seen: _Seen, key: str) -> int:
    known = seen.keys.get(key)
    return known.generation + 1 if known else 1


def _hasten_checks(fresh: Iterable[_Fresh]) -> Script[None]:
    """Let what waits for all checks of a head look again, now that one more of them is in."""
    of_checks = [each for each in fresh if each.packed.is_of_checks]
    known = [task for each in of_checks for task, why in each.asked.items() if why == SAME_WORK]
    if known:
        tasks = orjson.dumps(known).decode()
        yield Ask("hasten_checks", {"tasks": tasks, "now": of_checks[-1].packed.now})


def _newer(fresh: Iterable[_Fresh], seen: _Seen) -> list[Newer]:
    """List the tasks that take the place of others, one for each rule and subject."""
    newer: dict[tuple[SubjectKey, str], Newer] = {}
    for each in fresh:
        for task in each.newer:
            key, head, subject = seen.keys[task.key], task.head, each.packed.subject
            assert key.task is not None, "it was asked for"
            assert head is not None, "only heads are newer than others"
            assert subject is not None, "only heads of subjects are compared"
            newer.setdefault(
                (subject, task.rule),
                Newer(key.task, subject, task.rule, head.sha, each.packed.now),
            )
    return list(newer.values())


def _closings(fresh: Iterable[_Fresh], seen: _Seen) -> list[Closing]:
    """List what was closed, but for what was closed once more since."""
    return [
        Closing(packed.subject, packed.closed_at, tuple(each.asked), packed.now)
        for each in fresh
        if (packed := each.packed).closed_at is not None
        and packed.subject is not None
        and packed.closed_at >= seen.closings.get(packed.subject, 0)
    ]


def _accepted(fresh: _Fresh, marked: Marked) -> Accepted:
    first, causes = fresh.first, _causes(fresh)
    return Accepted(
        delivery=first.id,
        state=first.state,
        reason=first.reason,
        tasks=tuple(fresh.asked),
        duplicate=False,
        overtaken=tuple(task for cause in causes for task in marked.running.get(cause, ())),
        # Told once, also where two of one batch have asked for the same.
        ended=tuple(each for cause in causes for each in marked.ended.pop(cause, ())),
        leaves_overdue=not marked.waiting.isdisjoint(causes),
    )


def _causes(fresh: _Fresh) -> list[Cause]:
    """List by what this arrival may have marked others: its closing, and its tasks."""
    closed = fresh.packed.subject if fresh.packed.closed_at is not None else None
    return [*([closed] if closed else []), *(fresh.asked if fresh.newer else ())]


def _answer_repetitions(sorting: _Sorting) -> Script[None]:
    """Count each repetition on its first delivery, and answer with that one's tasks."""
    if not sorting.repetitions:
        return
    tasks = yield from tasks_of({first.id for first in sorting.repetitions.values()})
    counts = Counter(first.id for first in sorting.repetitions.values())
    for delivery, count in counts.items():
        yield Ask("count_repetitions", {"id": delivery, "count": count})
    of_this_batch = {each.first.id: each.first for each in sorting.fresh.values()}
    for place, known in sorting.repetitions.items():
        first = of_this_batch.get(known.id, known)
        sorting.answers[place] = Accepted(
            delivery=first.id,
            state=first.state,
            reason=first.reason,
            tasks=tuple(tasks.get(first.id, ())),
            duplicate=True,
        )


def tasks_of(deliveries: Iterable[str]) -> Script[Mapping[str, list[TaskId]]]:
    """Find the tasks that some deliveries asked for."""
    answer = yield Ask("find_delivery_tasks", {"ids": orjson.dumps(list(deliveries)).decode()})
    tasks: dict[str, list[TaskId]] = {}
    for row in answer.rows:
        tasks.setdefault(row["delivery_id"], []).append(TaskId(row["task_id"]))
    return tasks
