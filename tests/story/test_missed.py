"""What was sent while covend was down is fetched from GitHub's log: once, also over kill -9."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson

from covend.demo.github import Fault
from covend.demo.github.deliveries import write_down
from covend.demo.stage import Stage
from tests.story.conftest import SetUp
from tests.story.process import COVEND, Covend, serving

LOG = "/app/hook/deliveries"


def lost(stage: Stage, event: str, serial: int) -> tuple[int, str]:
    """GitHub has sent a webhook that nobody took; give its number in the log and its id."""
    body, headers = stage.signed(event, serial=serial)
    entry = write_down(stage.github.state, orjson.loads(body), headers)
    return entry.id, entry.guid


async def kept(covend: Covend) -> list[tuple[str, str, str]]:
    """Give id, way and state of all deliveries, the oldest first."""
    status, answer = await covend.get("/api/v1/deliveries")
    assert status == 200, answer
    return [(each["id"], each["via"], each["state"]) for each in reversed(answer["items"])]


async def test_what_was_sent_while_covend_was_down_is_done_at_its_start(staged: SetUp) -> None:
    async with staged() as stage:
        _, guid = lost(stage, "pull_request.opened", 1)
        async with serving(stage) as covend:
            await covend.hears("reconciled", kept=1)
            assert await kept(covend) == [(guid, "reconcile", "routed")]
            await stage.github.wait_for(lambda: stage.github.state.reviews, within_s=30)
        assert len(stage.github.state.reviews) == 1


async def test_a_look_that_kill_9_has_cut_off_goes_on_and_keeps_each_once(staged: SetUp) -> None:
    async with staged() as stage:
        entries = [lost(stage, "push", serial) for serial in range(1, 6)]
        held = stage.github.faults.add("GET", f"{LOG}/{entries[2][0]}", Fault.HELD)
        async with serving(stage) as covend:
            await held.reached.wait()
            await covend.kill()
        held.release()
        async with serving(stage) as covend:
            await covend.hears("reconciled")
            assert await kept(covend) == [(guid, "reconcile", "ignored") for _, guid in entries]
            again = await look(stage)
            assert (again["kept"], again["known"], again["is_complete"]) == (0, 5, True)


async def look(stage: Stage) -> Any:
    """Look once more, by hand."""
    command = (*COVEND, "reconcile", "--since", "3d", "--json", "--config", str(stage.config))
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    said, _ = await process.communicate()
    assert process.returncode == 0
    return orjson.loads(said)
