"""covend that waits for tenths of a second where it would wait for seconds and minutes: to look up
what may have left, and to send once more what failed.

Run as a program in the place of covend. What it does after a wait, it does as ever.
"""

from __future__ import annotations

# Before anything else of covend's, which takes these values as it finds them.
from covend.core.effects import delivering
from covend.services import sending

SOON_S = 0.3
SOON_MS = round(1000 * SOON_S)

if __name__ == "__main__":
    setattr(sending, "FIRST_LOOK_MS", SOON_MS)  # noqa: B010  its type says never
    setattr(sending, "SECOND_LOOK_MS", 2 * SOON_MS)  # noqa: B010
    setattr(sending, "RETRY_MS", (SOON_MS,) * len(sending.RETRY_MS))  # noqa: B010
    setattr(delivering, "SCHEDULE_S", (SOON_S,) * len(delivering.SCHEDULE_S))  # noqa: B010
    from covend.cli import main

    main(prog_name="covend")
