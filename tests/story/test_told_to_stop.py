"""What an agent hears of an operator's cancel, and what is heard of it afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.services.fifo import Fifo
from tests.story.agent import Script
from tests.story.config import TIMEOUT
from tests.story.conftest import SetUp
from tests.story.process import serving
from tests.story.test_cancel import run
from tests.story.test_kill import opened
from tests.story.trees import below, living

AGENT = """\
trap 'echo told to stop; exit 3' {signal}
trap '' {deaf}
echo "what it has to say"
sleep 600 &
echo $$ > {here}
while :; do wait; done
"""
FAR_S = 20.0
"""Seconds: less than a grace that nobody should need, and more than one that is used up."""


@pytest.mark.parametrize(
    ("stop_signal", "hears", "deaf", "grace", "ending"),
    [
        ("SIGINT", "INT", "TERM", "60s", (3, None)),
        ("SIGUSR1", "USR1", "TERM", "60s", (3, None)),
        ("SIGINT", "TERM", "INT", "1s", (3, None)),
        ("SIGINT", "USR2", "INT TERM", "1s", (None, "SIGKILL")),
    ],
)
async def test_a_cancelled_agent_is_told_and_its_log_stays(
    staged: SetUp,
    tmp_path: Path,
    stop_signal: str,
    hears: str,
    deaf: str,
    grace: str,
    ending: tuple[int | None, str | None],
) -> None:
    """Its own signal first, then SIGTERM, and in the end nobody is asked."""
    with Fifo(tmp_path / "here") as here:
        text = AGENT.format(signal=hears, deaf=deaf, here=here.path)
        agent = Script.write(tmp_path / "told.sh", text)
        settings = f'{TIMEOUT}\nstop_signal = "{stop_signal}"\ngrace = "{grace}"'
        async with staged(agent, agent=settings) as stage, serving(stage) as covend:
            task = await opened(stage, covend)
            pid = int(await here.line())
            group = below(covend.pid)
            assert pid in living(group)
            assert (await run(stage, "cancel", task))[0] == 0
            story = await covend.task_in("cancelled", task, within_s=FAR_S)
            assert living(group) == []
            state = stage.github.state
            await stage.github.wait_for(
                lambda: any(run.conclusion == "cancelled" for run in state.check_runs)
            )
            code, out, _ = await run(stage, "logs", task)
    (attempt,) = story["attempts_list"]
    assert attempt["outcome"] == "cancelled"
    assert (attempt["exit_code"], attempt["signal"]) == ending
    assert (code, "what it has to say" in out) == (0, True)
    assert ("told to stop" in out) == (ending == (3, None))
