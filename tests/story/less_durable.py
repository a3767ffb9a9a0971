"""covend as it would be if its commits did not reach the disk: proves that a test would see it.

Run as a program in the place of covend.
"""

from __future__ import annotations

from covend.cli import main
from covend.store.sqlite import connection

FULL, NORMAL = "PRAGMA synchronous = FULL", "PRAGMA synchronous = NORMAL"

if __name__ == "__main__":
    assert FULL in connection.WRITER_PRAGMAS
    less = tuple(NORMAL if pragma == FULL else pragma for pragma in connection.WRITER_PRAGMAS)
    setattr(connection, "WRITER_PRAGMAS", less)  # noqa: B010  its type says that none may
    main(prog_name="covend")
