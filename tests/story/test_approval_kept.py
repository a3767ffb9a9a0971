"""Work that a fork asks for waits until somebody says yes, and a yes is said for good."""

from __future__ import annotations

from pathlib import Path

import pytest

from covend.demo.records import Account
from covend.demo.stage import Stage
from tests.story.cast import EXAMPLE, Cast
from tests.story.conftest import SetUp
from tests.story.held import PLAIN, outcomes, told, waits
from tests.story.process import Covend, serving

STRANGER = Account(login="passing-by", id=4_711)
HELD = f'{PLAIN}\ntrust = {{{{ fork = "hold" }}}}'


@pytest.fixture
def cast(tmp_path: Path) -> Cast:
    return Cast(tmp_path)


async def open_from_fork(stage: Stage, covend: Covend) -> str:
    """Let a stranger open a pull request out of a fork; give its task."""
    stage.github.add_account(STRANGER)
    pull = stage.till.open_pull(
        head_ref="helpful",
        files={"src/till/helpful.py": "def help_out(): ...\n"},
        title="Help out",
        author=STRANGER,
        now=stage.github.state.now(),
        from_fork=True,
    )
    webhook = stage.signed("pull_request.opened", serial=1, sender=STRANGER, number=pull.number)
    status, answer = await covend.post(*webhook)
    assert (status, answer["state"]) == (202, "routed")
    (task,) = answer["tasks"]
    return str(task)


@pytest.mark.parametrize("rule", [HELD, PLAIN], ids=["by-its-rule", "by-default"])
async def test_a_forks_work_waits_for_a_yes_over_a_crash_and_is_done_once(
    rule: str, staged: SetUp, cast: Cast
) -> None:
    async with staged(cast, rule=rule) as stage:
        async with serving(stage) as covend:
            task = await open_from_fork(stage, covend)
            await waits(covend, task, "approval", "received")
            await covend.kill()
        async with serving(stage) as covend:
            await waits(covend, task, "approval", "received")
            assert cast.who_ran(task) == []
            await told(stage, "approve", task)
            story = await covend.task_in("completed", task)
    assert (story["trust"], story["approved_by"]) == ("fork", "operator")
    assert outcomes(story) == ["succeeded"]
    assert cast.who_ran(task) == [EXAMPLE]


async def test_a_crash_does_not_forget_that_somebody_has_said_yes(
    staged: SetUp, cast: Cast
) -> None:
    async with staged(cast, rule=HELD) as stage:
        async with serving(stage) as covend:
            await told(stage, "pause")
            task = await open_from_fork(stage, covend)
            await waits(covend, task, "approval", "received")
            await told(stage, "approve", task)
            await covend.kill()
        async with serving(stage) as covend:
            await waits(covend, task, "paused")
            await told(stage, "resume")
            story = await covend.task_in("completed", task)
    assert outcomes(story) == ["succeeded"]
    assert cast.who_ran(task) == [EXAMPLE]
