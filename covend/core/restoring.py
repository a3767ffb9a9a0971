"""What the store says of the last restore of a backup: which time was lost with the database."""

from __future__ import annotations

from typing import NamedTuple

import orjson

from covend.core.model import Moment
from covend.core.units import DAY

RESTORED = "restored"
"""The cursor that keeps it."""
LOOKED_FOR_S = 14 * DAY
"""So long after a restore, what the lost time has shown is looked for. Its deliveries come in again
within three days; some of their work waits for somebody.
"""


class Lost(NamedTuple):
    """The time that was lost."""

    since: Moment
    """When the backup was made; 0 where nobody knows."""
    until: Moment
    """When it was restored."""

    def may_have_shown(self, now: Moment) -> bool:
        """Say whether something from then may still be met at a moment."""
        return now < self.until + round(1000 * LOOKED_FOR_S)


def dump_lost(lost: Lost) -> str:
    return orjson.dumps({"made_at": lost.since, "restored_at": lost.until}).decode()


def load_lost(text: str | None) -> Lost | None:
    """Read what `dump_lost` wrote; None where no backup was restored."""
    if text is None:
        return None
    told = orjson.loads(text)
    return Lost(told["made_at"], told["restored_at"])
