"""One task that covend fails at keeps it from no start, and is given back later."""

from __future__ import annotations

from typing import Any

import pytest

from covend.core.errors import StoreBusyError
from covend.core.model import Task, TaskId
from covend.core.states import TaskState
from covend.services.giving_back import GivingBack
from tests.services.house import House, a_rule, an_agent
from tests.services.rooms import LEASE_S


async def test_one_task_that_cannot_be_given_back_keeps_no_other_from_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.adopt(a_rule(), an_agent())
    bad = (await house.claimed()).task.id
    good = (await house.claimed(number=house.open_pull().number)).task.id
    give_back, failing = GivingBack.give_back, {bad}

    async def give(self: GivingBack, task: Task, *given: Any, **named: Any) -> None:
        if task.id in failing:
            raise ZeroDivisionError
        await give_back(self, task, *given, **named)

    monkeypatch.setattr(GivingBack, "give_back", give)
    await house.recovery().run()
    assert [await state(house, each) for each in (bad, good)] == ["running", "queued"]
    failing.clear()
    house.clock.turn(s=LEASE_S)
    await house.leases(house.dispatcher(house.attempts().run)).sweep()
    assert await state(house, bad) is TaskState.QUEUED


async def test_a_store_that_cannot_answer_ends_the_start(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def give(*_: object, **__: object) -> None:
        raise StoreBusyError

    await house.adopt(a_rule(), an_agent())
    await house.claimed()
    monkeypatch.setattr(GivingBack, "give_back", give)
    with pytest.raises(StoreBusyError):
        await house.recovery().run()


async def state(house: House, task: TaskId) -> TaskState:
    return (await house.story(task)).task.state
