"""An agent in bubblewrap, under a real covend: it does its work, ends in every way that others end,
and is never run without.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NoReturn

import anyio
import pytest

from covend.demo.stage import Stage
from tests.story.agent import Script
from tests.story.config import ONCE, TIMEOUT
from tests.story.conftest import SetUp
from tests.story.process import WITHIN_S, Covend, serving, start
from tests.story.test_kill import opened, reviewed
from tests.story.trees import Noted, below, end, gone, living

IS_ROOT = os.geteuid() == 0
SANDBOX = 'sandbox = "bubblewrap"\nreadable = ["{folder}/agent.sh"]'
USER = 'user = "nobody"' if IS_ROOT else ""
"""Root must give such an agent to somebody else."""
COMMITS = 'checkout = "head"\npublish = ["check", "review", "pull_request"]'
PROCESSES_MIN = 4
"""bwrap outside and inside, the agent, and what that has started."""
REVIEWER = """\
grep -q '"contract":1' "$COVEND_BRIEF" && cd "$COVEND_WORKSPACE" || exit 1
echo 'Reviewed.' >> README.md
git -c user.name=agent -c user.email=agent@covend.invalid commit --quiet -a -m 'Say so' || exit 1
cat > "$COVEND_RESULT" <<END
{"conclusion": "success", "summary": "I am $(id -u) and see $(ls / | wc -l) places."}
END
"""
LASTING = """\
trap 'echo told to end; exit 0' TERM
sleep 600 &
echo begun
while :; do wait; done
"""
DEAF = """\
trap '' TERM INT
sleep 600 &
echo begun
while :; do sleep 600; done
"""
CALLER = """\
git ls-remote http://127.0.0.1:{port}/anything
exit 0
"""


@pytest.fixture(autouse=True)
def bubblewrap(lacking: Callable[[str], NoReturn]) -> str:
    return shutil.which("bwrap") or lacking("bwrap")


@pytest.fixture
def sandboxed(staged: SetUp, open_folder: Path) -> SetUp:
    """As `staged`, with a script of the shell's as the agent, in bubblewrap."""

    @asynccontextmanager
    async def stage(script: str, *, agent: str = TIMEOUT, **changes: str) -> AsyncIterator[Stage]:
        program = Script.write(open_folder / "agent.sh", script)
        settings = f"{agent}\n{SANDBOX}\n{USER}"
        async with staged(program, folder=open_folder, agent=settings, **changes) as made:
            yield made

    return stage


async def poll_until_begun(
    stage: Stage, covend: Covend, within_s: float = WITHIN_S
) -> tuple[str, list[Noted]]:
    """Give the task of an agent that says `begun`, and all the processes that are there for it."""
    task = await opened(stage, covend)
    with anyio.fail_after(within_s):
        while "begun" not in printed(stage):  # noqa: ASYNC110  a sandbox has no pipe to us
            await anyio.sleep(0.01)
    return task, below(covend.pid)


def printed(stage: Stage) -> str:
    """Read the logs of all attempts; they outlive covend."""
    return "".join(path.read_text("utf-8") for path in (stage.folder / "state").glob("logs/*"))


async def test_a_sandboxed_agent_reads_commits_and_is_heard(sandboxed: SetUp) -> None:
    async with sandboxed(REVIEWER, rule=COMMITS) as stage, serving(stage) as covend:
        task = await opened(stage, covend)
        await reviewed(stage.github)
        story = await covend.task_in("completed", task)
        taken = await covend.hears("commits taken out", task=task)
    (review,) = stage.github.state.reviews
    assert "and see" in str(review.body)
    assert f"I am {os.getuid()} " not in str(review.body) or not IS_ROOT
    assert taken["count"] == 1
    assert [attempt["outcome"] for attempt in story["attempts_list"]] == ["succeeded"]


async def test_a_sandboxed_agent_is_told_when_covend_ends(sandboxed: SetUp) -> None:
    async with sandboxed(LASTING, limits='drain = "100ms"') as stage, serving(stage) as covend:
        _, noted = await poll_until_begun(stage, covend)
        assert len(noted) >= PROCESSES_MIN
        covend.send(signal.SIGTERM)
        assert await covend.exit_code() == 0
        assert living(noted) == []
        assert "told to end" in printed(stage)


async def test_a_sandboxed_agent_that_is_deaf_ends_at_its_time(sandboxed: SetUp) -> None:
    times = 'timeout = "1s"\ngrace = "300ms"'
    async with sandboxed(DEAF, agent=times, retry=ONCE) as stage, serving(stage) as covend:
        task, noted = await poll_until_begun(stage, covend)
        assert len(noted) >= PROCESSES_MIN
        story = await covend.task_in("failed", task)
        assert living(noted) == []
    (attempt,) = story["attempts_list"]
    assert (attempt["outcome"], attempt["signal"]) == ("timed_out", "SIGKILL")


async def test_a_sandboxed_agent_dies_with_covend(sandboxed: SetUp) -> None:
    """By itself: no start comes after."""
    async with sandboxed(DEAF) as stage, serving(stage) as covend:
        _, noted = await poll_until_begun(stage, covend)
        assert len(noted) >= PROCESSES_MIN
        try:
            await covend.kill()
            await gone(noted)
            assert living(noted) == []
        finally:
            end(noted)
            await covend.clear_up()


@pytest.mark.parametrize(("network", "calls"), [("true", 1), ("false", 0)])
async def test_without_a_network_the_sandbox_reaches_nobody(
    sandboxed: SetUp, network: str, calls: int
) -> None:
    called: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        called.append(await reader.readline())
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        script = CALLER.format(port=server.sockets[0].getsockname()[1])
        settings = f"{TIMEOUT}\nnetwork = {network}"
        async with sandboxed(script, agent=settings) as stage, serving(stage) as covend:
            await covend.task_in("completed", await opened(stage, covend))
    assert len(called) == calls


async def test_where_the_sandbox_cannot_be_had_covend_does_not_start(
    sandboxed: SetUp, tmp_path: Path
) -> None:
    for name in ("git", "sh", "setpriv"):
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    async with (
        sandboxed(REVIEWER) as stage,
        start(stage, environ={"PATH": str(tmp_path)}) as covend,
    ):
        assert await covend.exit_code() == 78
        assert "agents.example: bwrap is missing: install bubblewrap" in covend.said[-1]
