"""Every end of a task is counted, whoever has ended it: `tasks_total`."""

from __future__ import annotations

import pytest

from covend.core.model import Task
from covend.core.policy import PolicyError
from covend.core.settings import Policy
from covend.core.states import TaskState
from covend.services.stopping import Stop
from covend.store.tasks import StoredTasks
from tests.services.house import CHECK, House, a_rule, an_agent
from tests.services.test_closing import EVENTS, close, push


@pytest.fixture
async def house(house: House) -> House:
    await house.adopt(a_rule(on=EVENTS, publish=(CHECK,), debounce_s=60.0), an_agent())
    return house


def counted(house: House) -> dict[str, float]:
    """How many tasks have ended, by how."""
    found = house.metrics.tasks_ended.collect()
    samples = [each for metric in found for each in metric.samples if each.name.endswith("_total")]
    assert all(each.labels["rule"] == "review" for each in samples)
    assert all(each.labels["repository"] == "acme/till" for each in samples)
    return {each.labels["outcome"]: each.value for each in samples}


async def test_what_a_newer_head_ends_at_once_is_counted(house: House) -> None:
    first = await house.task()
    with house.wakeups.followers.hung(first.id) as bell:
        await push(house)
        await bell.wait(0)
    await push(house)
    assert (await house.story(first.id)).task.state is TaskState.SUPERSEDED
    assert counted(house) == {"superseded": 2}


async def test_what_a_closing_ends_at_once_is_counted(house: House) -> None:
    await house.task()
    await close(house)
    assert counted(house) == {"cancelled": 1}


async def test_what_is_refused_after_a_look_up_is_counted(house: House) -> None:
    await house.adopt(a_rule(on=("command.review",), allow=("admin",)), an_agent())
    task = await house.task("issue_comment.created")
    await house.ripen()
    assert (await house.story(task.id)).task.state is TaskState.IGNORED
    assert counted(house) == {"ignored": 1}


async def test_a_repetition_counts_nothing(house: House) -> None:
    await house.task()
    await house.task()
    assert counted(house) == {}


class Unreadable(StoredTasks):
    """A store in which a task's policy cannot be read."""

    async def policy_of(self, task: Task) -> Policy:
        raise PolicyError(task.policy)


async def test_what_covend_itself_fails_at_is_counted(house: House) -> None:
    await house.adopt(a_rule(), an_agent())
    claim = await house.claimed()
    await house.attempts(Unreadable(house.connection)).run(claim, Stop())
    assert (await house.story(claim.task.id)).task.state is TaskState.FAILED
    assert counted(house) == {"failed": 1}
