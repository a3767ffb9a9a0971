"""What people say to covend is kept with its delivery, and attended to once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec import structs

from covend.core.commanding import CommandWish
from covend.core.model import EffectDraft, EffectKind, Subject, SubjectType, Trust
from covend.core.rules.routing import Reason
from covend.store.commands import StoredCommands
from tests.store.arrivals import NOW, Database
from tests.store.pulls import SECOND, closed, commanded, named, pushed, queued, wanted

REACTION = EffectDraft(
    kind=EffectKind.REACTION, slot="reaction", subject="p", target="acme/r1#7", request={"a": 1}
)


@pytest.fixture
def commands(database: Database) -> StoredCommands:
    return StoredCommands(database.connection)


async def test_a_command_is_kept_whole_with_its_delivery(
    database: Database, commands: StoredCommands
) -> None:
    coming = commanded("status", comment_id=3, installation_id=9)
    await database.deliveries.accept(coming)
    (wish,) = await commands.due(now=NOW, limit=9)
    assert wish.delivery == coming.envelope.delivery
    assert wish.command == coming.event.command
    assert (wish.is_wanted, wish.is_bot) == (False, False)
    assert (wish.installation_id, wish.repository_id, wish.repository) == (9, 1, "acme/r1")
    assert (wish.repository_key, wish.subject_type, wish.subject_number) == (
        "1",
        SubjectType.PULL_REQUEST,
        7,
    )
    assert (wish.reason, wish.created_at) == ("new", NOW)


async def test_a_command_whose_rule_has_a_task_is_wanted(
    database: Database, commands: StoredCommands
) -> None:
    await database.deliveries.accept(commanded("fix", wanted("a", is_by_head=False)))
    assert [wish.is_wanted for wish in await commands.due(now=NOW, limit=9)] == [True]


async def test_a_rule_that_only_wants_the_comment_does_not_do_the_command(
    database: Database, commands: StoredCommands
) -> None:
    plain = commanded("status")
    routing = structs.replace(plain.routing, drafts=(wanted("a", is_by_head=False),))
    coming = structs.replace(plain, routing=routing, task_ids=pushed("z").task_ids)
    await database.deliveries.accept(coming)
    assert [wish.is_wanted for wish in await commands.due(now=NOW, limit=9)] == [False]


async def ended(commands: StoredCommands) -> list[CommandWish]:
    """Attend to all that there is, one after the other."""
    heard: list[CommandWish] = []
    while found := await commands.due(now=NOW, limit=9):
        heard += found
        for wish in found:
            await commands.end(wish.delivery, state="done", reason="done", effects=(), now=NOW)
    return heard


@pytest.mark.parametrize("is_one_batch", [True, False])
async def test_an_edited_comment_says_the_same_verb_once(
    database: Database, commands: StoredCommands, is_one_batch: bool
) -> None:
    said = [
        commanded("retry", comment_id=1),
        commanded("retry", comment_id=1),
        commanded("cancel", comment_id=1),
        commanded("retry", comment_id=2),
    ]
    if is_one_batch:
        await asyncio.gather(*(database.deliveries.accept(each) for each in said))
    else:
        for each in said:
            await database.deliveries.accept(each)
    found = [(wish.command.verb, wish.command.comment_id) for wish in await ended(commands)]
    assert sorted(found) == [("cancel", 1), ("retry", 1), ("retry", 2)]


@pytest.mark.parametrize("reason", [Reason.OWN_EVENT, Reason.IGNORED_SENDER])
async def test_covend_hears_neither_itself_nor_whom_it_ignores(
    database: Database, commands: StoredCommands, reason: Reason
) -> None:
    plain = commanded("help")
    coming = structs.replace(plain, routing=structs.replace(plain.routing, reason=reason))
    await database.deliveries.accept(coming)
    assert await commands.due(now=NOW, limit=9) == []


@pytest.mark.parametrize("changes", [{"sender_type": "Bot"}, {"trust": Trust.BOT}])
async def test_a_bots_command_is_known_as_one(
    database: Database, commands: StoredCommands, changes: dict[str, Any]
) -> None:
    await database.deliveries.accept(commanded("help", **changes))
    assert [wish.is_bot for wish in await commands.due(now=NOW, limit=9)] == [True]


async def test_a_repetition_of_a_delivery_is_no_second_command(
    database: Database, commands: StoredCommands
) -> None:
    coming = commanded("help")
    answers = await asyncio.gather(*(database.deliveries.accept(coming) for _ in range(3)))
    assert sum(answer.duplicate for answer in answers) == 2
    assert len(await commands.due(now=NOW, limit=9)) == 1


async def test_a_wanted_command_from_before_the_closing_is_not_acknowledged(
    database: Database, commands: StoredCommands
) -> None:
    await database.deliveries.accept(closed(at=NOW))
    late = commanded("fix", wanted("a", is_by_head=False), at=NOW - SECOND)
    await database.deliveries.accept(late)
    assert await commands.due(now=NOW, limit=9) == []


async def test_a_command_ends_once_with_its_answers(
    database: Database, commands: StoredCommands
) -> None:
    coming = commanded("help", installation_id=9)
    await database.deliveries.accept(coming)
    ended = [
        await commands.end(
            coming.envelope.delivery,
            state="done",
            reason="answered",
            effects=named(REACTION),
            now=NOW,
        )
        for _ in range(2)
    ]
    assert ended == [True, False]
    (effect,) = (await database.effects.page(limit=9))[0]
    assert (effect.task, effect.installation_id, effect.repository) == (None, 9, "acme/r1")
    assert await commands.due(now=NOW, limit=9) == []
    assert [each.id for each in await database.effects.sendable(now=NOW, limit=9)] == [effect.id]
    assert await database.effects.begin(effect.id, NOW) is not None


async def test_a_command_that_is_put_off_is_due_again_at_its_time(
    database: Database, commands: StoredCommands
) -> None:
    coming = commanded("status")
    await database.deliveries.accept(coming)
    await commands.postpone(coming.envelope.delivery, reason="github", until=NOW + SECOND)
    assert await commands.due(now=NOW, limit=9) == []
    assert await commands.next_due_at(NOW) == NOW + SECOND
    (wish,) = await commands.due(now=NOW + SECOND, limit=9)
    assert wish.reason == "github"
    assert await commands.next_due_at(NOW + SECOND) is None


async def test_the_longest_waiting_command_comes_first_and_only_so_many(
    database: Database, commands: StoredCommands
) -> None:
    for place in range(3):
        coming = commanded("help", comment_id=place, number=7 + place, now=NOW - place)
        await database.deliveries.accept(coming)
    found = await commands.due(now=NOW, limit=2)
    assert [wish.command.comment_id for wish in found] == [2, 1]


async def test_of_each_subject_the_first_command_is_listed_and_only_when_it_is_due(
    database: Database, commands: StoredCommands
) -> None:
    for place in range(3):
        await database.deliveries.accept(commanded("help", comment_id=place, now=NOW + place))
    first, *rest = [wish.command.comment_id for wish in await commands.due(now=NOW + 9, limit=9)]
    assert (first, rest) == (0, [])
    (wish,) = await commands.due(now=NOW + 9, limit=9)
    await commands.postpone(wish.delivery, reason="look_up: x", until=NOW + SECOND)
    assert await commands.due(now=NOW + 9, limit=9) == []
    await commands.postpone(wish.delivery, reason="fault", until=NOW + SECOND)
    assert [each.command.comment_id for each in await commands.due(now=NOW + 9, limit=9)] == [1]


async def test_a_command_speaks_of_the_tasks_on_its_subject_newest_first(
    database: Database, commands: StoredCommands
) -> None:
    mine = [await queued(database, pushed("a", rule=rule)) for rule in ("b", "a", "c")]
    await queued(database, pushed("a", number=8))
    await database.deliveries.accept(commanded("status"))
    (wish,) = await commands.due(now=NOW, limit=9)
    found = await commands.tasks_on(wish, limit=2)
    assert [each.id for each in found] == [mine[2], mine[1], mine[0]]


@pytest.mark.parametrize(
    "lacking", [{"subject": Subject()}, {"repository": None, "repository_id": None}]
)
async def test_a_command_without_a_subject_speaks_of_no_task(
    database: Database, commands: StoredCommands, lacking: dict[str, Any]
) -> None:
    for asked in (pushed("a"), commanded("fix", wanted("b", is_by_head=False))):
        event = structs.replace(asked.event, **lacking)
        await queued(database, structs.replace(asked, event=event))
    (wish,) = await commands.due(now=NOW, limit=9)
    assert await commands.tasks_on(wish, limit=9) == []
