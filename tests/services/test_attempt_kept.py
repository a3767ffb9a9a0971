"""What is left of an attempt's directory when it has ended, and of processes that do not end."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from covend.core.bounds import Retry
from covend.core.contract.outcome import Exceeded, StopReason
from covend.core.errors import TreeNotEmptyError
from covend.core.settings import AgentLimits, Checkout
from covend.core.states import Outcome, TaskState
from covend.edges.agents.tree import Tree
from covend.services.stopping import Stop
from tests.services.alive import is_alive
from tests.services.fifo import Fifo
from tests.services.house import House, a_rule, an_agent
from tests.services.stages import WITHIN_S
from tests.telemetry.book import Book

ONCE = Retry(attempts=1)
WORKS = "echo changed > README.md; mkdir -p deep/er; echo made > deep/er/note; "


async def ended(house: House, script: str, **changes: Any) -> Outcome | None:
    """Run an agent once that first works in its checkout."""
    agent = an_agent(WORKS + script, **{"retry": ONCE, "grace_s": 0.5} | changes)
    await house.adopt(a_rule(checkout=Checkout.HEAD), agent)
    return (await house.attempt()).attempts[0].outcome


def names(house: House, place: str) -> list[str]:
    return sorted(each.name for each in house.folder.glob(f"{place}/*"))


def kept(house: House) -> Path:
    (found,) = house.folder.glob("kept/*")
    return found


@contextmanager
def in_it(place: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Somebody who looks at a workspace."""
    process = subprocess.Popen(["sleep", "1000"], cwd=place)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


# --- which are kept -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "changes", "outcome"),
    [
        ("exit 3", {}, Outcome.FAILED),
        ("exit 75", {"retry": Retry(attempts=2)}, Outcome.FAILED),
        ("kill -SEGV $$", {}, Outcome.FAILED),
        ("exec sleep 1000", {"timeout_s": 0.5}, Outcome.TIMED_OUT),
        ("exec sleep 1000", {"idle_timeout_s": 0.5}, Outcome.IDLE_TIMED_OUT),
    ],
)
async def test_a_failed_attempts_workspace_is_kept_as_its_agent_left_it(
    house: House, script: str, changes: dict[str, Any], outcome: Outcome
) -> None:
    assert await ended(house, script, **changes) is outcome
    assert names(house, "workspaces") == []
    workspace = kept(house) / "workspace"
    assert (workspace / "README.md").read_text() == "changed\n"
    assert (workspace / "deep/er/note").read_text() == "made\n"
    assert (kept(house) / "exchange/brief.json").stat().st_size


async def test_a_workspace_that_is_kept_has_no_token(house: House) -> None:
    """Nor had the agent, in its checkout, its environment or its brief."""
    script = "env > environment; git config --list --show-origin > config; exit 3"
    await ended(house, script)
    tokens = [each.encode() for each in house.github.state.tokens]
    assert tokens
    found = [path for path in kept(house).rglob("*") if path.is_file()]
    assert {".git/config", "environment", "config"} <= {
        str(path.relative_to(kept(house) / "workspace"))
        for path in found
        if path.is_relative_to(kept(house) / "workspace")
    }
    said = {path: path.read_bytes().lower() for path in found}
    assert [path for path, data in said.items() if any(it.lower() in data for it in tokens)] == []
    assert [path for path, data in said.items() if b"extraheader" in data] == []


async def test_what_ended_well_is_not_kept(house: House) -> None:
    assert await ended(house, "true") is Outcome.SUCCEEDED
    assert names(house, "workspaces") + names(house, "kept") == []


@pytest.mark.parametrize("reason", [StopReason.CANCELLED, StopReason.SUPERSEDED])
async def test_what_was_stopped_is_not_kept(house: House, fifo: Fifo, reason: StopReason) -> None:
    agent = an_agent(f"{WORKS} echo started > {fifo.path}; exec sleep 1000", grace_s=0.5)
    await house.adopt(a_rule(checkout=Checkout.HEAD), agent)
    claim, stop = await house.claimed(), Stop()
    with anyio.fail_after(WITHIN_S):
        async with anyio.create_task_group() as group:
            group.start_soon(house.attempts().run, claim, stop)
            assert await fifo.line() == "started"
            stop.request(reason)
    assert names(house, "workspaces") + names(house, "kept") == []


async def test_each_try_that_fails_is_kept_by_itself(house: House) -> None:
    await ended(house, "exit 75", retry=Retry(attempts=2))
    house.clock.turn(s=60)
    story = await house.run(await house.claim())
    assert names(house, "kept") == [f"{story.task.id}-1", f"{story.task.id}-2"]


async def test_what_is_kept_is_not_removed_under_a_process(house: House) -> None:
    await ended(house, "exit 3")
    tidy = partial(house.workspaces.tidy, age_s=0.0, budget_bytes=0)
    with in_it(kept(house) / "workspace" / "deep"):
        await tidy()
        assert (kept(house) / "workspace/deep/er/note").exists()
    await tidy()
    assert names(house, "kept") == []


# --- limits, and what does not end ----------------------------------------------------------------


@pytest.mark.parametrize("limit", Exceeded)
async def test_an_agent_over_a_limit_fails_by_it_and_is_not_tried_again(
    house: House, limit: Exceeded, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exceeded(_: Tree) -> Exceeded:
        return limit

    monkeypatch.setattr(Tree, "exceeded", exceeded)
    await house.adopt(a_rule(), an_agent("exec sleep 1000", retry=Retry(attempts=3)))
    story = await house.attempt()
    (attempt,) = story.attempts
    assert (attempt.outcome, attempt.error_code) == (Outcome.FAILED, f"{limit}_limit")
    assert (story.task.state, story.task.error_code) == (TaskState.FAILED, f"{limit}_limit")
    assert f"limits.{limit}" in (attempt.error_message or "")


async def test_a_fork_storm_ends_by_its_limit_and_leaves_nobody(house: House, fifo: Fifo) -> None:
    """As the limit is really held on this machine."""
    script = f"for n in $(seq 40); do sleep 1000 & echo $! > {fifo.path}; done; wait"
    agent = an_agent(script, limits=AgentLimits(pids=10))
    await house.adopt(a_rule(), agent)
    with anyio.fail_after(WITHIN_S):
        story = await house.attempt()
        first = int(await fifo.line())
    assert story.task.state is TaskState.FAILED
    assert not is_alive(first)


@pytest.mark.parametrize("script", ["true", "exit 3"])
async def test_nothing_is_removed_under_a_process_that_does_not_end(
    house: House, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    """It may have no place there that can be seen, and write there all the same."""
    end, pid = Tree.kill, 4_000_000

    def kill(tree: Tree) -> int:
        end(tree)
        raise TreeNotEmptyError("processes of an agent outlive SIGKILL", pids=[pid])

    with monkeypatch.context() as patch:
        patch.setattr(Tree, "kill", kill)
        patch.setattr(Tree, "members", lambda _: frozenset([pid]))
        book = Book(patch)
        await ended(house, script)
    for tree in house.containment.open_trees():
        tree.close()
    assert (kept(house) / "workspace/deep/er/note").exists()
    assert names(house, "workspaces") == []
    (told,) = [each for each in book.lines() if "do not end" in each["message"]]
    assert told["pids"] == [pid]
