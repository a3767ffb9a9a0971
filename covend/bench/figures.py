"""What the benchmarks make of their measurements: ratios of rounds that ran next to each other, and
words about progress.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

Ratios = dict[str, float]


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> Ratios:
    """Give the ratios of ours to theirs, round by round."""
    found = sorted(mine / other for mine, other in zip(ours, theirs, strict=True))
    return {
        "min": round(found[0], 2),
        "median": round(statistics.median(found), 2),
        "max": round(found[-1], 2),
    }


def line(ratio: Ratios, against: str) -> str:
    """Write ratios for people."""
    spread = f"(from {ratio['min']:.2f} to {ratio['max']:.2f})"
    return f"  {ratio['median']:.2f} {against}  {spread}"


def machine() -> dict[str, str]:
    """Say what was measured on."""
    return {
        "python": sys.version.split()[0],
        "machine": Path("/proc/version").read_text(encoding="utf-8").split()[2],
    }


def say(text: str) -> None:
    """Tell of progress, beside the output."""
    print(text, file=sys.stderr)  # noqa: T201  progress
