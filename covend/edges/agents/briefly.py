"""Runs one short command of covend's own and gives what it said; refuses to wait long, or for
input.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from covend.edges import children

SHOWN_MAX = 500
"""Characters of what it said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """How a command ended; `code` None where it could not start or took too long."""

    code: int | None
    text: str

    @property
    def is_good(self) -> bool:
        return self.code == 0


def ask(argv: Sequence[str], environment: Mapping[str, str], timeout_s: float) -> Said:
    """Run a command and give the end of its output and errors; blocks, and never raises."""
    pipe = subprocess.PIPE
    try:
        process = children.start(
            argv, stdin=subprocess.DEVNULL, stdout=pipe, stderr=subprocess.STDOUT, env=environment
        )
    except (OSError, ValueError) as error:
        return Said(code=None, text=f"{argv[0]}: {error}")
    try:
        output, _ = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()  # not for its output: what it has left behind may hold that open
        return Said(code=None, text=f"{argv[0]} took longer than {timeout_s:g} s")
    finally:
        assert process.stdout is not None
        process.stdout.close()
        children.forget(process)
    return Said(
        code=process.returncode, text=output.decode("utf-8", "replace").strip()[-SHOWN_MAX:]
    )
