"""What one safeguard answers where it lets nothing pass: why, until when, and by which id.

For whom else that holds is for `gate` to say, which makes a `Hold` of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from covend.core.model import Moment
from covend.core.safeguards.shapes import FOREVER, Hold, Safeguard, Scope, Waiting


@dataclass(frozen=True, slots=True, kw_only=True)
class Barred:
    """Why a task may not run now."""

    reason: Waiting
    by: str
    until: Moment = FOREVER
    writes: tuple[Safeguard, ...] = ()

    def holding(self, scope: Scope) -> Hold:
        """Give the decision for everything in a scope."""
        return Hold(
            reason=self.reason, until=self.until, scope=scope, by=self.by, writes=self.writes
        )


def barred_by(reason: Waiting, guard: Safeguard, *, window_ms: int, now: Moment) -> Barred | None:
    """Bar until the row's moment, which cannot be further away than the window; None where it has
    passed.

    A row that says more was written while the clock was ahead: it is written anew.
    """
    until = now if guard.until is None else guard.until
    if until <= now:
        return None
    latest = now + window_ms
    if until <= latest:
        return Barred(reason=reason, by=guard.id, until=until)
    mended = replace(guard, until=latest, updated_at=now)
    return Barred(reason=reason, by=guard.id, until=latest, writes=(mended,))
