from __future__ import annotations

import json

import pytest

from covend.core.model import TaskId
from tests.cli.operator_desk import Operator


async def state(operator: Operator, task: TaskId) -> str:
    return str((await operator.desk.get(f"tasks/{task}"))["state"])


async def test_cancel_says_what_became_of_each_task(operator: Operator) -> None:
    running = await operator.desk.arrive()
    await operator.desk.claim()
    waiting = await operator.desk.arrive()
    done = await operator.run("cancel", waiting, running, "--reason", "wrong branch")
    assert done.exit_code == 0
    head, first, second = (line.split(maxsplit=2) for line in done.stdout.splitlines())
    assert head == ["TASK", "STATE", "WHY"]
    assert first == [waiting, "cancelled", "operator: wrong branch"]
    assert second == [running, "stopping", "its agent is asked to stop"]
    assert operator.desk.stopped == [running]
    assert await state(operator, waiting) == "cancelled"


async def test_to_cancel_twice_is_to_cancel_once(operator: Operator) -> None:
    task = await operator.desk.arrive()
    for _ in range(2):
        assert (await operator.run("cancel", task, task)).exit_code == 0


async def test_one_that_cannot_be_cancelled_keeps_no_other_from_it(operator: Operator) -> None:
    ended = await operator.desk.arrive()
    await operator.desk.complete(await operator.desk.claim())
    waiting = await operator.desk.arrive()
    done = await operator.run("cancel", "zzz", ended, waiting)
    assert done.exit_code == 1
    assert done.stderr.splitlines() == [
        "covend: There is no task zzz.",
        f"covend: Task {ended} is completed: there is nothing to cancel. (already_ended)",
    ]
    assert await state(operator, waiting) == "cancelled"


async def test_json_has_what_went_well_and_what_did_not(operator: Operator) -> None:
    task = await operator.desk.arrive()
    done = await operator.run("cancel", task, "zzz", "--json")
    said = json.loads(done.stdout)
    assert [(item["id"], item["state"]) for item in said["items"]] == [(task, "cancelled")]
    assert said["errors"] == [{"task": "zzz", "message": "There is no task zzz."}]
    assert done.exit_code == 1


async def test_a_beginning_that_is_unique_will_do(operator: Operator) -> None:
    task = await operator.desk.arrive()
    assert (await operator.run("cancel", task[:8])).exit_code == 0
    assert await state(operator, task) == "cancelled"


async def test_a_beginning_of_several_cancels_none_of_them(operator: Operator) -> None:
    one, two = await operator.desk.arrive(), await operator.desk.arrive()
    done = await operator.run("cancel", one[:4])
    assert done.exit_code == 2
    assert "beginning of several tasks" in done.stderr
    assert [await state(operator, each) for each in (one, two)] == ["queued", "queued"]


@pytest.mark.parametrize("args", [[], ["--reason", "x"]])
async def test_cancel_wants_a_task(operator: Operator, args: list[str]) -> None:
    assert (await operator.run("cancel", *args)).exit_code == 2


async def test_without_a_daemon_nothing_is_tried_twice(operator: Operator) -> None:
    await operator.desk.runner.cleanup()
    done = await operator.run("cancel", "a", "b")
    assert done.exit_code == 69
    assert len(done.stderr.splitlines()) == 1


async def test_with_a_wrong_token_nothing_is_cancelled(operator: Operator) -> None:
    task = await operator.desk.arrive()
    assert (await operator.run("cancel", task, COVEND_ADMIN_TOKEN="wrong")).exit_code == 77
    assert await state(operator, task) == "queued"


@pytest.mark.parametrize(
    "args", [("show", "\udcff"), ("logs", "\udcff"), ("cancel", "\udcff", "--reason", "\udcff")]
)
async def test_what_is_no_text_is_the_name_of_nothing(
    operator: Operator, args: tuple[str, ...]
) -> None:
    done = await operator.run(*args)
    assert (done.exit_code, done.stderr.startswith("covend: There is no ")) == (1, True)


async def test_a_reason_that_is_no_text_is_kept_as_far_as_it_is(operator: Operator) -> None:
    task = await operator.desk.arrive()
    assert (await operator.run("cancel", task, "--reason", "odd \udcff")).exit_code == 0
    assert (await operator.desk.get(f"tasks/{task}"))["reason"] == "operator: odd ?"
