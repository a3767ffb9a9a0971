"""A command finds the tasks that it is meant for, whatever else stands on its subject."""

from __future__ import annotations

import pytest

from covend.core.model import TaskId
from covend.core.states import Outcome, TaskState
from covend.store.protocol import Settlement
from tests.services.house import CHECK, House, a_rule, an_agent, an_ending
from tests.services.talk import BY, COMMENT, KEEPER, STRANGER, Talk


@pytest.fixture
async def talk(house: House) -> Talk:
    await house.adopt(a_rule(publish=(CHECK,)), an_agent())
    return Talk(house)


async def test_what_a_stranger_was_refused_hides_no_task_from_a_command(talk: Talk) -> None:
    await talk.house.adopt(a_rule(name="fix", on=("command.fix",), allow=("maintain",)), an_agent())
    talk.house.github.add_account(STRANGER)
    mine = await fixed(talk, TaskState.FAILED)
    await talk.say("/covend fix", sender=STRANGER)
    await talk.attend()
    await talk.house.ripen()
    assert await talk.hear("/covend retry fix") == ("done", "done")
    assert talk.desk.asked == [("retry", mine, BY)]


async def test_the_status_tells_of_work_and_not_of_what_was_refused(talk: Talk) -> None:
    await talk.house.adopt(a_rule(name="fix", on=("command.fix",), allow=("maintain",)), an_agent())
    talk.house.github.add_account(STRANGER)
    await fixed(talk, TaskState.FAILED)
    await talk.say("/covend fix", sender=STRANGER)
    await talk.attend()
    await talk.house.ripen()
    await talk.hear("/covend status")
    (answer,) = [each for each in talk.answers() if "| Rule |" in each]
    assert "failed" in answer


async def test_however_much_has_ended_on_a_subject_what_is_open_is_found(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("covend.services.commanding.TASKS_MAX", 2)
    await talk.house.adopt(a_rule(name="fix", on=("command.fix",)), an_agent())
    (first,) = await asked(talk)
    for _ in range(3):
        (task,) = await asked(talk)
        await talk.desk.cancel(task)
    talk.desk.asked.clear()
    assert await talk.hear("/covend cancel") == ("done", "done")
    assert talk.desk.asked == [("cancel", first, BY)]


async def asked(talk: Talk) -> tuple[TaskId, ...]:
    """Somebody asks for a fix; the time goes on."""
    talk.house.clock.turn(s=1)
    kept = await talk.house.deliver(COMMENT, number=7, sender=KEEPER, text="/covend fix")
    await talk.attend()
    return kept.tasks


async def fixed(talk: Talk, target: TaskState) -> TaskId:
    """A fix that somebody has asked for, and that has ended so."""
    (task,) = await asked(talk)
    await talk.house.ripen()
    claim, ending = await talk.house.claim(), an_ending(outcome=Outcome.FAILED)
    settlement = Settlement(target=target, reason="final", ending=ending)
    await talk.house.tasks.settle(claim, settlement, talk.house.clock.now())
    talk.house.clock.turn(s=60)
    return task
