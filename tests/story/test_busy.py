"""When there is no room: 503 with `Retry-After`, nothing half-stored, and all well afterwards."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from covend.demo.payloads import AUTHOR
from covend.demo.stage import Stage
from tests.story.agent import WaitingAgent
from tests.story.conftest import SetUp
from tests.story.process import Covend, serving
from tests.story.test_kill import opened, reviewed

TABLES = ("deliveries", "tasks", "delivery_tasks", "timeline")


@contextmanager
def foreign_lock(stage: Stage) -> Iterator[None]:
    """Hold the database as another program would that writes to it."""
    with closing(database(stage)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def database(stage: Stage) -> sqlite3.Connection:
    return sqlite3.connect(stage.folder / "state" / "covend.db", isolation_level=None)


def counted(stage: Stage) -> dict[str, int]:
    with closing(database(stage)) as other:
        return {
            table: other.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in TABLES
        }


def open_pull(stage: Stage) -> int:
    """Open one more pull request, and give its number."""
    pull = stage.till.open_pull(
        head_ref=f"more-{len(stage.till.pulls)}",
        files={"README.md": f"More, {len(stage.till.pulls)}.\n"},
        title="More",
        author=AUTHOR,
        now=stage.github.state.now(),
    )
    return pull.number


async def send(stage: Stage, covend: Covend, number: int) -> tuple[int, Any, Any]:
    return await covend.posted(*stage.signed("pull_request.opened", serial=number, number=number))


async def test_a_foreign_lock_is_503_and_leaves_nothing(staged: SetUp) -> None:
    async with staged() as stage, serving(stage) as covend:
        delivery = stage.signed("pull_request.opened", serial=1)
        with foreign_lock(stage):
            status, answer, headers = await covend.posted(*delivery)
        assert (status, answer["error"]["code"]) == (503, "store_busy")
        assert int(headers["Retry-After"]) > 0
        assert counted(stage) == dict.fromkeys(TABLES, 0)
        status, answer = await covend.post(*delivery)
        assert (status, answer["state"]) == (202, "routed")
        await reviewed(stage.github)


async def test_a_foreign_lock_at_an_agents_end_loses_nothing(
    staged: SetUp, agent: WaitingAgent
) -> None:
    """The attempt was dropped, and its task stayed `running` until the next start."""
    async with staged(agent) as stage, serving(stage) as covend:
        task = await opened(stage, covend)
        await agent.begins()
        with foreign_lock(stage):
            agent.ends()
            await covend.hears("the store is asked again", code="store_busy", task=task)
        await reviewed(stage.github)
        story = await covend.task_in("completed", task)
    assert [attempt["outcome"] for attempt in story["attempts_list"]] == ["succeeded"]


async def test_a_full_queue_is_503_but_not_for_what_asks_for_no_work(
    staged: SetUp, agent: WaitingAgent
) -> None:
    async with (
        staged(agent, limits="concurrency = 1\nqueue_max = 1") as stage,
        serving(stage) as covend,
    ):
        running = await opened(stage, covend)
        await agent.begins()
        queued, refused = open_pull(stage), open_pull(stage)
        first = stage.signed("pull_request.opened", serial=queued, number=queued)
        assert (await covend.post(*first))[0] == 202

        before = counted(stage)
        status, answer, headers = await send(stage, covend, refused)
        assert (status, answer["error"]["code"]) == (503, "queue_full")
        assert int(headers["Retry-After"]) > 0
        assert counted(stage) == before

        status, answer = await covend.post(*first)
        assert (status, answer["duplicate"]) == (200, True)
        status, answer = await covend.post(*stage.signed("push", serial=9))
        assert (status, answer["state"]) == (202, "ignored")

        agent.ends()
        await covend.task_in("completed", running)
        await agent.begins()
        assert (await send(stage, covend, refused))[0] == 202
        for _ in range(2):
            agent.ends()
        await stage.github.wait_for(lambda: len(stage.github.state.reviews) == 3)
