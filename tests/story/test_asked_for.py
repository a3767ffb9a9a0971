"""Work that an operator asks for: done once for each key, also over a crash, and done again only on
purpose.
"""

from __future__ import annotations

from typing import Any

import aiohttp
import anyio

from covend.demo.stage import Stage
from tests.story.agent import WaitingAgent
from tests.story.conftest import SetUp
from tests.story.held import told
from tests.story.process import Covend, serving

ASKED = {"rule": "review", "repository": "acme/till", "number": 7, "inputs": {"why": "nightly"}}


async def submit(stage: Stage, covend: Covend, key: str, **changed: Any) -> tuple[int, Any]:
    """Ask the operators' listener for work."""
    token = (stage.folder / "state" / "admin.token").read_text("ascii").strip()
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": key}
    admin = next(line["admin"] for line in covend.log if line["message"] == "ready")
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(f"{admin}/api/v1/tasks", json=ASKED | changed) as answer,
    ):
        return answer.status, await answer.json()


async def test_what_is_submitted_is_done_once_over_a_crash_and_again_by_a_replay(
    staged: SetUp, agent: WaitingAgent
) -> None:
    async with staged(agent) as stage:
        async with serving(stage) as first:
            status, task = await submit(stage, first, "nightly")
            assert (status, task["state"], task["trust"]) == (202, "received", "admin")
            assert (await agent.begins()).task == task["id"]
            await first.kill()
        async with serving(stage) as second:
            status, again = await submit(stage, second, "nightly")
            assert (status, again["id"]) == (200, task["id"])
            assert (await submit(stage, second, "nightly", number=8))[0] == 409
            assert (await agent.begins()).task == task["id"]
            agent.ends()
            story = await second.task_in("completed", task["id"])
            await stage.github.wait_for(lambda: len(stage.github.state.reviews) == 1)
            assert story["subject"]["title"] == stage.till.live_pull(7).title
            assert story["inputs"] == {"why": "nightly"}

            foreseen = await told(stage, "replay", task["delivery"], "--dry-run")
            assert "a new task, generation 2" in foreseen
            assert story["key"] in foreseen
            done = await told(stage, "replay", task["delivery"])
            begun = await agent.begins()
            assert begun.task in done
            assert begun.task in await told(stage, "replay", task["delivery"])
            agent.ends()
            replayed = await second.task_in("completed", begun.task)
    assert (replayed["key"], replayed["generation"]) == (task["key"], 2)


async def test_many_submissions_of_one_key_at_once_are_one_task(
    staged: SetUp, agent: WaitingAgent
) -> None:
    answers: list[tuple[int, Any]] = []
    async with staged(agent) as stage, serving(stage) as covend:

        async def ask() -> None:
            answers.append(await submit(stage, covend, "k"))

        async with anyio.create_task_group() as group:
            for _ in range(12):
                group.start_soon(ask)
        begun = await agent.begins()
        agent.ends()
        await covend.task_in("completed", begun.task)
        _, listed = await covend.get("/api/v1/tasks")
    assert {answer["id"] for _, answer in answers} == {begun.task}
    assert sorted(status for status, _ in answers) == [*[200] * 11, 202]
    assert [task["id"] for task in listed["items"]] == [begun.task]
