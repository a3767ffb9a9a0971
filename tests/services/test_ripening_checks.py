"""What is about all checks of a head waits until they are in, and is looked up once more then."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from covend.core.model import Need, Task
from covend.core.settings import When
from covend.core.states import DeliveryState, TaskState
from covend.demo.github import FOREVER, Fault
from covend.demo.records import CheckRun
from tests.services.arriving import another_app, arrive, asked, looked_at
from tests.services.house import House, a_rule, an_agent

SUITE = "check_suite.completed"


def saying(conclusion: str) -> Any:
    def change(payload: dict[str, Any]) -> None:
        payload["check_suite"]["conclusion"] = conclusion

    return change


def run(house: House, name: str, conclusion: str | None, *, own: bool = False) -> None:
    """A check run on the head; a newer one of the same name takes its place."""
    state = house.github.state
    made = CheckRun(
        id=next(state.ids),
        repository="acme/till",
        name=name,
        head_sha=house.till.live_pull(7).head_sha,
        app=state.app if own else another_app(house),
        suite_id=1,
        started_at=state.now(),
        status="in_progress" if conclusion is None else "completed",
        conclusion=conclusion,
        completed_at=None if conclusion is None else state.now(),
    )
    state.check_runs.append(made)


async def asked_by(house: House, on: str, conclusion: str = "success") -> Task:
    """A task that a check suite of another App asks for."""
    await house.adopt(a_rule(name="merge", on=(on,)), an_agent())
    task = await asked(house, SUITE, saying(conclusion), app=another_app(house))
    assert task.event == on
    assert task.needs == {Need.CHECKS}
    return task


async def test_all_checks_have_passed(house: House) -> None:
    run(house, "build", "success")
    run(house, "lint", "neutral")
    task = await looked_at(house, await asked_by(house, "checks.passed"))
    assert (task.state, task.reason, task.needs) == (TaskState.QUEUED, "ripe", frozenset())


async def test_a_check_that_is_not_in_is_waited_for(house: House) -> None:
    run(house, "build", "success")
    run(house, "lint", None)
    task = await looked_at(house, await asked_by(house, "checks.passed"))
    assert (task.state, task.reason) == (TaskState.RECEIVED, "checks_pending")
    assert task.not_before_at == house.clock.now() + 30_000

    run(house, "lint", "success")
    house.clock.turn(s=30)
    assert (await looked_at(house, task)).state is TaskState.QUEUED


async def test_it_is_looked_at_less_and_less_often(house: House) -> None:
    run(house, "build", None)
    task = await looked_at(house, await asked_by(house, "checks.passed"))
    waits = []
    for _ in range(7):
        waits.append((task.not_before_at - house.clock.now()) // 1000)
        house.clock.turn(s=waits[-1])
        task = await looked_at(house, task)
    assert waits == [30, 30, 60, 120, 240, 300, 300]


async def test_after_a_day_of_waiting_it_is_given_up(house: House) -> None:
    run(house, "build", None)
    task = await looked_at(house, await asked_by(house, "checks.passed"))
    for _ in range(25):
        assert task.state is TaskState.RECEIVED
        house.clock.turn(s=3600)
        task = await looked_at(house, task)
    assert (task.state, task.reason) == (TaskState.IGNORED, "checks_pending")
    assert "build" in (task.error_message or "")


@pytest.mark.parametrize(
    ("on", "said", "now", "reason"),
    [
        ("checks.passed", "success", "failure", "checks_failed"),
        ("checks.failed", "failure", "success", "checks_passed"),
    ],
)
async def test_checks_that_stand_otherwise_by_now_refuse_and_name_them(
    house: House, on: str, said: str, now: str, reason: str
) -> None:
    run(house, "build", now)
    task = await looked_at(house, await asked_by(house, on, said))
    assert (task.state, task.reason) == (TaskState.IGNORED, reason)
    assert (task.error_message or "").endswith(": build")


async def test_a_refusal_names_no_more_than_ten_checks(house: House) -> None:
    for number in range(12):
        run(house, f"build {number:02}", "failure")
    task = await looked_at(house, await asked_by(house, "checks.passed"))
    assert (task.error_message or "").endswith("build 09 and 2 more")


async def test_failed_checks_are_followed_by_who_wants_them(house: House) -> None:
    run(house, "build", "failure")
    task = await looked_at(house, await asked_by(house, "checks.failed", "failure"))
    assert task.state is TaskState.QUEUED


async def test_covends_own_check_holds_nobody_up(house: House) -> None:
    """It would wait for the very task that waits for it."""
    run(house, "build", "success")
    run(house, "covend/merge", None, own=True)
    task = await looked_at(house, await asked_by(house, "checks.passed"))
    assert task.state is TaskState.QUEUED


async def test_covends_own_suite_asks_for_nothing(house: House) -> None:
    await house.adopt(a_rule(name="merge", on=("checks", "check_suite")), an_agent())
    kept = await arrive(house, SUITE, saying("success"))
    assert (kept.state, kept.reason, kept.tasks) == (DeliveryState.IGNORED, "own_event", ())


async def test_a_second_check_of_the_head_asks_for_the_same_work(house: House) -> None:
    task = await asked_by(house, "checks.passed")
    again = await arrive(house, SUITE, saying("success"), app=another_app(house), serial=2)
    assert (again.tasks, again.reason) == ((task.id,), "same_work")


async def test_the_last_check_is_not_slept_over(house: House) -> None:
    """Its coming was no news to a task that waited, which then slept for up to five minutes."""
    run(house, "build", "success")
    run(house, "lint", None)
    task = await looked_at(house, await asked_by(house, "checks.passed"))
    assert task.not_before_at > house.clock.now()
    run(house, "lint", "success")
    await arrive(house, SUITE, saying("success"), app=another_app(house), serial=2)
    assert (await looked_at(house, task)).state is TaskState.QUEUED


async def test_a_check_that_comes_in_during_a_look_is_looked_at_after_it(house: House) -> None:
    run(house, "build", "success")
    run(house, "lint", None)
    held = house.github.faults.add("GET", "*/status", Fault.HELD)
    task = await asked_by(house, "checks.passed")
    async with anyio.create_task_group() as group:
        group.start_soon(looked_at, house, task)
        await held.reached.wait()
        run(house, "lint", "success")
        await arrive(house, SUITE, saying("success"), app=another_app(house), serial=2)
        held.release()
    assert (await looked_at(house, task)).state is TaskState.QUEUED


async def test_while_github_is_down_checks_are_waited_for_as_anything_else(house: House) -> None:
    house.github.faults.add("GET", "*/check-runs", Fault.ERROR_500, FOREVER)
    task = await looked_at(house, await asked_by(house, "checks.passed"))
    assert (task.state, task.reason) == (TaskState.RECEIVED, "look_up: github_unreachable")


async def test_what_the_rule_does_not_want_costs_no_look_at_the_checks(house: House) -> None:
    rule = a_rule(name="merge", on=("checks.passed",), when=When(paths=("docs/**",)))
    await house.adopt(rule, an_agent())
    task = await asked(house, SUITE, saying("success"), app=another_app(house))
    task = await looked_at(house, task)
    assert (task.state, task.reason) == (TaskState.IGNORED, "when.paths")
    assert not [each for each in house.github.requests if "/commits/" in each.path]
