from __future__ import annotations

import json
import os
import pty
import subprocess
import termios
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from rich.console import Console
from rich.text import Text

from covend.cli import top
from covend.cli.glance import show as show_glance
from covend.cli.render import PlainScreen
from tests.cli.operator_desk import COVEND, Operator
from tests.cli.test_show import HARMFUL, RAW, without_colours

NOW = "2026-09-21T14:14:00.000Z"


def glance(**stats: object) -> dict[str, Any]:
    """What was seen, with changes to its sizes."""
    sizes = {
        "state": "ready",
        "version": "1",
        "now": NOW,
        "tasks": {"received": 0, "queued": 0, "running": 0},
        "effects": {"pending": 0},
        "queue_oldest_seconds": 0.0,
    }
    return {"stats": sizes | stats, "running": [], "waiting": [], "safeguards": []}


def printed(seen: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> str:
    show_glance(seen, PlainScreen())
    return capsys.readouterr().out


async def test_once_tells_what_runs_what_waits_and_why(operator: Operator) -> None:
    running = await operator.desk.arrive()
    await operator.desk.claim()
    waiting = await operator.desk.arrive()
    done = await operator.run("top", "--once")
    assert done.exit_code == 0, done.output
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[0][:2] == ["covend", "ready"]
    assert ["running", "1"] in lines
    assert ["waiting", "1"] in lines
    first = next(line for line in lines if line[:1] == [running])
    assert first[1::2][:2] == ["review", "echo"]
    assert first[2].startswith("acme/")
    assert first[4] == "checkout"
    assert any(line[:1] == [waiting] for line in lines)


async def test_where_there_is_no_terminal_it_looks_once(operator: Operator) -> None:
    done = await operator.run("top")
    assert done.exit_code == 0
    assert done.stdout.startswith("covend  ready")


async def test_json_is_one_look_in_full(operator: Operator) -> None:
    task = await operator.desk.arrive()
    await operator.desk.claim()
    found = json.loads((await operator.run("top", "--json")).stdout)
    assert found.keys() == {"stats", "running", "waiting", "safeguards"}
    assert found["stats"]["tasks"]["running"] == 1
    (running,) = found["running"]
    assert running["id"] == task
    assert (running["agent"], running["attempt"]) == ("echo", 1)
    assert running["started_at"].endswith("Z")


async def test_what_holds_work_back_is_told_with_its_words(operator: Operator) -> None:
    await operator.desk.arrive()
    await operator.run("pause", "--why", "to look into it")
    done = await operator.run("top", "--once")
    assert "held back by  1" in done.stdout
    assert "to look into it" in done.stdout


def test_what_is_used_up_is_told_of_its_whole(capsys: pytest.CaptureFixture[str]) -> None:
    seen = glance(
        slots={"used": 3, "total": 4},
        money={"today_usd": 1.5, "cap_usd": 50.0},
        github={"remaining": 4000, "limit": 5000, "reset_at": NOW},
    )
    told = printed(seen, capsys)
    assert "[###############.....] 3 of 4" in told
    assert "$1.50 of $50.00" in told
    assert f"4000 of 5000 requests left, again full {NOW}" in told


def test_what_nobody_has_told_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    told = printed(glance(github={"remaining": None, "limit": None, "reset_at": None}), capsys)
    assert "github" not in told
    assert "slots" not in told
    assert "oldest" not in told


def test_money_without_a_budget_has_no_whole(capsys: pytest.CaptureFixture[str]) -> None:
    told = printed(glance(money={"today_usd": 0.25, "cap_usd": None}), capsys)
    assert "$0.25 (no limits.budget_usd_per_day)" in told


def test_more_than_is_shown_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    seen = glance(tasks={"received": 1, "queued": 40, "running": 0})
    one = {"id": "a", "rule": "r", "subject": "s", "reason": "x", "explanation": "y"}
    seen["waiting"] = [one | {"not_before": None}] * 20
    assert "waiting  20 of 41" in printed(seen, capsys)


async def test_a_covend_that_does_not_answer_is_told_as_everywhere(operator: Operator) -> None:
    operator.config.write_text('state_dir = "."\n[admin]\nlisten = "127.0.0.1:1"\n')
    done = await operator.run("top")
    assert done.exit_code == 69
    assert "is it running?" in done.stderr


# --- on a terminal --------------------------------------------------------------------------------


def watch(config: Path, key: bytes, until: bytes) -> tuple[str, int, bool]:
    """Watch on a terminal until a word is there, then press a key; give what was shown, the exit
    code, and whether the terminal is again what it was.
    """
    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    environ = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "160", "LINES": "40"}
    args = [*COVEND, "top", "--config", str(config)]
    # A session of its own, with the terminal as its own: as when somebody types.
    with subprocess.Popen(
        ["setsid", "--ctty", *args], stdin=theirs, stdout=theirs, stderr=theirs, env=environ
    ) as process:
        shown = b""
        while until not in shown:
            shown += os.read(ours, 1 << 16)
        os.write(ours, key)
        code = process.wait(timeout=30)
    is_as_before = termios.tcgetattr(theirs)[3] == before[3]
    os.close(theirs)
    os.close(ours)
    return without_colours(shown.decode()), code, is_as_before


@pytest.mark.parametrize("key", [b"q", b"\x03"], ids=["q", "interrupt"])
async def test_a_key_ends_it_and_leaves_the_terminal_as_it_was(
    operator: Operator, key: bytes
) -> None:
    task = await operator.desk.arrive()
    seen = partial(watch, operator.config, key, b"q ends")
    shown, code, is_as_before = await anyio.to_thread.run_sync(seen)
    assert task in shown
    assert code == 0
    assert is_as_before


def test_words_of_strangers_move_no_cursor() -> None:
    seen = glance()
    one = {"id": "a", "rule": "r", "subject": RAW, "reason": "x", "explanation": RAW}
    seen["waiting"] = [one | {"not_before": None}]
    drawn = top.picture(seen, RAW, Console(width=400))
    assert isinstance(drawn, Text)
    assert HARMFUL.search(drawn.plain) is None
    assert "\\x1b]0;owned" in drawn.plain


async def test_it_looks_again_while_nobody_presses_a_key(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second look is there where a task has come between the two."""
    monkeypatch.setattr(top, "LOOK_S", 0.0)
    looks: list[int] = []

    def look(_client: object) -> dict[str, Any]:
        looks.append(1)
        return glance()

    monkeypatch.setattr("covend.cli.glance.take", look)
    monkeypatch.setattr(top, "_without_keys", lambda: len(looks) == 3)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    top.watch(object())  # type: ignore[arg-type]
    assert len(looks) == 3
