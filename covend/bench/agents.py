"""What owning an agent costs: its checkout, its start and its end, each against the plain way.

1. A second checkout of a large repository against a full `git clone` (`checkouts`).
2. Agents started and reaped, 16 at once, against `asyncio.create_subprocess_exec` and against
   `subprocess.Popen` in a thread, and how late the event loop is meanwhile; the same from a process
   that has grown to 1 GiB (`starts`).
3. Trees of escapers ended, by each way that this machine has (`endings`).

Contenders of 2 and 3 are processes of their own; all of them take turns in one run. The verdicts
are ratios; seconds and milliseconds are printed beside them, for information.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping

from covend.bench import checkouts, endings, starts
from covend.bench.figures import Ratios, line, machine, ratios, say
from covend.bench.forge import COMMITS, FILES

GROWN_BYTES = 1 << 30
CONTENDER_S = 120.0
NAMES = ("covend", "asyncio", "popen")
STARTERS = {
    **{name: (name, 0) for name in NAMES},
    **{f"{name}_grown": (name, GROWN_BYTES) for name in NAMES},
}
WAYS = ("cgroup", "walk")
LAGS = ("lag_median_ms", "lag_p99_ms")
Figures = dict[str, dict[str, list[float]]]
"""By contender and figure, round by round."""


def main(*, as_json: bool, rounds: int) -> None:
    """Measure and print."""
    started = _in_turns("starts", STARTERS, rounds)
    ended = _in_turns("endings", {way: (way,) for way in WAYS}, rounds)
    # Far longer than the others, and far less shaken by what else runs.
    seconds = checkouts.measure((rounds + 1) // 2)
    report = report_of(rounds, started, ended, seconds)
    print(json.dumps(report) if as_json else "\n".join(text_of(report)))  # noqa: T201  its output


def _in_turns(part: str, contenders: Mapping[str, tuple[object, ...]], rounds: int) -> Figures:
    """Measure each contender once in each round; one that this machine cannot have is left out."""
    figures: Figures = {}
    for number in range(rounds):
        for name, arguments in contenders.items():
            found = _measure(part, arguments)
            for figure, value in found.items():
                figures.setdefault(name, {}).setdefault(figure, []).append(value)
            told = ", ".join(f"{figure} {value:,.1f}" for figure, value in found.items())
            say(f"{part}, round {number + 1} of {rounds}: {name} {told or 'is not to be had here'}")
    return figures


def _measure(part: str, arguments: tuple[object, ...]) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-P", "-m", f"covend.bench.{part}", *map(str, arguments)],
        stdout=subprocess.PIPE,
        timeout=CONTENDER_S,
        check=False,
    )
    if done.returncode == endings.MISSING:
        return {}
    done.check_returncode()
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


# --- the report -----------------------------------------------------------------------------------


def report_of(
    rounds: int, started: Figures, ended: Figures, seconds: checkouts.Seconds
) -> dict[str, object]:
    """Make ratios of what was measured."""
    return {
        "benchmark": "agents",
        "rounds": rounds,
        "checkouts": _about_checkouts(seconds),
        "starts": _about_starts(started),
        "endings": _about_endings(ended),
        **machine(),
    }


def _about_checkouts(seconds: checkouts.Seconds) -> dict[str, object]:
    return {
        "files": FILES,
        "commits": COMMITS,
        "second_to_full_clone": ratios(seconds["second"], seconds["full_clone"]),
        "second_to_first": ratios(seconds["second"], seconds["first"]),
        "first_to_full_clone": ratios(seconds["first"], seconds["full_clone"]),
        "seconds": {name: round(statistics.median(each), 2) for name, each in seconds.items()},
    }


def _about_starts(figures: Figures) -> dict[str, object]:
    def against(name: str, other: str, figure: str) -> Ratios:
        return ratios(figures[name][figure], figures[other][figure])

    return {
        "at_once": starts.AT_ONCE,
        "rate_to_asyncio": against("covend", "asyncio", "per_second"),
        "rate_to_popen": against("covend", "popen", "per_second"),
        "rate_grown_to_not": against("covend_grown", "covend", "per_second"),
        **{
            f"{lag.removesuffix('_ms')}_{name}": against(mine, other, lag)
            for lag in LAGS
            for name, mine, other in (
                ("to_asyncio", "covend", "asyncio"),
                ("to_popen", "covend", "popen"),
                ("grown_to_not", "covend_grown", "covend"),
                ("grown_to_asyncio", "covend_grown", "asyncio_grown"),
            )
        },
        "medians": _medians(figures),
    }


def _about_endings(figures: Figures) -> dict[str, object]:
    report: dict[str, object] = {
        "trees": endings.TREES,
        "escapers": endings.ESCAPERS,
        "medians": _medians(figures),
    }
    if set(WAYS) <= set(figures):
        cgroup, walk = (figures[way]["per_second"] for way in WAYS)
        report["walk_to_cgroup"] = ratios(walk, cgroup)
    return report


def _medians(figures: Figures) -> dict[str, dict[str, float]]:
    return {
        name: {figure: round(statistics.median(each), 2) for figure, each in found.items()}
        for name, found in figures.items()
    }


# --- for people -----------------------------------------------------------------------------------

_CHECKOUTS = {
    "second_to_full_clone": "of the time of a full git clone",
    "second_to_first": "of the time of covend's first checkout",
    "first_to_full_clone": "of the time of a full git clone, by covend's first checkout",
}
_STARTS = {
    "rate_to_asyncio": "of the rate of asyncio.create_subprocess_exec",
    "rate_to_popen": "of the rate of subprocess.Popen in a thread",
    "rate_grown_to_not": "of its rate, from a process of 1 GiB",
    "lag_median_to_asyncio": "of asyncio's lag of the loop, median",
    "lag_p99_to_asyncio": "of asyncio's lag of the loop, p99",
    "lag_median_to_popen": "of Popen's lag of the loop, median",
    "lag_p99_to_popen": "of Popen's lag of the loop, p99",
    "lag_median_grown_to_not": "of its lag, median, from a process of 1 GiB",
    "lag_median_grown_to_asyncio": "of asyncio's lag, median, both from a process of 1 GiB",
}


def text_of(report: Mapping[str, object]) -> Iterator[str]:
    """Write a report, line by line."""
    done, started, ended = (report[part] for part in ("checkouts", "starts", "endings"))
    assert isinstance(done, dict)
    assert isinstance(started, dict)
    assert isinstance(ended, dict)
    yield f"second checkout of {done['files']:,} files and {done['commits']} commits:"
    yield from (line(done[name], told) for name, told in _CHECKOUTS.items())
    yield f"    seconds: {_told(done['seconds'])}"
    yield f"agents started and reaped, {started['at_once']} at once, {report['rounds']} rounds:"
    yield from (line(started[name], told) for name, told in _STARTS.items())
    for name, figures in started["medians"].items():
        yield f"    {name}: {_told(figures)}"
    yield f"{ended['trees']} trees of {ended['escapers']} escapers ended at once:"
    if "walk_to_cgroup" in ended:
        yield line(ended["walk_to_cgroup"], "of the rate of cgroups, by walking /proc")
    for name, figures in ended["medians"].items():
        yield f"    {name}: {_told(figures)}"


def _told(figures: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:,.2f}" for name, value in figures.items())
