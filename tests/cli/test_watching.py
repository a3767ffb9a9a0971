from __future__ import annotations

import json
import os
import pwd
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import anyio
import pytest

from covend import __version__
from covend.cli import watching
from covend.cli.client import Client, Event, Target
from covend.cli.exits import TRY_LATER, UNREACHABLE, Failure
from tests.cli.operator_desk import CLEAN, COVEND, Operator
from tests.web.stream_reader import until

NOWHERE = Target("127.0.0.1:1", "", "", "covend serve")


@contextmanager
def following(operator: Operator, *args: str) -> Iterator[subprocess.Popen[str]]:
    environ = {name: value for name, value in os.environ.items() if name not in CLEAN}
    command = [*COVEND, "events", *args, "--config", str(operator.config)]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)


async def lines_until(process: subprocess.Popen[str], operator: Operator, word: str) -> list[str]:
    """Let a task come as soon as it follows, and read until what is printed has a word."""
    assert process.stdout is not None
    await until(lambda: operator.desk.streams.count == 1)
    await operator.desk.arrive()
    lines: list[str] = []
    while not any(word in line for line in lines):
        lines.append(await anyio.to_thread.run_sync(process.stdout.readline))
        assert lines[-1], lines
    return lines


async def test_events_are_printed_as_they_happen(operator: Operator) -> None:
    with following(operator) as process:
        lines = await lines_until(process, operator, "task")
    assert process.returncode == 130
    assert any(" delivery " in line and "routed" in line for line in lines)
    assert any(" task " in line and " queued" in line for line in lines)


async def test_one_kind_is_an_object_a_line(operator: Operator) -> None:
    with following(operator, "--json", "--kind", "move") as process:
        lines = await lines_until(process, operator, "queued")
    told = [json.loads(line) for line in lines]
    assert {each["kind"] for each in told} == {"move"}
    assert {"task", "from", "to", "reason", "at", "rule", "repository"} <= told[-1].keys()


async def test_a_covend_that_is_not_there_is_told_at_once(operator: Operator) -> None:
    operator.config.write_text('state_dir = "."\n[admin]\nlisten = "127.0.0.1:1"\n')
    assert (await operator.run("events")).exit_code == UNREACHABLE


def test_a_connection_that_breaks_goes_on_from_where_it_broke(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[int | str | None] = []

    class Breaking(Client):
        def get(self, *path: str, **query: object) -> None:
            del path, query

        def follow(
            self, *path: str, last: int | str | None = None, **query: object
        ) -> Iterator[Event]:
            del path, query
            asked.append(last)
            if len(asked) == 3:
                raise KeyboardInterrupt
            data = {"id": f"d{len(asked)}", "event": "push", "action": None, "repository": "a/b"}
            more = {"state": "routed", "reason": "matched", "at": "2026-09-21T14:13:20.000Z"}
            yield Event("delivery", f"1-{len(asked)}", data | more)
            raise Failure(TRY_LATER, "later")

    monkeypatch.setattr(watching, "WAITS_S", (0.0,))
    with pytest.raises(KeyboardInterrupt):
        watching.follow(Breaking(NOWHERE), (), as_json=True)
    assert asked == [None, "1-1", "1-2"]
    assert [json.loads(line)["id"] for line in capsys.readouterr().out.splitlines()] == ["d1", "d2"]


async def test_the_audit_tells_who_asked_for_what(operator: Operator) -> None:
    await operator.desk.arrive()
    await operator.run("pause", "--why", "to look into it")
    done = await operator.run("audit")
    head, row = done.stdout.splitlines()
    assert head.split() == ["AT", "WHO", "VIA", "FROM", "VERB", "TARGET", "OUTCOME"]
    assert row.split()[1:] == ["operator", "api", "127.0.0.1", "pause", "all", "ok"]


async def test_the_audit_says_which_user_of_this_machine_asked(operator: Operator) -> None:
    await operator.run("pause")
    (row,) = (await operator.desk.get("audit"))["items"]
    user = pwd.getpwuid(os.getuid()).pw_name
    assert row["client"] == f"covend/{__version__} ({user})"


async def test_the_audit_is_narrowed_and_json_is_what_the_api_says(operator: Operator) -> None:
    task = await operator.desk.arrive()
    await operator.run("pause")
    await operator.run("cancel", task)
    found = json.loads((await operator.run("audit", "--verb", "cancel", "--json")).stdout)
    assert found == await operator.desk.get("audit?verb=cancel")
    assert [each["target"] for each in found["items"]] == [task]
    assert (await operator.run("audit", "--who", "nobody")).stdout == ""
