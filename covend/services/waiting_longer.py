"""When something is tried again of which nobody can say when it will work: after about as long as
it has waited already.
"""

from __future__ import annotations

from covend.core.model import Moment

WAIT_MIN_MS = 5_000
WAIT_MAX_MS = 300_000


def as_long_again(since: Moment, now: Moment, *, least_ms: int = WAIT_MIN_MS) -> Moment:
    """Give the moment of the next try of what waits since a moment, within the two bounds."""
    return now + min(WAIT_MAX_MS, max(least_ms, now - since))
