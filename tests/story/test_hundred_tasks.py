"""A hundred tasks through four slots: each runs once, never five at once, and nothing of them is
left, be it a zombie, a file descriptor or a cgroup.
"""

from __future__ import annotations

import signal
from collections import Counter
from itertools import accumulate
from pathlib import Path

from covend.demo import payloads
from covend.demo.stage import WEBHOOK_SECRET, Stage
from tests.story.agent import Script
from tests.story.config import ALONE
from tests.story.conftest import SetUp
from tests.story.process import Covend, serving
from tests.story.trees import zombies_of

SLOTS = 4
TASKS = 100
QUICK = """\
#!/bin/sh
# Notes when it begins and ends; one write(2) each, to the end of the file, is never torn.
echo "begin $COVEND_TASK" >> {notes}
# Nobody is through before there is a queue, and as many run as there are slots.
until [ -e {queued} ] && [ "$(grep -c begin {notes})" -ge {slots} ]; do sleep 0.01; done
sleep 0.02
(setsid sleep 600 &) # to be ended with it, and waited for
echo "end $COVEND_TASK" >> {notes}
"""


def quick_agent(folder: Path) -> Script:
    text = QUICK.format(notes=folder / "notes", queued=folder / "queued", slots=SLOTS)
    return Script.write(folder / "quick.sh", text)


async def ask(stage: Stage, covend: Covend, serial: int) -> str:
    """Send that a head was pushed which is nowhere but in this delivery."""
    scene = payloads.scene(now=stage.github.state.now(), serial=serial, app=stage.github.state.app)
    body = payloads.encode(payloads.SAMPLES["pull_request.synchronize"](scene))
    guid = f"00000000-0000-4000-8000-{serial:012d}"
    status, answer = await covend.post(
        body, payloads.signed(body, WEBHOOK_SECRET, "pull_request", guid)
    )
    assert (status, len(answer["tasks"])) == (202, 1)
    return str(answer["tasks"][0])


async def ended(covend: Covend, count: int) -> list[str]:
    """Wait until so many attempts have ended, and give their tasks."""

    async def look() -> list[str] | None:
        lines = [line["task"] for line in covend.log if line["message"] == "attempt ended"]
        return lines if len(lines) >= count else None

    return await covend.until(look)


def descriptors_of(covend: Covend) -> int:
    return len(list(Path(f"/proc/{covend.pid}/fd").iterdir()))


async def test_of_a_hundred_tasks_four_run_at_once_and_nothing_is_left(
    staged: SetUp, tmp_path: Path
) -> None:
    notes, queued = tmp_path / "notes", tmp_path / "queued"
    limits = f"concurrency = {SLOTS}"
    async with (
        staged(quick_agent(tmp_path), rule=ALONE, limits=limits) as stage,
        serving(stage) as covend,
    ):
        queued.touch()
        first = [await ask(stage, covend, serial) for serial in range(SLOTS)]
        await ended(covend, SLOTS)
        before = descriptors_of(covend)
        queued.unlink()
        tasks = first + [await ask(stage, covend, SLOTS + serial) for serial in range(TASKS)]
        queued.touch()
        assert sorted(await ended(covend, len(tasks))) == sorted(tasks)
        after, zombies = descriptors_of(covend), zombies_of(covend.pid)
        _, page = await covend.get("/api/v1/tasks?state=completed&limit=200")
        covend.send(signal.SIGTERM)
        assert await covend.exit_code() == 0
    lines = notes.read_text("ascii").splitlines()
    assert Counter(lines) == {f"{what} {task}": 1 for what in ("begin", "end") for task in tasks}
    at_once = accumulate(1 if line.startswith("begin") else -1 for line in lines)
    assert max(at_once) == SLOTS
    assert sorted(task["id"] for task in page["items"]) == sorted(tasks)
    assert {task["attempts"] for task in page["items"]} == {1}
    assert zombies == []
    assert after <= before
    assert covend.cgroup is None or not covend.cgroup.exists()
