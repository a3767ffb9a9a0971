"""`covend logs`, by HTTP on loopback: what it prints, and where it goes on."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from covend.cli import logs
from covend.core.model import Claim
from covend.core.states import Outcome, TaskState
from covend.edges.agents.output import Stream
from covend.store.protocol import Settlement
from tests.cli.operator_desk import COVEND, Operator
from tests.cli.test_show import HARMFUL, RAW, without_colours
from tests.store.arrivals import NOW
from tests.web.test_admin_cancel import again
from tests.web.test_admin_streams import failure, open_log, running

WITHIN_S = 30.0


async def printed(operator: Operator, *texts: str) -> Claim:
    """A running attempt that has printed."""
    claim = await running(operator.desk)
    with open_log(operator.desk, claim.task.id) as log:
        for text in texts:
            log.write(Stream.OUT, text)
        log.write(Stream.ERROR, "oh")
    return claim


async def settle(operator: Operator, claim: Claim, settlement: Settlement) -> None:
    await operator.desk.tasks.settle(claim, settlement, NOW)
    operator.desk.wakeups.followers.wake(claim.task.id)


class Following:
    """`covend logs -f` as a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def line(self) -> str:
        assert self.process.stdout is not None
        raw = await asyncio.wait_for(self.process.stdout.readline(), WITHIN_S)
        return raw.decode().rstrip("\n")

    async def end(self) -> tuple[int, str, str]:
        """Exit code, the rest of standard output, and standard error."""
        out, error = await asyncio.wait_for(self.process.communicate(), WITHIN_S)
        assert self.process.returncode is not None
        return self.process.returncode, out.decode(), error.decode()


@asynccontextmanager
async def following(operator: Operator, *args: str) -> AsyncIterator[Following]:
    process = await asyncio.create_subprocess_exec(
        *COVEND,
        *("logs", "-f", *args, "--config", str(operator.config)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        limit=1 << 24,
    )
    try:
        yield Following(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


# --- what was printed -----------------------------------------------------------------------------


async def test_logs_prints_the_text_of_the_newest_attempt(operator: Operator) -> None:
    claim = await printed(operator, "old")
    await settle(operator, claim, again())
    newer = await operator.desk.claim(at=NOW + 10_000)
    with open_log(operator.desk, newer.task.id, 2) as log:
        log.write(Stream.OUT, "\tnew  é")
    task = claim.task.id
    assert (await operator.run("logs", task)).output == "    new  é\n"
    assert (await operator.run("logs", task, "--attempt", "1")).output == "old\noh\n"


async def test_logs_takes_a_unique_beginning_of_an_id(operator: Operator) -> None:
    claim = await printed(operator, "one")
    assert (await operator.run("logs", claim.task.id[:8])).stdout == "one\noh\n"


async def test_a_log_of_many_pages_is_printed_whole(operator: Operator) -> None:
    claim = await printed(operator, *(f"{number} {'x' * 1000}" for number in range(3000)))
    done = await operator.run("logs", claim.task.id)
    assert [line.split()[0] for line in done.stdout.splitlines()] == [*map(str, range(3000)), "oh"]


async def test_json_is_an_object_a_line_and_says_where_to_go_on(operator: Operator) -> None:
    claim = await printed(operator, "one", RAW)
    done = await operator.run("logs", claim.task.id, "--json")
    assert not HARMFUL.search(done.stdout)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(line["attempt"], line["stream"], line["text"]) for line in lines] == [
        (1, "stdout", "one"),
        (1, "stdout", RAW),
        (1, "stderr", "oh"),
    ]
    since = str(lines[1]["next_offset"])
    assert (await operator.run("logs", claim.task.id, "--since", since)).stdout == "oh\n"


async def test_what_an_agent_prints_is_made_harmless(operator: Operator) -> None:
    claim = await printed(operator, RAW)
    done = await operator.run("logs", claim.task.id)
    assert not HARMFUL.search(done.stdout)
    assert "\\x1b]0;owned\\x07" in done.stdout
    seen = without_colours(await operator.see("logs", claim.task.id))
    assert not HARMFUL.search(seen)
    assert "\\x1b]0;owned\\x07" in seen


async def test_raw_is_what_the_agent_printed(operator: Operator) -> None:
    claim = await printed(operator, RAW)
    done = await operator.run("logs", claim.task.id, "--raw")
    assert done.stdout_bytes == f"{RAW}\noh\n".encode()
    assert RAW in await operator.see("logs", claim.task.id, "--raw")


async def test_a_terminal_shows_time_and_stream(operator: Operator) -> None:
    claim = await printed(operator, "one")
    seen = await operator.see("logs", claim.task.id, TZ="UTC")
    assert without_colours(seen) == "14:13:20 out one\n14:13:20 err oh\n"
    assert "\x1b[33merr" in seen
    assert "\x1b" not in await operator.see("logs", claim.task.id, NO_COLOR="1")


async def test_a_task_that_has_not_begun_has_printed_nothing(operator: Operator) -> None:
    task = await operator.desk.arrive()
    done = await operator.run("logs", task)
    assert (done.exit_code, done.stdout) == (0, "")
    assert "queued" in done.stderr


@pytest.mark.parametrize(
    ("args", "exit_code"),
    [
        (["zzz"], 1),
        (["zzz", "-f"], 1),
        (["0", "--raw", "--json"], 2),
        (["0", "--attempt", "0"], 2),
        (["0", "--since", "-1"], 2),
        ([], 2),
    ],
)
async def test_what_cannot_be_printed_is_refused(
    operator: Operator, args: list[str], exit_code: int
) -> None:
    assert (await operator.run("logs", *args)).exit_code == exit_code


async def test_an_attempt_that_was_not_made_is_not_found(operator: Operator) -> None:
    claim = await printed(operator)
    done = await operator.run("logs", claim.task.id, "--attempt", "7")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "no attempt 7" in done.stderr


# --- what is being printed ------------------------------------------------------------------------


async def test_a_follower_sees_lines_come_also_of_the_next_attempt(operator: Operator) -> None:
    claim = await printed(operator, "one")
    desk, task = operator.desk, claim.task.id
    first, _ = (await desk.get(f"tasks/{task}/attempts/1/log"))["items"]
    async with following(operator, task, "--since", str(first["next_offset"])) as follower:
        assert await follower.line() == "oh"
        with open_log(desk, task) as log:
            log.write(Stream.OUT, "two")
        assert await follower.line() == "two"
        await settle(operator, claim, again())
        newer = await desk.claim(at=NOW + 10_000)
        with open_log(desk, task, 2) as log:
            log.write(Stream.OUT, "three")
        assert await follower.line() == "three"
        await settle(operator, newer, failure())
        code, rest, told = await follower.end()
    assert (code, rest) == (0, "")
    assert told.splitlines() == [
        "covend: attempt 1 has ended: failed (exit_code)",
        "covend: attempt 2 has ended: failed (exit_code)",
        "covend: the task is failed",
    ]


async def test_one_attempt_can_be_followed_alone(operator: Operator) -> None:
    claim = await printed(operator, "one")
    await settle(operator, claim, again())
    done = await operator.run("logs", claim.task.id, "-f", "--attempt", "1")
    assert (done.exit_code, done.stdout) == (0, "one\noh\n")


async def test_an_end_is_not_told_twice(operator: Operator) -> None:
    claim = await printed(operator)
    failed = failure()
    ending = replace(failed.ending, outcome=Outcome.CANCELLED, error_code="cancelled")
    await settle(operator, claim, replace(failed, target=TaskState.CANCELLED, ending=ending))
    done = await operator.run("logs", claim.task.id, "-f")
    assert done.stderr.splitlines() == [
        "covend: attempt 1 has ended: cancelled",
        "covend: the task is cancelled",
    ]


async def test_a_task_that_is_cancelled_while_it_waits_ends_the_wait(operator: Operator) -> None:
    task = await operator.desk.arrive()
    async with following(operator, task) as follower:
        await operator.run("cancel", task)
        code, out, told = await follower.end()
    assert (code, out, told) == (0, "", "covend: the task is cancelled\n")


async def test_interrupting_a_follower_is_no_error(operator: Operator) -> None:
    claim = await printed(operator, "one")
    async with following(operator, claim.task.id) as follower:
        await follower.line()
        follower.process.send_signal(signal.SIGINT)
        code, _, told = await follower.end()
    assert (code, told) == (130, "")


async def test_a_reader_that_has_enough_is_no_error(operator: Operator) -> None:
    claim = await printed(operator, "one")
    command = f"{' '.join(COVEND)} logs -f {claim.task.id} --config {operator.config} | head -n 1"
    process = await asyncio.create_subprocess_shell(
        f"{command}; wait", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    with open_log(operator.desk, claim.task.id) as log:
        log.write(Stream.OUT, "two")
    await settle(operator, claim, failure())
    out, told = await asyncio.wait_for(process.communicate(), WITHIN_S)
    assert (out, b"Traceback" in told) == (b"one\n", False)


async def test_a_connection_that_breaks_is_made_anew_from_where_it_broke(
    operator: Operator,
) -> None:
    claim = await printed(operator, "one")
    async with following(operator, claim.task.id) as follower:
        assert [await follower.line(), await follower.line()] == ["one", "oh"]
        for connection in operator.desk.runner.server.connections:  # type: ignore[union-attr]
            connection.force_close()
        with open_log(operator.desk, claim.task.id) as log:
            log.write(Stream.OUT, "two")
        assert await follower.line() == "two"
        await settle(operator, claim, failure())
        code, rest, _ = await follower.end()
    assert (code, rest) == (0, "")


async def test_a_daemon_that_does_not_come_back_is_69_with_the_mend(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "WAITS_S", (0.0, 0.0))
    claim = await printed(operator, "one")
    waiting = asyncio.ensure_future(operator.run("logs", "-f", claim.task.id))
    async with asyncio.timeout(WITHIN_S):
        while operator.desk.streams.count == 0:  # noqa: ASYNC110  nobody rings for a reader
            await asyncio.sleep(0)
    await operator.desk.runner.cleanup()
    done: Any = await asyncio.wait_for(waiting, WITHIN_S)
    assert (done.exit_code, done.stdout) == (69, "one\noh\n")
    assert "is it running?  (covend serve --config" in done.stderr
