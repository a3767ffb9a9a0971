"""The answer leaves after the commit is on disk: read from the order of covend's system calls.

A kill -9 cannot show this, since the kernel keeps what was written; a power cut does not.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from covend.demo import payloads
from covend.demo.stage import WEBHOOK_SECRET, Stage
from tests.story.agent import WaitingAgent
from tests.story.conftest import SetUp
from tests.story.process import COVEND, Covend, serving
from tests.story.test_kill import opened

DELIVERIES = 20
CALLS = "fdatasync,fsync,recvfrom,recvmsg,read,sendto,sendmsg,write,writev"
LESS_DURABLE = (sys.executable, "-P", str(Path(__file__).with_name("less_durable.py")))
_RESUMED = re.compile(r"^(\d+) +<\.\.\. (\w+) resumed>(.*)$")
_CALL = re.compile(r"^(\d+) +(\w+)\((.*)$")


@pytest.fixture
def strace(lacking: Callable[[str], NoReturn], tmp_path: Path) -> tuple[str, ...]:
    program = shutil.which("strace") or lacking("strace")
    return (program, "-f", "-qq", "-s", "40", "-e", f"trace={CALLS}", "-o", str(tmp_path / "trace"))


def events(trace: str) -> Iterator[str]:
    """Tell a trace as `asked`, `synced`, `answered`, in the order in which each was over.

    A sync counts when it returns, an answer when it begins to leave.
    """
    for line in trace.splitlines():
        resumed, call = _RESUMED.match(line), _CALL.match(line)
        name = resumed[2] if resumed else call[2] if call else ""
        rest = resumed[3] if resumed else call[3] if call else ""
        if name in {"fdatasync", "fsync"}:
            if rest.endswith("= 0"):
                yield "synced"
        elif "POST /webhooks/github" in rest:
            yield "asked"
        elif "HTTP/1.1 202" in rest:
            yield "answered"


def unsynced(trace: str) -> tuple[int, int]:
    """Count the answers, and those that left without a sync since they were asked for."""
    answers, bad, is_synced = 0, 0, False
    for event in events(trace):
        if event == "answered":
            answers, bad = answers + 1, bad + (not is_synced)
        is_synced = event == "synced" or (is_synced and event == "answered")
    return answers, bad


async def traced(stage: Stage, agent: WaitingAgent, program: tuple[str, ...]) -> tuple[int, int]:
    """Send deliveries one after the other while nothing else writes, and judge the trace.

    The one slot is taken, so what is queued stays there.
    """
    async with serving(stage, program) as covend:
        await opened(stage, covend)
        await agent.begins()
        await covend.hears("published", kind="check")
        for serial in range(DELIVERIES):
            assert await send(stage, covend, serial) == 202
    return unsynced((stage.folder / "trace").read_text())


async def send(stage: Stage, covend: Covend, serial: int) -> int:
    """Send that another head was pushed, which asks for one more task."""
    scene = payloads.scene(now=stage.github.state.now(), serial=serial, app=stage.github.state.app)
    body = payloads.encode(payloads.SAMPLES["pull_request.synchronize"](scene))
    guid = f"00000000-0000-4000-8000-{serial:012d}"
    headers = payloads.signed(body, WEBHOOK_SECRET, "pull_request", guid)
    status, answer = await covend.post(body, headers)
    assert len(answer["tasks"]) == 1
    return status


async def test_every_202_leaves_after_its_commit_is_on_disk(
    staged: SetUp, agent: WaitingAgent, strace: tuple[str, ...]
) -> None:
    async with staged(agent, limits="concurrency = 1") as stage:
        answers, bad = await traced(stage, agent, (*strace, *COVEND))
    assert answers == DELIVERIES + 1
    assert bad == 0


async def test_a_commit_that_is_not_on_disk_would_be_seen(
    staged: SetUp, agent: WaitingAgent, strace: tuple[str, ...]
) -> None:
    async with staged(agent, limits="concurrency = 1") as stage:
        answers, bad = await traced(stage, agent, (*strace, *LESS_DURABLE))
    assert answers == DELIVERIES + 1
    assert bad >= DELIVERIES - 1


def test_a_sync_that_returns_late_does_not_count() -> None:
    trace = """\
1 read(7, "POST /webhooks/github HTTP/1.1"..., 65536) = 900
2     fdatasync(4 <unfinished ...>
1 sendto(7, "HTTP/1.1 202 Accepted"..., 300, 0, NULL, 0) = 300
2 <... fdatasync resumed>)                = 0
1 recvfrom(7, "POST /webhooks/github HTTP/1.1"..., 65536, 0, NULL, NULL) = 900
2     fdatasync(4 <unfinished ...>
2 <... fdatasync resumed>)                = 0
1 sendto(7, "HTTP/1.1 202 Accepted"..., 300, 0, NULL, 0) = 300
"""
    assert unsynced(trace) == (2, 1)
