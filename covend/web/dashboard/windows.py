"""How far back a page of figures looks, as its address says."""

from __future__ import annotations

from collections.abc import Mapping

from covend.core.errors import UserError
from covend.core.units import DAY
from covend.web.api.query import Query

WINDOWS: Mapping[str, float] = {"1h": DAY / 24, "24h": DAY, "7d": 7 * DAY, "30d": 30 * DAY}
"""Seconds by the name that people see."""
USUAL = "24h"


def window_of(query: Query) -> str:
    """Give the name of the window that is asked for by `window`."""
    given = query.text("window") or USUAL
    if given not in WINDOWS:
        raise UserError(f"window must be one of {', '.join(WINDOWS)}.", name="window")
    return given
