"""Each part of the benchmark of agents measures what it says, on a small scale."""

from __future__ import annotations

import asyncio
import json
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from covend.bench import agents, checkouts, endings, forge, starts
from covend.bench.figures import ratios
from covend.demo.git import git
from covend.edges.agents.cgroup import NoCgroupError

ROUNDS = 2
FIGURES = {"per_second", "lag_median_ms", "lag_p99_ms"}


def test_ratios_are_of_rounds_that_ran_next_to_each_other() -> None:
    assert ratios([2.0, 9.0, 4.0], [1.0, 3.0, 8.0]) == {"min": 0.5, "median": 2.0, "max": 3.0}


def test_every_contender_checks_the_large_repository_out() -> None:
    seconds = checkouts.measure(ROUNDS, files=50)
    assert {name: len(each) for name, each in seconds.items()} == {
        "second": ROUNDS,
        "full_clone": ROUNDS,
        "first": ROUNDS,
    }


def test_the_large_repository_has_its_files_and_its_history(tmp_path: Path) -> None:
    path = forge.build(tmp_path / "large.git", files=50).path
    files = git(path, "ls-tree", "-r", "--name-only", "refs/heads/main").splitlines()
    commits = git(path, "rev-list", "refs/heads/main").splitlines()
    assert (len(files), len(commits)) == (50, forge.COMMITS)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starts, "AT_ONCE", 2)


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("name", agents.NAMES)
def test_every_contender_starts_and_reaps(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    starts.main(name, 1 << 20)
    figures: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert set(figures) == FIGURES
    assert figures["per_second"] > 0


@pytest.mark.usefixtures("short")
async def test_a_loop_that_is_held_up_is_late_all_that_time() -> None:
    async def hold_up(seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            pass
        await asyncio.sleep(0)

    held = await starts.measure(partial(hold_up, 0.05))
    # Two at a time hold it for 100 ms: a timer that would have come meanwhile waits for half of it.
    assert held["lag_median_ms"] > 10 * starts.TICK_S * 1000


@pytest.mark.parametrize("way", agents.WAYS)
def test_every_escaper_is_ended(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endings, "TREES", 2)
    try:
        with endings.contained(way) as containment:
            figures = endings.measure(containment)
    except NoCgroupError:
        assert way == "cgroup"  # what this machine has not is left out
        return
    assert figures["per_second"] > 0
    assert figures["processes"] > 2 * endings.ESCAPERS


def test_the_report_says_what_it_is_a_ratio_of() -> None:
    three = {figure: [1.0, 2.0] for figure in FIGURES}
    started = dict.fromkeys(agents.STARTERS, three)
    ended = {"walk": {"per_second": [1.0, 2.0], "processes": [9.0, 9.0]}}
    done = {name: [3.0, 4.0] for name in ("second", "full_clone", "first")}
    report = agents.report_of(ROUNDS, started, ended, done)
    lines = list(agents.text_of(json.loads(json.dumps(report))))
    assert "  1.00 of the time of a full git clone  (from 1.00 to 1.00)" in lines
    assert not any("cgroups" in line for line in lines)
