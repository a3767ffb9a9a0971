"""Python's garbage collector, told what kind of program this is."""

from __future__ import annotations

import gc

YOUNG_MAX = 20_000
MIDDLE_MAX = 50
OLD_MAX = 100
"""Thresholds of the three generations (https://docs.python.org/3/library/gc.html#gc.set_threshold)."""


def calm_collector() -> None:
    """Look for circles less often, and not at all among what the start has made.

    A payload is a few hundred containers without a circle: with Python's own thresholds each
    request would pay for one or two searches that find nothing.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_MAX, MIDDLE_MAX, OLD_MAX)
