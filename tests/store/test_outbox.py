"""Who may stand where on GitHub: nothing older than what is there, and nothing that one has asked
for in vain.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from covend.core.errors import AmbiguousIdError, ConflictError
from covend.core.model import Effect, EffectDraft, EffectId, EffectKind, TaskId
from covend.core.states import EffectState, TaskState
from covend.store.upkeep import StoredUpkeep
from tests.store.arrivals import NOW, Database
from tests.store.pulls import SECOND, claim, named, pushed, queued, settled, states, task

COMMENT = EffectDraft(
    kind=EffectKind.COMMENT, slot="comment/review/1/7", subject="1/7", target="t", request={"n": 1}
)
REVIEW = replace(COMMENT, kind=EffectKind.REVIEW, slot="review/review/1/7/1")
CHECK = replace(COMMENT, kind=EffectKind.CHECK, slot="check/review/1/7/a")
CALLBACK = replace(COMMENT, kind=EffectKind.CALLBACK, slot="callback/1", subject="callback/1")


async def outbox(database: Database) -> list[Effect]:
    """Everything, oldest first."""
    return list(reversed((await database.effects.page(limit=99))[0]))


async def outbox_states(database: Database) -> list[EffectState]:
    return [each.state for each in await outbox(database)]


async def ended(
    database: Database, *drafts: EffectDraft, head: str = "a", state: TaskState | None = None
) -> TaskId:
    """A task that has been done, and what of it waits in the outbox."""
    made = await queued(database, pushed(head))
    await settled(database, await claim(database), state or TaskState.COMPLETED, *drafts)
    return made


async def send(database: Database, effect: EffectId) -> None:
    assert await database.effects.begin(effect, NOW) is not None
    await database.effects.finish(effect, remote_id="9", remote_url=None, now=NOW)


async def fail(database: Database, effect: EffectId) -> None:
    assert await database.effects.begin(effect, NOW) is not None
    await database.effects.fail(effect, error="403: checks=write", now=NOW)


def _install(database: Database, effect: Effect, installation: int) -> None:
    """Let it belong to an installation."""
    database.connection._writer.execute(  # noqa: SLF001  by hand, past every query
        "UPDATE effects SET installation_id = ? WHERE id = ?", (installation, effect.id)
    )


# --- no text takes the place of a newer one -------------------------------------------------------


async def two_ends(database: Database) -> tuple[Effect, Effect]:
    """The end of a task on a new head, and after it that of the one on the old head: it was found
    lost, and its end was written last.
    """
    await queued(database, pushed("a", is_by_head=False))
    old = await claim(database)
    await queued(database, pushed("b", is_by_head=False, now=NOW + 1))
    new = await claim(database, NOW + SECOND)
    await settled(database, new, TaskState.COMPLETED, COMMENT)
    await settled(database, old, TaskState.FAILED, COMMENT)
    newer, older = await outbox(database)
    assert (newer.task, older.task) == (new.task.id, old.task.id)
    return newer, older


@pytest.mark.parametrize("is_sent", [True, False])
async def test_the_end_of_an_older_head_never_overwrites_a_newer_text(
    database: Database, is_sent: bool
) -> None:
    newer, older = await two_ends(database)
    if is_sent:
        await send(database, newer.id)
    assert await database.effects.begin(older.id, NOW) is None
    found = await database.effects.find(older.id)
    assert found is not None
    assert (found.state, found.error) == (EffectState.WITHHELD, "a newer text has its place")


async def test_an_older_text_is_shown_where_the_newer_one_has_failed(database: Database) -> None:
    newer, older = await two_ends(database)
    await fail(database, newer.id)
    assert await database.effects.begin(older.id, NOW) is not None


async def test_of_two_texts_of_one_task_only_the_later_is_sent(database: Database) -> None:
    await ended(database, COMMENT, COMMENT)
    first, second = await outbox(database)
    assert await database.effects.begin(first.id, NOW) is None
    assert await database.effects.begin(second.id, NOW) is not None
    assert await outbox_states(database) == [EffectState.WITHHELD, EffectState.SENDING]


async def test_an_older_task_that_is_tried_again_tells_its_later_end(database: Database) -> None:
    """By its id alone it was older than the one that had done the same work in between."""
    first = await ended(database, state=TaskState.FAILED)
    second = await ended(database, COMMENT)
    assert second > first
    (middle,) = await outbox(database)
    await send(database, middle.id)
    await database.tasks.retry(first, reason="retry", now=NOW)
    await settled(database, await claim(database), TaskState.COMPLETED, COMMENT)
    last = (await outbox(database))[-1]
    assert last.task == first
    assert await database.effects.begin(last.id, NOW) is not None


async def test_checks_of_one_place_are_sent_one_after_the_other(database: Database) -> None:
    await ended(database, CHECK, CHECK)
    first, second = await outbox(database)
    await send(database, first.id)
    await send(database, second.id)


# --- a head that moved ----------------------------------------------------------------------------


async def test_a_withdrawn_task_shows_its_end_and_nothing_that_was_found(
    database: Database,
) -> None:
    identifier = await ended(database, REVIEW, COMMENT, CHECK)
    neutral = named(replace(CHECK, request={"conclusion": "neutral"}))
    withdrawn = await database.tasks.withdraw(
        await task(database, identifier), effects=neutral, reason="head_moved", now=NOW
    )
    assert withdrawn is not None
    assert (withdrawn.state, withdrawn.reason) == (TaskState.SUPERSEDED, "head_moved")
    *withheld, last = await outbox(database)
    assert {each.state for each in withheld} == {EffectState.WITHHELD}
    assert (last.state, last.request) == (EffectState.PENDING, {"conclusion": "neutral"})


async def test_what_was_found_by_a_task_that_failed_is_withheld_and_its_end_is_not(
    database: Database,
) -> None:
    identifier = await ended(database, COMMENT, CHECK, state=TaskState.FAILED)
    failed = await task(database, identifier)
    assert not await database.tasks.withdraw(failed, effects=(), reason="head_moved", now=NOW)
    assert await states(database, identifier) == ["failed"]
    assert await outbox_states(database) == [EffectState.WITHHELD, EffectState.PENDING]


async def test_what_was_in_doubt_when_its_task_was_withdrawn_is_not_sent_again(
    database: Database,
) -> None:
    identifier = await ended(database, REVIEW)
    (review,) = await outbox(database)
    await database.effects.begin(review.id, NOW)
    withdrawn = await task(database, identifier)
    await database.tasks.withdraw(withdrawn, effects=(), reason="head_moved", now=NOW)
    await database.effects.retry(review.id, error="not there", until=NOW)
    assert await database.effects.begin(review.id, NOW) is None
    assert await outbox_states(database) == [EffectState.WITHHELD]


# --- asked for again ------------------------------------------------------------------------------


async def test_what_has_failed_is_sent_again_byte_for_byte_with_all_its_tries(
    database: Database,
) -> None:
    await ended(database, REVIEW)
    (review,) = await outbox(database)
    await fail(database, review.id)
    again = await database.effects.ask_again(review.id, NOW + SECOND)
    assert again is not None
    assert (again.state, again.tries, again.error) == (EffectState.PENDING, 0, None)
    assert (again.request, again.not_before_at) == (review.request, NOW + SECOND)
    assert again.done_at is None


async def test_what_may_be_visible_remembers_when_it_left(database: Database) -> None:
    await ended(database, REVIEW, COMMENT)
    for each, is_doubtful in zip(await outbox(database), (True, False), strict=True):
        await database.effects.begin(each.id, NOW)
        await database.effects.fail(each.id, error="x", now=NOW, is_doubtful=is_doubtful)
        again = await database.effects.ask_again(each.id, NOW + SECOND)
        assert again is not None
        assert again.sent_at == (NOW if is_doubtful else None)


@pytest.mark.parametrize("is_done", [True, False])
async def test_what_something_newer_stands_in_the_place_of_is_not_sent_again(
    database: Database, is_done: bool
) -> None:
    await ended(database, CHECK, CHECK)
    first, second = await outbox(database)
    await fail(database, first.id)
    if is_done:
        await send(database, second.id)
    with pytest.raises(ConflictError, match=f"effect {second.id}, which is"):
        await database.effects.ask_again(first.id, NOW)
    assert (await outbox_states(database))[0] is EffectState.FAILED


async def test_a_text_older_than_the_one_in_its_place_is_not_sent_again(
    database: Database,
) -> None:
    newer, older = await two_ends(database)
    await fail(database, newer.id)
    await fail(database, older.id)
    await database.effects.ask_again(newer.id, NOW)
    with pytest.raises(ConflictError, match="something newer"):
        await database.effects.ask_again(older.id, NOW)


async def test_a_finding_of_a_superseded_task_is_not_sent_again_and_its_check_is(
    database: Database,
) -> None:
    identifier = await ended(database, REVIEW, CHECK)
    review, check = await outbox(database)
    await fail(database, review.id)
    await fail(database, check.id)
    found = await task(database, identifier)
    await database.tasks.withdraw(found, effects=(), reason="head_moved", now=NOW)
    with pytest.raises(ConflictError, match="superseded"):
        await database.effects.ask_again(review.id, NOW)
    assert await database.effects.ask_again(check.id, NOW) is not None


async def test_an_effect_is_found_by_a_beginning_that_fits_it_alone(database: Database) -> None:
    await ended(database, REVIEW, CHECK)
    review, check = await outbox(database)
    found = await database.effects.find(review.id.upper())
    assert found is not None
    assert found.id == review.id
    with pytest.raises(AmbiguousIdError):
        await database.effects.find(check.id[:2])
    assert await database.effects.find("zz") is None


# --- limits, callbacks, what is to be seen --------------------------------------------------------


async def test_a_limit_postpones_all_of_its_installation_at_once_and_counts_no_try(
    database: Database,
) -> None:
    subjects = [replace(CHECK, subject=f"1/{number}") for number in range(4)]
    await ended(database, *subjects, CALLBACK)
    met, unknown, waiting, elsewhere, callback = await outbox(database)
    await database.effects.begin(unknown.id, NOW)
    await database.effects.doubt(unknown.id, error="x", until=NOW)
    _install(database, elsewhere, 2)
    await database.effects.begin(met.id, NOW)
    until = NOW + 7 * SECOND
    assert await database.effects.postpone_installation(met, error="limited", until=until) == 2
    after = {each.id: each for each in await outbox(database)}
    assert (after[met.id].state, after[met.id].tries) == (EffectState.PENDING, 0)
    assert after[waiting.id].not_before_at == after[met.id].not_before_at == until
    assert after[elsewhere.id].not_before_at < until
    assert after[callback.id].not_before_at < until
    tries = after[unknown.id].tries
    await database.effects.postpone_installation(after[unknown.id], error="limited", until=until)
    now = await database.effects.find(unknown.id)
    assert now is not None
    assert (now.state, now.tries, now.not_before_at) == (EffectState.UNKNOWN, tries, until)


async def test_who_has_all_places_is_not_listed(database: Database) -> None:
    await ended(database, CHECK, replace(CHECK, subject="1/8"))
    of_nobody, of_two = await outbox(database)
    _install(database, of_two, 2)

    async def listed(*busy: int | None) -> list[EffectId]:
        found = await database.effects.sendable(now=NOW, limit=9, busy=busy)
        return [each.id for each in found]

    assert await listed(2) == [of_nobody.id]
    assert await listed(None) == [of_two.id]
    assert await listed(None, 2) == []


async def test_callbacks_are_left_to_their_own_sender(database: Database) -> None:
    await ended(database, CALLBACK, CHECK)
    callback, check = await outbox(database)
    effects = database.effects
    assert [each.id for each in await effects.sendable(now=NOW, limit=9)] == [check.id]
    for each in (callback, check):
        await effects.begin(each.id, NOW)
    assert [each.id for each in await effects.sending(limit=9)] == [check.id]
    assert await effects.doubt_all_sending(NOW + SECOND) == 1
    assert await effects.next_due_at(NOW) == NOW + SECOND
    later = NOW + 9 * SECOND
    assert [each.id for each in await effects.doubtful(now=later, limit=9)] == [check.id]
    (left,) = [each for each in await outbox(database) if each.id == callback.id]
    assert left.state is EffectState.SENDING


async def test_what_is_visible_of_one_kind_is_listed_newest_first(database: Database) -> None:
    slots = [f"review/review/1/7/{number:02}" for number in range(25)]
    others = [replace(REVIEW, slot="review/review/1/70/1"), replace(REVIEW, slot="review/x/1/7/1")]
    await ended(database, *(replace(REVIEW, slot=slot) for slot in slots), *others)
    for each in await outbox(database):
        await send(database, each.id)
    await ended(database, replace(REVIEW, slot="review/review/1/7/99"), head="b")
    found = await database.effects.visible("review/review/1/7/")
    assert [each.slot for each in found] == slots[:4:-1]


async def test_the_oldest_of_the_outbox_is_no_callback(database: Database) -> None:
    """A receiver may keep a callback waiting for a day; GitHub may not."""
    await ended(database, CALLBACK)
    upkeep = StoredUpkeep(database.connection, database.path)
    assert (await upkeep.gauges(NOW)).oldest_effect_at is None
    await ended(database, CHECK, head="b")
    assert (await upkeep.gauges(NOW)).oldest_effect_at == NOW
