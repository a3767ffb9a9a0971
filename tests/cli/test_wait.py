from __future__ import annotations

import json
import signal

import anyio
import pytest
from aiohttp import web

from covend.cli import wait
from covend.core.ending import Ending, Result
from covend.core.model import Conclusion, TaskId
from covend.core.states import Outcome, TaskState
from covend.store.protocol import Settlement
from tests.cli.operator_desk import COVEND, Operator
from tests.store.arrivals import NOW
from tests.web.door import listening
from tests.web.test_admin_held import failed

WITHIN_S = 30.0


async def completed(operator: Operator, conclusion: Conclusion) -> TaskId:
    task = await operator.desk.arrive()
    ending = Ending(outcome=Outcome.SUCCEEDED, result=Result(conclusion=conclusion))
    settlement = Settlement(target=TaskState.COMPLETED, reason="succeeded", ending=ending)
    await operator.desk.tasks.settle(await operator.desk.claim(), settlement, NOW + 5_000)
    return task


@pytest.mark.parametrize(
    ("conclusion", "code"),
    [
        (Conclusion.SUCCESS, 0),
        (Conclusion.NEUTRAL, 0),
        (Conclusion.FAILURE, 1),
        (Conclusion.NEEDS_INPUT, 1),
    ],
)
async def test_the_exit_code_is_the_verdict(
    operator: Operator, conclusion: Conclusion, code: int
) -> None:
    task = await completed(operator, conclusion)
    done = await operator.run("wait", task[:20])
    assert (done.exit_code, done.stdout) == (code, f"{task}  completed  {conclusion}\n")


async def test_any_other_end_is_1(operator: Operator) -> None:
    task = await failed(operator.desk)
    done = await operator.run("wait", task)
    assert (done.exit_code, done.stdout) == (1, f"{task}  failed  exit_code\n")
    gone = await operator.desk.arrive()
    await operator.run("cancel", gone)
    done = await operator.run("wait", gone, "--json")
    assert (done.exit_code, json.loads(done.stdout)["state"]) == (1, "cancelled")


async def test_its_own_timeout_is_75_and_says_why_the_task_waits(operator: Operator) -> None:
    task = await operator.desk.arrive()
    done = await operator.run("wait", task, "--timeout", "300ms")
    assert (done.exit_code, done.stdout) == (75, "")
    assert done.stderr.splitlines() == [
        "queued: it runs as soon as a slot is free (`covend tasks --state running`)",
        "the time is over, and it is still queued",
    ]


async def test_it_ends_when_the_task_does(operator: Operator) -> None:
    task = await operator.desk.arrive()
    claim = await operator.desk.claim()
    with anyio.fail_after(WITHIN_S):
        async with anyio.create_task_group() as group:
            group.start_soon(operator.desk.complete, claim)
            done = await operator.run("wait", task, "--timeout", "20s")
    assert "the time is over" not in done.stderr
    assert (done.exit_code, done.stdout) == (0, f"{task}  completed  success\n")


async def test_a_task_that_is_not_there_is_not_waited_for(operator: Operator) -> None:
    done = await operator.run("wait", "zzz")
    assert (done.exit_code, done.stderr) == (1, "covend: There is no task zzz.\n")


@pytest.mark.parametrize("timeout", ["soon", "5", "-1s", ""])
async def test_what_is_no_duration_is_a_usage_error(operator: Operator, timeout: str) -> None:
    done = await operator.run("wait", "a", f"--timeout={timeout}")
    assert done.exit_code == 2
    assert "a whole number with ms, s, m, h or d" in done.stderr


class Restarting:
    """A covend that is gone for a while, and then has done the work."""

    def __init__(self, gone: int) -> None:
        self.gone = gone
        self.asked = 0

    async def answer(self, _request: web.BaseRequest) -> web.Response:
        self.asked += 1
        if self.asked == 1:
            return web.json_response(self._task("running", None))
        if self.asked <= 1 + self.gone:
            busy = {"error": {"code": "store_busy", "message": "Not now."}}
            return web.json_response(busy, status=503)
        return web.json_response(self._task("completed", "success"))

    def _task(self, state: str, conclusion: str | None) -> dict[str, object]:
        return {
            "id": "01a",
            "state": state,
            "reason": "claimed",
            "explanation": None,
            "conclusion": conclusion,
            "error": None,
        }


async def waited(operator: Operator, covend: Restarting, *args: str) -> int:
    async with listening(web.ServerRunner(web.Server(covend.answer))) as port:
        done = await operator.run("wait", "01a", *args, COVEND_ADMIN__LISTEN=f"127.0.0.1:{port}")
    return done.exit_code


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wait, "LOOKS_S", (0.01,))


@pytest.mark.usefixtures("hurried")
async def test_a_restart_of_covend_is_waited_out(operator: Operator) -> None:
    assert await waited(operator, Restarting(gone=3)) == 0


@pytest.mark.usefixtures("hurried")
async def test_a_covend_that_does_not_come_back_is_given_up(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wait, "MISSED_MAX", 3)
    covend = Restarting(gone=99)
    assert await waited(operator, covend) == 75
    assert covend.asked == 4


@pytest.mark.usefixtures("hurried")
async def test_while_covend_is_gone_the_time_runs_out_all_the_same(operator: Operator) -> None:
    assert await waited(operator, Restarting(gone=99), "--timeout", "100ms") == 75


async def test_ctrl_c_ends_the_waiting_and_not_the_task(operator: Operator) -> None:
    task = await operator.desk.arrive()
    command = [*COVEND, "wait", task, "--config", str(operator.config)]
    with anyio.fail_after(WITHIN_S):
        async with await anyio.open_process(command) as waiting:
            assert waiting.stderr is not None
            assert (await waiting.stderr.receive()).startswith(b"queued: ")
            waiting.send_signal(signal.SIGINT)
            assert await waiting.wait() == 130
    assert (await operator.desk.get(f"tasks/{task}"))["state"] == "queued"
