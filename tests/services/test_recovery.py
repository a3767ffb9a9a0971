"""After a kill -9: what was left running is ended and given back, what was sent is doubted."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import anyio
import pytest

from covend.core.bounds import Retry
from covend.core.model import Claim
from covend.core.states import EffectState, Outcome, TaskState
from covend.demo.github import Fault
from covend.edges.proc import boot_id, start_ticks
from covend.services.sending import FIRST_LOOK_MS, SECOND_LOOK_MS
from covend.store.protocol import Started
from tests.services.alive import is_alive
from tests.services.hand_clock import HandClock
from tests.services.house import CHECK, REVIEW, House, a_rule, an_agent


@contextmanager
def a_process() -> Iterator[subprocess.Popen[bytes]]:
    """Something in a group of its own, as an agent is."""
    process = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def left_running(house: House, pid: int, ticks: int, boot: str | None = None) -> Claim:
    """Leave a task as a daemon leaves it that is killed while this process is its agent."""
    await house.adopt(a_rule(), an_agent(retry=Retry(infrastructure=1)))
    claim = await house.claimed()
    await house.announce(claim)
    started = Started(pid=pid, pid_started=ticks, boot_id=boot or boot_id())
    await house.tasks.note_process(claim, started)
    return claim


async def test_an_orphan_is_ended_and_its_task_given_back(house: House) -> None:
    with a_process() as process:
        ticks = start_ticks(process.pid)
        assert ticks is not None
        claim = await left_running(house, process.pid, ticks)
        await house.recovery().run()
        assert not is_alive(process.pid)
    story = await house.story(claim.task.id)
    assert (story.task.state, story.task.reason) == (TaskState.QUEUED, "recovered")
    assert (story.task.infrastructure_failures, story.task.failures) == (1, 0)
    assert [attempt.outcome for attempt in story.attempts] == [Outcome.LOST]


@pytest.mark.parametrize("boot", [None, "00000000-0000-0000-0000-000000000000"])
async def test_a_stranger_with_the_same_pid_is_left_alone(house: House, boot: str | None) -> None:
    with a_process() as process:
        ticks = start_ticks(process.pid)
        assert ticks is not None
        later = ticks + 1 if boot is None else ticks
        claim = await left_running(house, process.pid, later, boot)
        await house.recovery().run()
        assert is_alive(process.pid)
    assert (await house.story(claim.task.id)).task.state is TaskState.QUEUED


async def test_a_recovered_task_runs_again_as_its_second_attempt(house: House) -> None:
    with a_process() as process:
        claim = await left_running(house, process.pid, 0)
    await house.recovery().run()
    house.clock.turn(s=60)
    story = await house.run(await house.claim())
    assert [attempt.outcome for attempt in story.attempts] == [Outcome.LOST, Outcome.SUCCEEDED]
    with pytest.raises(AssertionError):
        await house.claim()
    assert claim.task.id == story.task.id


async def test_a_task_that_always_takes_the_daemon_down_is_given_up(house: House) -> None:
    with a_process() as process:
        claim = await left_running(house, process.pid, 0)
        for _ in range(2):
            await house.recovery().run()
            story = await house.story(claim.task.id)
            if story.task.state is TaskState.QUEUED:
                house.clock.turn(s=60)
                await house.claim()
    assert (story.task.state, story.task.reason) == (TaskState.FAILED, "lost: exhausted")
    await house.publish()
    (run,) = house.github.state.check_runs
    assert run.conclusion == "failure"


async def test_a_former_attempt_cannot_settle_what_was_recovered(house: House) -> None:
    with a_process() as process:
        claim = await left_running(house, process.pid, 0)
    await house.recovery().run()
    story = await house.run(claim)
    assert story.task.state is TaskState.QUEUED
    assert [effect.kind for effect in story.effects] == [CHECK]


async def test_what_was_being_sent_is_looked_up_and_not_sent_again(house: House) -> None:
    await house.adopt(a_rule(publish=(REVIEW,)), an_agent())
    await house.settled()
    held = house.github.faults.add("POST", "*/reviews", Fault.HELD)
    async with anyio.create_task_group() as group:
        group.start_soon(house.publisher().run)
        await held.reached.wait()
        group.cancel_scope.cancel()
    held.release()
    await house.github.wait_for(lambda: house.github.state.reviews)
    assert (await house.effect()).state is EffectState.SENDING

    await house.recovery().run()
    assert (await house.effect()).state is EffectState.UNKNOWN
    house.clock.turn(s=FIRST_LOOK_MS / 1000)
    await house.publish()
    assert (await house.effect()).state is EffectState.DONE
    assert len(house.github.state.reviews) == len(house.posted("/reviews")) == 1


async def test_what_never_arrived_is_sent_after_two_looks(house: House) -> None:
    await house.adopt(a_rule(publish=(REVIEW,)), an_agent())
    await house.settled()
    await house.effects.begin((await house.effect()).id, house.clock.now())
    await house.recovery().run()
    for seconds in (FIRST_LOOK_MS / 1000, (SECOND_LOOK_MS - FIRST_LOOK_MS) / 1000):
        assert house.posted("/reviews") == []
        house.clock.turn(s=seconds)
        await house.publish()
    assert len(house.github.state.reviews) == len(house.posted("/reviews")) == 1


async def test_a_workspace_that_cannot_be_removed_keeps_nobody_from_starting(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    with a_process() as process:
        claim = await left_running(house, process.pid, 0)
    left = house.folder / "workspaces" / "t-1"
    await anyio.Path(left / "deep").mkdir(parents=True)
    with monkeypatch.context() as patch:
        patch.setattr(os, "rmdir", refuse)
        await house.recovery().run()
    assert not await anyio.Path(left).exists()
    assert (await house.story(claim.task.id)).task.state is TaskState.QUEUED


async def test_a_clock_that_was_set_forth_shortens_no_wait_between_two_looks(house: House) -> None:
    """GitHub's replicas may not show it yet, whatever the new clock says of when it was sent."""
    await house.adopt(a_rule(publish=(REVIEW,)), an_agent())
    await house.settled()
    await house.effects.begin((await house.effect()).id, house.clock.now())
    house.clock = HandClock(house.clock.at + 3_600_000)
    await house.recovery().run()
    house.clock.turn(s=FIRST_LOOK_MS / 1000)
    await house.publish()
    assert house.posted("/reviews") == []
    house.clock.turn(s=SECOND_LOOK_MS / 1000)
    await house.publish()
    assert len(house.posted("/reviews")) == 1
