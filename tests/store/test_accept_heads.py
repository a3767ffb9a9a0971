"""The newest head of a subject takes the place of all others, in whatever order events come."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec import structs

from covend.core.model import DeliveryId, Need, TaskId, Via
from covend.core.states import DeliveryState, TaskState
from covend.store.effects import StoredEffects
from covend.store.protocol import Accepted
from tests.store.arrivals import NOW, Database, arrival
from tests.store.pulls import (
    CHECK,
    REVIEW,
    SECOND,
    claim,
    commanded,
    pushed,
    queued,
    said,
    settled,
    states,
    task,
    tried,
    wanted,
)

HEADS = ("a", "b", "c", "d", "e")


async def accept(database: Database, *arrivals: Any) -> list[Accepted]:
    """Accept arrivals in one batch."""
    return list(await asyncio.gather(*(database.deliveries.accept(each) for each in arrivals)))


@pytest.mark.parametrize("is_one_batch", [True, False])
async def test_five_pushes_within_the_debounce_leave_one_task(
    database: Database, is_one_batch: bool
) -> None:
    pushes = [
        pushed(head, at=NOW + place * SECOND, debounce_s=5.0) for place, head in enumerate(HEADS)
    ]
    if is_one_batch:
        answers = await accept(database, *pushes)
    else:
        answers = [await database.deliveries.accept(each) for each in pushes]
    made = [answer.tasks[0] for answer in answers]
    assert await states(database, *made) == ["superseded"] * 4 + ["received"]
    assert len(await database.tasks.ripe(now=NOW + 6 * SECOND, limit=9)) == 1
    story = await database.tasks.story(made[0])
    assert story is not None
    assert (story.task.reason, story.task.superseded_by) == ("superseded", made[1])
    assert [move.target for move in story.timeline] == ["received", "superseded"]


async def test_pushes_of_one_second_supersede_in_the_order_of_their_coming(
    database: Database,
) -> None:
    answers = await accept(database, *(pushed(head) for head in HEADS))
    made = [answer.tasks[0] for answer in answers]
    assert await states(database, *made) == ["superseded"] * 4 + ["queued"]


async def test_a_push_during_an_attempt_marks_it_and_names_it(database: Database) -> None:
    old = await queued(database, pushed("a", at=NOW))
    taken = await claim(database)
    answer = await database.deliveries.accept(pushed("b", at=NOW + SECOND))
    assert answer.overtaken == (old,)
    assert not answer.leaves_overdue
    assert (await task(database, old)).superseded_by == answer.tasks[0]
    assert await settled(database, taken, TaskState.COMPLETED, REVIEW) is TaskState.SUPERSEDED
    assert (await database.effects.page(limit=9))[0] == []
    assert await states(database, old, *answer.tasks) == ["superseded", "queued"]


async def test_a_second_push_names_no_attempt_that_was_named_before(database: Database) -> None:
    await queued(database, pushed("a"))
    await claim(database)
    first = await database.deliveries.accept(pushed("b"))
    second = await database.deliveries.accept(pushed("c"))
    assert (len(first.overtaken), second.overtaken) == (1, ())


async def test_what_waits_to_be_tried_again_is_claimed_by_nobody_once_overtaken(
    database: Database,
) -> None:
    old = await tried(database, pushed("a"))
    answer = await database.deliveries.accept(pushed("b", now=NOW + 1))
    assert answer.leaves_overdue
    assert (await claim(database, NOW + 9 * SECOND)).task.id == answer.tasks[0]
    waiting = await task(database, old)
    assert (waiting.state, waiting.superseded_by) == (TaskState.QUEUED, answer.tasks[0])


async def test_a_review_that_was_not_sent_yet_is_withheld_when_the_head_moves(
    database: Database,
) -> None:
    old = await queued(database, pushed("a"))
    await settled(database, await claim(database), TaskState.COMPLETED, REVIEW, CHECK)
    answer = await database.deliveries.accept(pushed("b"))
    assert answer.leaves_overdue
    assert (await task(database, old)).superseded_by == answer.tasks[0]
    sendable = await database.effects.sendable(now=NOW, limit=9)
    assert [effect.kind for effect in sendable] == ["check"]
    (_, review) = (await database.effects.page(limit=9))[0]
    assert (review.state, review.error) == ("withheld", "superseded")


async def test_what_was_published_before_the_head_moved_stays(database: Database) -> None:
    old = await queued(database, pushed("a"))
    await settled(database, await claim(database), TaskState.COMPLETED, REVIEW)
    await send(database.effects)
    answer = await database.deliveries.accept(pushed("b"))
    assert not answer.leaves_overdue
    assert (await task(database, old)).superseded_by is None


async def test_an_effect_in_doubt_is_not_sent_again_once_its_head_is_old(
    database: Database,
) -> None:
    await queued(database, pushed("a"))
    await settled(database, await claim(database), TaskState.COMPLETED, REVIEW, REVIEW)
    (first, *_) = await database.effects.sendable(now=NOW, limit=9)
    await database.effects.begin(first.id, NOW)
    await database.deliveries.accept(pushed("b"))
    await database.effects.retry(first.id, error="refused", until=NOW)
    assert await database.effects.begin(first.id, NOW) is None
    assert {effect.state for effect in (await database.effects.page(limit=9))[0]} == {"withheld"}


async def test_an_effect_in_doubt_is_withheld_also_before_anybody_would_send_it(
    database: Database,
) -> None:
    await queued(database, pushed("a"))
    await settled(database, await claim(database), TaskState.COMPLETED, REVIEW)
    (review,) = await database.effects.sendable(now=NOW, limit=9)
    await database.effects.begin(review.id, NOW)
    await database.deliveries.accept(pushed("b"))
    await database.effects.retry(review.id, error="refused", until=NOW + SECOND)
    assert await database.effects.withhold_overtaken(NOW) == 1
    assert {effect.state for effect in (await database.effects.page(limit=9))[0]} == {"withheld"}


@pytest.mark.parametrize("is_doubted", [False, True])
async def test_a_review_that_is_under_way_when_a_newer_head_comes_supersedes_its_task(
    database: Database, is_doubted: bool
) -> None:
    """It was not marked: with nothing pending, its check said success on the old head."""
    old = await queued(database, pushed("a"))
    await settled(database, await claim(database), TaskState.COMPLETED, REVIEW)
    (review,) = await database.effects.sendable(now=NOW, limit=9)
    await database.effects.begin(review.id, NOW)
    if is_doubted:
        await database.effects.doubt(review.id, error="no answer", until=NOW)
    answer = await database.deliveries.accept(pushed("b"))
    assert answer.leaves_overdue
    assert (await task(database, old)).superseded_by == answer.tasks[0]


async def send(effects: StoredEffects) -> None:
    for effect in await effects.sendable(now=NOW, limit=9):
        await effects.begin(effect.id, NOW)
        await effects.finish(effect.id, remote_id="1", remote_url=None, now=NOW)


async def test_other_rules_other_subjects_and_other_repositories_are_untouched(
    database: Database,
) -> None:
    old = await queued(database, pushed("a"))
    others = [
        await queued(database, pushed("a", rule="lint")),
        await queued(database, pushed("a", number=8)),
        await queued(database, said(wanted("a", key="elsewhere"), repository_id=2)),
        await queued(database, pushed("a", key="loose", rule="loose", is_by_head=False)),
    ]
    await queued(database, pushed("b"))
    await queued(database, pushed("b", rule="loose", key="loose too", is_by_head=False))
    assert await states(database, old, *others) == ["superseded"] + ["queued"] * 4


async def test_a_command_outlives_the_heads_that_come_after_it(database: Database) -> None:
    asked = wanted("a", key="review:1:pull_request:7:comment:1", is_by_head=False)
    running = await queued(database, commanded("review", asked))
    await claim(database)
    again = structs.replace(asked, key=f"{asked.key} again")
    waiting = await queued(database, commanded("review", again, comment_id=2))
    old = await queued(database, pushed("a"))
    answer = await database.deliveries.accept(pushed("b"))
    assert answer.overtaken == ()
    assert await states(database, running, waiting, old) == ["running", "queued", "superseded"]
    assert (await task(database, running)).superseded_by is None


async def test_an_older_event_starts_nothing(database: Database) -> None:
    new = await queued(database, pushed("b", at=NOW))
    late = pushed("a", at=NOW - SECOND)
    answer = await database.deliveries.accept(late)
    assert (answer.state, answer.reason, answer.tasks) == (DeliveryState.IGNORED, "stale", ())
    assert await states(database, new) == ["queued"]
    stored = await database.deliveries.find(answer.delivery)
    assert stored is not None
    assert (stored.delivery.state, stored.delivery.reason) == (DeliveryState.IGNORED, "stale")
    again = await database.deliveries.accept(late)
    assert (again.duplicate, again.state, again.reason) == (True, "ignored", "stale")


async def test_what_is_stale_for_one_rule_may_be_new_for_another(database: Database) -> None:
    await queued(database, pushed("b", at=NOW))
    late = said(wanted("a"), wanted("a", rule="lint"), at=NOW - SECOND)
    answer = await database.deliveries.accept(late)
    assert (answer.state, answer.tasks) == (DeliveryState.ROUTED, (late.task_ids[1],))


async def test_in_one_second_the_chain_of_heads_tells_which_is_newer(database: Database) -> None:
    new = await queued(database, pushed("b", at=NOW, before="a"))
    late = await database.deliveries.accept(pushed("a", at=NOW, before="0"))
    assert late.reason == "stale"
    back = await database.deliveries.accept(pushed("a", at=NOW, before="b"))
    assert await states(database, new, *back.tasks) == ["superseded", "queued"]


async def test_an_older_event_of_the_newest_head_is_the_same_work(database: Database) -> None:
    new = await queued(database, pushed("b", at=NOW))
    answer = await database.deliveries.accept(pushed("b", at=NOW - SECOND))
    assert (answer.reason, answer.tasks) == ("same_work", (new,))


async def test_a_head_that_comes_back_is_worked_on_again(database: Database) -> None:
    first = await queued(database, pushed("a"))
    taken = await claim(database)
    between = await queued(database, pushed("b"))
    back = await database.deliveries.accept(pushed("a"))
    assert back.reason == "matched"
    assert (await task(database, back.tasks[0])).generation == 2
    assert await settled(database, taken, TaskState.COMPLETED) is TaskState.SUPERSEDED
    found = await states(database, first, between, *back.tasks)
    assert found == ["superseded", "superseded", "queued"]


async def test_a_head_that_comes_back_to_finished_work_ends_what_it_replaces(
    database: Database,
) -> None:
    first = await queued(database, pushed("a"))
    await settled(database, await claim(database), TaskState.COMPLETED)
    between = await queued(database, pushed("b"))
    await claim(database)
    back = await database.deliveries.accept(pushed("a"))
    assert (back.reason, back.tasks, back.overtaken) == ("same_work", (first,), (between,))


async def test_what_tells_no_moment_takes_nobodys_place_but_makes_room(
    database: Database,
) -> None:
    """Checks of a head that was left behind come late: they ended the work on the newest one."""
    new = await queued(database, pushed("b"))
    late = await queued(database, pushed("a", at=None, key="late"))
    assert await states(database, new, late) == ["queued", "queued"]
    older = await database.deliveries.accept(pushed("a", at=NOW - SECOND))
    assert older.reason == "stale"
    await queued(database, pushed("c", at=NOW + SECOND))
    assert await states(database, new, late) == ["superseded", "superseded"]


async def test_checks_alone_never_end_each_others_work(database: Database) -> None:
    made = [await queued(database, pushed(head, at=None)) for head in "ba"]
    assert await states(database, *made) == ["queued", "queued"]


async def test_two_hooks_for_one_head_make_one_task_that_overtakes_once(
    database: Database,
) -> None:
    old = await queued(database, pushed("a"))
    await claim(database)
    one, other = await accept(database, pushed("b"), pushed("b"))
    assert one.tasks == other.tasks
    assert (one.overtaken, other.overtaken) == ((old,), (old,))


async def test_replayed_work_on_an_old_head_takes_nobodys_place(database: Database) -> None:
    new = await queued(database, pushed("b", at=NOW))
    asked = structs.replace(pushed("a", at=NOW - SECOND), is_anew=True, via=Via.REPLAY)
    answer = await database.deliveries.accept(asked)
    assert await states(database, new, *answer.tasks) == ["queued", "queued"]
    late = await database.deliveries.accept(pushed("a2", at=NOW - SECOND))
    assert late.reason == "stale"


async def test_a_held_task_makes_room_for_the_newer_head_too(database: Database) -> None:
    old = await queued(database, pushed("a", needs=frozenset({Need.APPROVAL})))
    await queued(database, pushed("b", needs=frozenset({Need.APPROVAL})))
    assert await states(database, old) == ["superseded"]


@pytest.mark.parametrize("is_one_batch", [True, False])
async def test_two_paths_to_one_piece_of_work_in_one_instant_give_one_task(
    database: Database, is_one_batch: bool
) -> None:
    """A webhook, the same by another hook, and an event of covend's own."""
    own = arrival(
        wanted("a"), source="covend", event="task", delivery=DeliveryId("a follower"), body=b"{}"
    )
    paths = [pushed("a"), pushed("a"), structs.replace(own, via=Via.API)]
    if not is_one_batch:
        database.connection._batch_max = 1  # noqa: SLF001  so that each is a transaction
    answers = await accept(database, *paths)
    assert len({answer.tasks for answer in answers}) == 1
    assert sorted(answer.reason for answer in answers) == ["matched", "same_work", "same_work"]


async def test_forty_subjects_in_one_batch_each_keep_their_newest_head(
    database: Database,
) -> None:
    pushes = [
        pushed(head, number=number, at=NOW + place)
        for place, head in enumerate("ab")
        for number in range(40)
    ]
    answers = await accept(database, *pushes)
    made = [TaskId(answer.tasks[0]) for answer in answers]
    assert await states(database, *made) == ["superseded"] * 40 + ["queued"] * 40
