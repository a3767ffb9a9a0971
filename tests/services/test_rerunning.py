"""Somebody asks on GitHub for a check to be made again: it is, once, or they are told why not."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest

from covend.core.intake import Refused, fold
from covend.core.model import Task, Via
from covend.core.states import Outcome, TaskState
from covend.demo import payloads
from covend.services.operations import Operations
from covend.services.rerunning import GIVE_UP_MS, Rerunning
from covend.store.guards import StoredGuards
from covend.store.protocol import Accepted, Settlement
from covend.store.rerunning import StoredReruns
from tests.services.house import CHECK, COMMENT, House, a_rule, an_agent, an_ending
from tests.services.rooms import WEBHOOK_SECRET


def rerunning(house: House) -> Rerunning:
    return Rerunning(
        reruns=StoredReruns(house.connection),
        tasks=house.tasks,
        operations=Operations(
            tasks=house.tasks,
            guards=StoredGuards(house.connection),
            clock=house.clock,
            wakeups=house.wakeups,
            metrics=house.metrics,
            settlements=house.settlements,
            stop_attempt=lambda _task, _reason: False,
            on_drain=lambda _is_draining: None,
        ),
        replaying=house.replaying(),
        settlements=house.settlements,
        clock=house.clock,
        wakeups=house.wakeups,
    )


async def ask(
    house: House, task: Task, *, suite: bool = False, action: str = "rerequested", **changes: Any
) -> Accepted:
    """Let GitHub tell that somebody has asked for the check of a task, or for all of its head."""
    name = "check_suite" if suite else "check_run"
    check = {
        "head_sha": task.subject.head_sha,
        "external_id": f"{task.id}.{task.generation}",
        "pull_requests": [],
        **changes,
    }
    payload = {
        "action": action,
        name: check,
        "repository": {"id": house.till.repository.id, "full_name": house.till.full_name},
        "installation": {"id": house.github.state.installation_id},
        "sender": {"login": payloads.MAINTAINER.login, "type": "User"},
    }
    body = json.dumps(payload).encode()
    headers = payloads.signed(body, WEBHOOK_SECRET, name, str(uuid4()))
    accepted = await house.intake().receive(fold(headers.items()), body)
    assert not isinstance(accepted, Refused)
    return accepted


async def ended(house: House, target: TaskState, *publish: Any) -> Task:
    """A task whose check was concluded."""
    await house.adopt(a_rule(publish=publish or (CHECK,)), an_agent())
    claim = await house.claimed()
    await house.announce(claim)
    outcome = Outcome.SUCCEEDED if target is TaskState.COMPLETED else Outcome.FAILED
    done = Settlement(target=target, reason="x", ending=an_ending(outcome=outcome))
    await house.tasks.settle(claim, done, house.clock.now())
    await house.publish()
    house.clock.turn(s=1)
    return (await house.story(claim.task.id)).task


async def on_head(house: House) -> list[Task]:
    """All tasks there are, the newest first."""
    found, _ = await house.tasks.page(limit=10)
    return list(found)


@pytest.mark.parametrize("suite", [False, True])
async def test_a_check_that_stands_is_made_again_as_a_new_task_of_the_same_key(
    house: House, suite: bool
) -> None:
    task = await ended(house, TaskState.COMPLETED)
    await ask(house, task, suite=suite)
    assert await rerunning(house).attend_due() == 1
    again, first = await on_head(house)
    assert (again.key, again.generation) == (first.key, first.generation + 1)
    assert again.state in (TaskState.RECEIVED, TaskState.QUEUED)
    await house.publish()
    run = house.github.state.check_runs[-1]
    assert (run.status, run.external_id) == ("queued", f"{again.id}.{again.generation}")
    assert again.subject.head_sha == first.subject.head_sha


async def test_what_has_failed_is_queued_again(house: House) -> None:
    task = await ended(house, TaskState.FAILED)
    await ask(house, task)
    await rerunning(house).attend_due()
    (again,) = await on_head(house)
    assert (again.id, again.state) == (task.id, TaskState.QUEUED)
    assert again.reason == f"@{payloads.MAINTAINER.login}"


async def test_an_ask_that_is_attended_to_twice_does_nothing_more(house: House) -> None:
    task = await ended(house, TaskState.COMPLETED)
    accepted = await ask(house, task)
    await rerunning(house).attend_due()
    house.connection._writer.execute(  # noqa: SLF001  as if covend had died before it was ended
        "UPDATE reruns SET state = 'received', done_at = NULL WHERE delivery_id = ?",
        (accepted.delivery,),
    )
    again = (await on_head(house))[0]
    house.clock.turn(s=1)
    await house.tasks.cancel(again, reason="x", effects=(), now=house.clock.now())
    assert await rerunning(house).attend_due() == 1
    assert (await on_head(house))[0].state is TaskState.CANCELLED
    assert len(await on_head(house)) == 2


async def test_work_that_is_open_goes_on_and_is_not_made_twice(house: House) -> None:
    await house.adopt(a_rule(publish=(CHECK,)), an_agent())
    task = await house.queued()
    await ask(house, task)
    await rerunning(house).attend_due()
    assert [each.id for each in await on_head(house)] == [task.id]
    known, _ = await house.deliveries.page(limit=10)
    assert {each.via for each in known} == {Via.WEBHOOK}


async def test_a_button_on_a_check_asks_for_it_again_as_well(house: House) -> None:
    task = await ended(house, TaskState.COMPLETED)
    await ask(house, task, action="requested_action")
    await rerunning(house).attend_due()
    assert len(await on_head(house)) == 2


async def test_what_cannot_be_made_again_is_concluded_with_the_reason(house: House) -> None:
    task = await ended(house, TaskState.COMPLETED)
    house.policies.clear()
    await ask(house, task)
    await rerunning(house).attend_due()
    await house.publish()
    (run,) = house.github.state.check_runs
    assert run.conclusion == "neutral"
    assert "no rule" in (run.summary or "")
    assert len(await on_head(house)) == 1


async def test_what_the_rule_does_not_ask_for_any_more_is_concluded_with_the_reason(
    house: House,
) -> None:
    """GitHub had taken its conclusion away, and nothing ever gave it one again."""
    task = await ended(house, TaskState.COMPLETED)
    house.policies.clear()
    await house.adopt(a_rule(publish=(CHECK,), on=("pull_request.closed",)), an_agent())
    await ask(house, task)
    await rerunning(house).attend_due()
    await house.publish()
    (run,) = house.github.state.check_runs
    assert run.conclusion == "neutral"
    assert "does not ask for it" in (run.summary or "")
    assert len(await on_head(house)) == 1


async def test_a_suite_leaves_alone_what_shows_no_check(house: House) -> None:
    task = await ended(house, TaskState.COMPLETED, COMMENT)
    await ask(house, task, suite=True)
    await rerunning(house).attend_due()
    assert len(await on_head(house)) == 1


async def test_a_check_of_somebody_else_starts_nothing(house: House) -> None:
    task = await ended(house, TaskState.COMPLETED)
    await ask(house, task, external_id="whatever.1")
    await ask(house, task, external_id="")
    assert await rerunning(house).attend_due() == 1
    assert len(await on_head(house)) == 1


async def test_covend_that_takes_nothing_in_asks_again_later_and_gives_up_in_the_end(
    house: House,
) -> None:
    task = await ended(house, TaskState.COMPLETED)
    await ask(house, task)
    house.is_open = False
    loop = rerunning(house)
    assert await loop.attend_due() == 1
    assert await loop.attend_due() == 0
    due = await StoredReruns(house.connection).next_due_at(house.clock.now())
    assert due is not None
    assert due > house.clock.now()
    house.clock.turn(s=GIVE_UP_MS / 1000 + 1)
    await loop.attend_due()
    await house.publish()
    (run,) = house.github.state.check_runs
    assert (run.status, run.conclusion) == ("completed", "neutral")
    house.is_open = True
    house.clock.turn(s=GIVE_UP_MS / 1000)
    assert await loop.attend_due() == 0
    assert len(await on_head(house)) == 1
