"""An agent that prints a gigabyte without a newline: covend stays small, answers meanwhile, and
goes on.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from time import monotonic

from tests.story.agent import Script
from tests.story.config import ALONE, TIMEOUT
from tests.story.conftest import SetUp
from tests.story.process import Covend, serving
from tests.story.test_hundred_tasks import ask

GIGABYTE = 1 << 30
GROWTH_MAX = 100 << 20
PRINTER = f"""\
head -c {GIGABYTE} /dev/zero | tr '\\0' x
echo; echo 'and it goes on'
"""
LINE_MAX = 1 << 20
ASK_EVERY_S = 0.05
PRINTED_WITHIN_S = 100.0
PART_MAX = 0.2
"""Of the time that all of it takes, of which one answer may take so much."""


def peak_of(covend: Covend) -> int:
    """Give the most memory that covend has had at once, in bytes; proc(5), VmHWM."""
    status = Path(f"/proc/{covend.pid}/status").read_text("ascii")
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    assert found is not None
    return int(found[1]) << 10


async def slowest_until(covend: Covend, over: asyncio.Task[object]) -> float:
    """Ask whether it is ready, now and then; give the longest time until an answer."""
    slowest_s = 0.0
    while not over.done():
        asked_at = monotonic()
        status, ready = await covend.get("/readyz")
        assert (status, ready["state"]) == (200, "ready")
        slowest_s = max(slowest_s, monotonic() - asked_at)
        await asyncio.wait([over], timeout=ASK_EVERY_S)
    return slowest_s


async def test_a_gigabyte_without_a_newline_is_cut_and_costs_no_memory(
    staged: SetUp, tmp_path: Path
) -> None:
    agent = Script.write(tmp_path / "printer.sh", PRINTER)
    async with staged(agent, rule=ALONE, agent=TIMEOUT) as stage, serving(stage) as covend:
        before = peak_of(covend)
        task, begun_at = await ask(stage, covend, 1), monotonic()
        completed = covend.task_in("completed", task, within_s=PRINTED_WITHIN_S)
        over: asyncio.Task[object] = asyncio.create_task(completed)
        slowest_s = await slowest_until(covend, over)
        whole_s = monotonic() - begun_at
        await over
        grown = peak_of(covend) - before
        first, second = [line["text"] for line in await covend.log_of(task)]
    assert grown < GROWTH_MAX
    assert slowest_s < PART_MAX * whole_s
    assert first == LINE_MAX * "x" + " …[line cut]"
    assert second == "and it goes on"
