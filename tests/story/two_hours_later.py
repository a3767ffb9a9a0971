"""covend on a machine whose clock is two hours ahead: what was to last for an hour is over.

Run as a program in the place of covend.
"""

from __future__ import annotations

import time

from covend.cli import main

LATER_S = 2 * 60 * 60

if __name__ == "__main__":
    now_ns = time.time_ns
    setattr(time, "time_ns", lambda: now_ns() + LATER_S * 10**9)  # noqa: B010  mypy forbids the other
    main(prog_name="covend")
