"""A command is attended to once, in the order in which it was said, whatever fails meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anyio
import pytest

from covend.core.commanding import CommandWish
from covend.core.errors import StoreBusyError
from covend.core.model import Moment, Task
from covend.core.states import Outcome, TaskState
from covend.demo.github import Fault
from covend.services.commanding import GIVE_UP_MS
from covend.services.side_by_side import SideBySide
from covend.services.wakeups import Wakeup
from covend.store.commands import StoredCommands
from covend.store.protocol import Settlement
from tests.services.house import AT_ONCE, CHECK, House, a_rule, an_agent, an_ending
from tests.services.talk import Talk, failed, held

WITHIN_S = 10.0


@pytest.fixture
async def talk(house: House) -> Talk:
    await house.adopt(a_rule(publish=(CHECK,)), an_agent())
    return Talk(house)


class Dying(StoredCommands):
    """A store that covend does not reach any more once the deed is done, so often."""

    times = 1

    async def end(self, *given: Any, **named: Any) -> bool:
        if self.times:
            self.times -= 1
            raise StoreBusyError
        return await super().end(*given, **named)


@pytest.mark.parametrize("verb", ["retry", "cancel", "approve", "pause"])
async def test_a_crash_after_the_deed_does_nothing_twice(verb: str, talk: Talk) -> None:
    house, talk.commands = talk.house, Dying(talk.house.connection)
    task = await (failed(house) if verb == "retry" else held(house))
    house.clock.turn(s=1)
    delivery = await talk.say(f"/covend {verb}")
    await talk.attend()
    assert talk.state(delivery)[0] == "received"

    house.clock.turn(s=1)
    before = (await house.story(task.id)).task
    await talk.attend()
    assert talk.state(delivery) == ("done", "done")
    assert (await house.story(task.id)).task == before
    assert [each[0] for each in talk.desk.asked] == [verb] * (2 if verb == "pause" else 1)
    await house.publish()
    assert (talk.reactions(), talk.answers()) == (["+1"], [])


async def test_what_failed_again_before_the_end_is_not_retried_again(talk: Talk) -> None:
    house, talk.commands = talk.house, Dying(talk.house.connection)
    task = await failed(house)
    delivery = await talk.say("/covend retry")
    await talk.attend()
    house.clock.turn(s=5)
    claim, ending = await house.claim(), an_ending(outcome=Outcome.FAILED)
    again = Settlement(target=TaskState.FAILED, reason="again", ending=ending)
    await house.tasks.settle(claim, again, house.clock.now())
    assert claim.task.id == task.id
    await talk.attend()
    assert talk.state(delivery) == ("done", "done")
    assert len(talk.desk.asked) == 1


async def test_a_command_is_ended_once(talk: Talk) -> None:
    await talk.hear("/covend help")
    await talk.attend()
    await talk.house.publish()
    assert len(talk.answers()) == 1


async def test_what_was_said_second_is_done_second(talk: Talk) -> None:
    await talk.say("/covend pause")
    talk.house.clock.turn(s=1)
    await talk.say("/covend resume")
    async with anyio.create_task_group() as group:
        talks = SideBySide(group, at_once=AT_ONCE, bell=Wakeup())
        assert await talk.commanding().attend_due(talks) == 1
    await talk.attend()
    assert [verb for verb, *_ in talk.desk.asked] == ["pause", "resume"]


async def test_what_cannot_be_looked_up_yet_is_not_passed_by_what_was_said_after_it(
    talk: Talk,
) -> None:
    """Else the repository would stay paused."""
    talk.house.github.faults.add("GET", "*/permission", Fault.ERROR_500, 1)
    await talk.say("/covend pause")
    await talk.attend()
    talk.house.clock.turn(s=1)
    await talk.say("/covend resume")
    await talk.attend()
    assert talk.desk.asked == []
    for _ in range(2):
        talk.house.clock.turn(s=60)
        await talk.attend()
    assert [verb for verb, *_ in talk.desk.asked] == ["pause", "resume"]


async def test_many_commands_on_one_subject_hide_none_on_another(talk: Talk) -> None:
    for _ in range(3 * AT_ONCE):
        await talk.say("/covend help")
        talk.house.clock.turn(s=1)
    other = await talk.say("/covend help", number=talk.house.open_pull().number)
    await talk.attend()
    assert talk.state(other) == ("done", "done")


async def test_a_slow_look_up_holds_up_no_other_subject(talk: Talk) -> None:
    house = talk.house
    held = house.github.faults.add("GET", "*/permission", Fault.HELD)
    async with anyio.create_task_group() as group:
        group.start_soon(talk.commanding().run)
        slow = await talk.say("/covend pause")
        house.wakeups.commands.wake()
        await held.reached.wait()
        quick = await talk.say("/covend help", number=house.open_pull().number)
        house.wakeups.commands.wake()
        with anyio.fail_after(WITHIN_S):
            while talk.state(quick)[0] != "done":
                await house.wakeups.effects.wait(WITHIN_S)
        assert talk.state(slow)[0] == "received"
        held.release()
        group.cancel_scope.cancel()


class Broken(StoredCommands):
    """A store in whose rows covend finds what it cannot read."""

    async def tasks_on(self, wish: CommandWish, *, limit: int) -> Sequence[Task]:
        raise ZeroDivisionError


async def test_a_fault_of_covend_is_put_off_and_given_up_after_a_day(talk: Talk) -> None:
    talk.commands = Broken(talk.house.connection)
    delivery = await talk.say("/covend status")
    await talk.attend()
    assert talk.state(delivery) == ("received", "fault")
    talk.house.clock.turn(s=GIVE_UP_MS / 1000 + 1)
    await talk.attend()
    assert talk.state(delivery) == ("refused", "fault")


class Away(StoredCommands):
    """A store that cannot be read the first time."""

    times = 1

    async def due(self, *, now: Moment, limit: int) -> Sequence[CommandWish]:
        if self.times:
            self.times -= 1
            raise StoreBusyError
        return await super().due(now=now, limit=limit)


async def test_a_store_that_is_away_ends_no_attention(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("covend.services.commanding.STORE_WAIT_S", 0.0)
    talk.commands = Away(talk.house.connection)
    delivery = await talk.say("/covend help")
    async with anyio.create_task_group() as group:
        group.start_soon(talk.commanding().run)
        with anyio.fail_after(WITHIN_S):
            while talk.state(delivery)[0] != "done":
                await talk.house.wakeups.effects.wait(WITHIN_S)
        group.cancel_scope.cancel()
