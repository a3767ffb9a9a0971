"""A task that takes covend down with it is given up, so that no covend dies of it for ever."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.story.agent import Script
from tests.story.config import ALONE, AT_ONCE
from tests.story.conftest import SetUp
from tests.story.process import serving
from tests.story.test_kill import opened

DEADLY = """\
# Kills whoever has started it, and goes on as if nothing were.
kill -9 "$PPID"
sleep 600
"""
TRIES = 2


async def test_a_task_that_kills_covend_ends_failed_after_its_infrastructure_retries(
    staged: SetUp, tmp_path: Path
) -> None:
    agent = Script.write(tmp_path / "deadly.sh", DEADLY)
    retry = AT_ONCE.replace("infrastructure = 3", f"infrastructure = {TRIES}")
    async with staged(agent, rule=ALONE, retry=retry) as stage:
        async with serving(stage) as first:
            task = await opened(stage, first)
            assert await first.exit_code() == -signal.SIGKILL
        for _ in range(TRIES):
            async with serving(stage) as another:
                assert await another.exit_code() == -signal.SIGKILL
        async with serving(stage) as last:
            story = await last.task_in("failed", task)
    assert (story["reason"], story["error"]["code"]) == ("lost: exhausted", "lost")
    assert [each["outcome"] for each in story["attempts_list"]] == ["lost"] * (TRIES + 1)
