"""Out of `received` comes only what its rule still wants; what cannot be looked up waits, and is
refused where it is about a permission.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import anyio
import pytest

from covend.core.errors import StoreBusyError
from covend.core.model import Moment, Need, Subject, Task, TaskId
from covend.core.settings import Policy, Rule, When
from covend.core.states import DeliveryState, TaskState
from covend.demo import payloads
from covend.demo.github import FOREVER, Fault
from covend.demo.records import Account
from covend.services.side_by_side import SideBySide
from covend.services.wakeups import Wakeup
from covend.store.tasks import StoredTasks
from tests.services.house import AT_ONCE, House, a_rule, an_agent, an_ending

STRANGER = Account(login="passing-by", id=77)
COMMAND = "issue_comment.created"
WITHIN_S = 10.0


def on_paths(*globs: str) -> Rule:
    return a_rule(when=When(paths=globs))


def on_command(**changes: object) -> Rule:
    return a_rule(
        name="ask", on=("command.review",), allow=("admin", "maintain", "write"), **changes
    )


async def judged(
    house: House, rule: Rule, event: str = "pull_request.opened", **scene: object
) -> Task:
    """Let one task of this rule be looked at once."""
    await house.adopt(rule, an_agent())
    return await house.queued(event=event, **scene)


async def ripe(house: House, task: Task) -> None:
    """Look whenever the queue's bell rings."""
    with anyio.fail_after(WITHIN_S):
        while (await house.story(task.id)).task.state is not TaskState.QUEUED:
            await house.wakeups.queued.wait(WITHIN_S)


def hide(house: House) -> None:
    del house.till.pulls[7]


def close(house: House) -> None:
    house.till.pulls[7] = replace(house.till.pulls[7], state="closed")


async def test_changed_paths_are_looked_up_and_let_a_task_ripen(house: House) -> None:
    task = await judged(house, on_paths("src/**"))
    assert (task.state, task.reason) == (TaskState.QUEUED, "ripe")
    assert task.needs == frozenset()


async def test_changed_paths_that_do_not_match_refuse(house: House) -> None:
    task = await judged(house, on_paths("docs/**"))
    assert (task.state, task.reason) == (TaskState.IGNORED, "when.paths")
    assert task.finished_at is not None


async def test_a_rule_that_asks_for_nothing_is_queued_at_once(house: House) -> None:
    await house.adopt(a_rule(), an_agent())
    assert (await house.task()).state is TaskState.QUEUED


async def test_a_command_gets_the_head_that_its_payload_lacks(house: House) -> None:
    task = await judged(house, on_command(), COMMAND, sender=payloads.MAINTAINER)
    live = house.till.live_pull(7)
    assert task.state is TaskState.QUEUED
    assert (task.subject.head_sha, task.subject.base_sha) == (live.head_sha, live.base_sha)
    assert (task.subject.head_ref, task.subject.base_ref) == (live.head_ref, live.base_ref)


@pytest.mark.parametrize("role", ["read", "triage", None])
async def test_whoever_may_not_ask_is_refused(house: House, role: str | None) -> None:
    house.github.add_account(STRANGER)
    house.till.roles.pop(STRANGER.login, None)
    if role is not None:
        house.till.roles[STRANGER.login] = role
    task = await judged(house, on_command(), COMMAND, sender=STRANGER)
    assert (task.state, task.reason) == (TaskState.IGNORED, "allow")


async def test_whoever_may_is_not_refused(house: House) -> None:
    house.github.add_account(STRANGER)
    house.till.roles[STRANGER.login] = "admin"
    task = await judged(house, on_command(), COMMAND, sender=STRANGER)
    assert task.state is TaskState.QUEUED


@pytest.mark.parametrize("fault", [Fault.ERROR_500, Fault.RESET, Fault.RATE_LIMITED_429])
async def test_a_permission_that_cannot_be_looked_up_is_none(house: House, fault: Fault) -> None:
    house.github.faults.add("GET", "*/permission", fault, FOREVER)
    task = await judged(house, on_command(), COMMAND, sender=payloads.MAINTAINER)
    assert (task.state, task.reason) == (TaskState.IGNORED, "permission_unknown")
    assert payloads.MAINTAINER.login in (task.error_message or "")


async def test_a_person_whom_github_does_not_know_may_nothing(house: House) -> None:
    task = await judged(house, on_command(), COMMAND, sender=STRANGER)
    assert (task.state, task.reason) == (TaskState.IGNORED, "permission_unknown")


async def test_covends_own_comment_starts_nothing(house: House) -> None:
    await house.adopt(on_command(), an_agent())
    kept = await house.deliver(COMMAND, sender=house.github.state.app.bot)
    assert (kept.state, kept.reason, kept.tasks) == (DeliveryState.IGNORED, "own_event", ())


@pytest.mark.parametrize("fault", [Fault.ERROR_500, Fault.RESET])
async def test_while_github_is_down_a_task_waits_and_says_why(house: House, fault: Fault) -> None:
    house.github.faults.add("GET", "*/files", fault, FOREVER)
    task = await judged(house, on_paths("src/**"))
    assert (task.state, task.reason) == (TaskState.RECEIVED, "look_up: github_unreachable")
    assert task.not_before_at > house.clock.now()

    house.github.faults.clear()
    await house.ripen()
    assert (await house.story(task.id)).task.state is TaskState.RECEIVED

    house.clock.turn(s=(task.not_before_at - house.clock.now()) / 1000)
    await house.ripen()
    assert (await house.story(task.id)).task.state is TaskState.QUEUED


async def test_a_task_that_waits_asks_less_and_less_often(house: House) -> None:
    house.github.faults.add("GET", "*/files", Fault.ERROR_500, FOREVER)
    task = await judged(house, on_paths("src/**"))
    waits = []
    for _ in range(4):
        waits.append(task.not_before_at - house.clock.now())
        house.clock.turn(s=waits[-1] / 1000)
        await house.ripen()
        task = (await house.story(task.id)).task
    assert waits == [5_000, 5_000, 10_000, 20_000]


async def test_a_limit_of_github_sets_the_moment_of_the_next_look(house: House) -> None:
    house.github.faults.add("GET", "*/files", Fault.RATE_LIMITED_429, seconds=45)
    task = await judged(house, on_paths("src/**"))
    assert task.not_before_at == house.clock.now() + 45_000
    assert task.reason == "look_up: github_rate_limited"


async def test_after_a_day_without_github_a_task_is_given_up(house: House) -> None:
    house.github.faults.add("GET", "*/files", Fault.ERROR_500, FOREVER)
    task = await judged(house, on_paths("src/**"))
    for _ in range(25):
        assert (await house.story(task.id)).task.state is TaskState.RECEIVED
        house.clock.turn(s=3600)
        await house.ripen()
    given_up = (await house.story(task.id)).task
    assert (given_up.state, given_up.reason) == (TaskState.IGNORED, "look_up_failed")


async def test_a_covend_that_stood_still_for_a_day_gives_up_nothing_by_its_first_look(
    house: House,
) -> None:
    house.github.faults.add("GET", "*/files", Fault.ERROR_500, 2)
    task = await judged(house, on_paths("src/**"))
    house.clock.turn(s=60 * 3600)
    await house.ripen()
    assert (await house.story(task.id)).task.state is TaskState.RECEIVED
    house.clock.turn(s=300)
    await house.ripen()
    assert (await house.story(task.id)).task.state is not TaskState.RECEIVED


@pytest.mark.parametrize(("change", "reason"), [(hide, "subject_gone"), (close, "closed")])
async def test_a_subject_that_is_not_open_any_more_refuses(
    house: House, change: Callable[[House], None], reason: str
) -> None:
    await house.adopt(on_command(), an_agent())
    task = await house.task(COMMAND, sender=payloads.MAINTAINER)
    assert task.needs == {Need.HEAD, Need.PERMISSION}
    change(house)
    await house.ripen()
    refused = (await house.story(task.id)).task
    assert (refused.state, refused.reason) == (TaskState.IGNORED, reason)


async def test_what_follows_a_task_is_looked_up_by_what_covend_told_itself(house: House) -> None:
    await house.adopt(a_rule(), an_agent())
    parent = await house.task()
    follow = a_rule(name="follow", on=("task.completed",), when=When(paths=("src/**",)))
    await house.adopt(follow, an_agent())
    arrival = house.following().arrival(parent, an_ending(), TaskState.COMPLETED)
    assert arrival is not None
    (made,) = (await house.deliveries.accept(arrival)).tasks
    task = (await house.story(made)).task
    assert (task.needs, task.parent, task.depth) == (frozenset({Need.PATHS}), parent.id, 1)
    await house.ripen()
    assert (await house.story(made)).task.state is TaskState.QUEUED


async def test_a_delivery_of_a_source_that_is_gone_refuses(house: House) -> None:
    await house.adopt(on_paths("src/**"), an_agent())
    task = await house.task()
    house.meddle("UPDATE deliveries SET source = 'elsewhere'")
    await house.ripen()
    refused = (await house.story(task.id)).task
    assert (refused.state, refused.reason) == (TaskState.IGNORED, "delivery_gone")


async def test_a_task_that_only_waited_for_others_like_it_needs_no_look_up(house: House) -> None:
    await house.adopt(a_rule(debounce_s=5.0), an_agent())
    task = await house.task()
    assert (task.state, task.reason) == (TaskState.RECEIVED, "debounce")
    house.meddle("UPDATE deliveries SET source = 'elsewhere'")
    house.clock.turn(s=5)
    await house.ripen()
    assert (await house.story(task.id)).task.state is TaskState.QUEUED


async def test_a_refused_task_gives_its_key_free(house: House) -> None:
    rule = a_rule(on=("pull_request",), when=When(paths=("docs/**",)))
    refused = await judged(house, rule)
    again = await house.task("pull_request.reopened")
    assert again.id != refused.id
    assert again.key == refused.key


async def test_a_slow_look_up_holds_up_nobody_else(house: House) -> None:
    """Everything waited for the slowest request of a round."""
    await house.adopt(on_paths("**"), an_agent())
    held = house.github.faults.add("GET", "*/pulls/7/files", Fault.HELD)
    ripening = house.ripening()
    async with anyio.create_task_group() as group:
        group.start_soon(ripening.run)
        slow = await house.task()
        await held.reached.wait()
        quick = await house.task(number=house.open_pull().number)
        house.wakeups.received.wake()
        await ripe(house, quick)
        assert (await house.story(slow.id)).task.state is TaskState.RECEIVED
        held.release()
        await ripe(house, slow)
        group.cancel_scope.cancel()


class Busy(StoredTasks):
    """A store that another program holds for a moment."""

    def __init__(self, house: House) -> None:
        super().__init__(house.connection)
        self.refusals = 1

    async def ripen(self, task: TaskId, subject: Subject, now: Moment, **changed: Any) -> bool:
        if self.refusals:
            self.refusals -= 1
            raise StoreBusyError
        return await super().ripen(task, subject, now, **changed)


async def test_a_busy_store_does_not_end_the_ripening(house: House) -> None:
    await house.adopt(on_paths("**"), an_agent())
    task, busy = await house.task(), Busy(house)
    async with anyio.create_task_group() as group:
        group.start_soon(house.ripening(busy).run)
        await ripe(house, task)
        group.cancel_scope.cancel()
    assert busy.refusals == 0


class Faulty(StoredTasks):
    """A store of some tasks of which covend makes a wrong use."""

    def __init__(self, house: House, faulty: Sequence[str]) -> None:
        super().__init__(house.connection)
        self._faulty = faulty

    async def policy_of(self, task: Task) -> Policy:
        if task.id in self._faulty:
            raise RuntimeError("a fault of covend's own")
        return await super().policy_of(task)


async def test_a_fault_of_covend_puts_off_its_own_task_alone(house: House) -> None:
    """Eight such tasks kept all places, one round after the other."""
    await house.adopt(on_paths("**"), an_agent())
    numbers = [house.open_pull().number for _ in range(AT_ONCE)]
    faulty = [(await house.task(number=number)).id for number in numbers]
    house.clock.turn(s=1)
    good = await house.task()
    async with anyio.create_task_group() as group:
        group.start_soon(house.ripening(Faulty(house, faulty)).run)
        await ripe(house, good)
        group.cancel_scope.cancel()
    for task in faulty:
        put_off = (await house.story(task)).task
        assert (put_off.state, put_off.reason) == (TaskState.RECEIVED, "fault")
        assert put_off.not_before_at > house.clock.now()


async def test_after_a_day_of_faults_a_task_is_given_up(house: House) -> None:
    await house.adopt(on_paths("**"), an_agent())
    task = await house.task()
    house.clock.turn(s=25 * 3600)
    ripening = house.ripening(Faulty(house, [task.id]))
    async with anyio.create_task_group() as group:
        await ripening.ripen_due(SideBySide(group, at_once=AT_ONCE, bell=Wakeup()))
    given_up = (await house.story(task.id)).task
    assert (given_up.state, given_up.reason) == (TaskState.IGNORED, "fault")
