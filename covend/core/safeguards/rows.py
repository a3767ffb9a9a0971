"""Makes the rows that safeguards are kept as, and reads what they have counted.

A row may be older than this version, or have moments ahead of the clock: reading never raises, and
no moment counts as later than now.
"""

from __future__ import annotations

from typing import Any

from covend.core.model import Json, Moment
from covend.core.safeguards.shapes import Safeguard, SafeguardKind

_FAILURES = "failures"


def row(
    safeguard: str,
    former: Safeguard | None,
    *,
    state: str,
    reason: str,
    until: Moment | None,
    values: Json,
    now: Moment,
) -> Safeguard:
    """Make the row of this id, in the place of a former one."""
    kind, _, scope = safeguard.partition("/")
    return Safeguard(
        id=safeguard,
        kind=SafeguardKind(kind),
        scope=scope,
        state=state,
        reason=reason,
        until=until,
        values=values,
        created_at=former.created_at if former else now,
        updated_at=now,
    )


def failures_in(guard: Safeguard | None, window_ms: int, now: Moment) -> tuple[Moment, ...]:
    """Give the moments of failures that are kept in a row and not older than the window."""
    kept: Any = guard.values.get(_FAILURES) if guard else None
    if not isinstance(kept, list | tuple):
        return ()
    moments = (min(each, now) for each in kept if isinstance(each, int))
    return tuple(sorted(each for each in moments if each > now - window_ms))
