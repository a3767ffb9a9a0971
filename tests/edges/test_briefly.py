"""A short command of covend's own is given its time, and no more."""

from __future__ import annotations

import os
from pathlib import Path
from time import monotonic

from covend.edges import children
from covend.edges.agents.briefly import ask
from tests.edges.trees import SOON

PATH = {"PATH": os.environ["PATH"]}


def test_what_it_says_is_given_with_how_it_ended() -> None:
    said = ask(["sh", "-c", "echo out; echo err >&2; exit 3"], PATH, SOON)
    assert (said.code, said.text, said.is_good) == (3, "out\nerr", False)


def test_what_is_not_there_is_said() -> None:
    said = ask(["/nonexistent/engine"], PATH, SOON)
    assert said.code is None
    assert "/nonexistent/engine" in said.text


def test_who_leaves_somebody_behind_at_its_output_is_not_waited_for(tmp_path: Path) -> None:
    """Such as an engine that starts its server, and then does not answer."""
    begun, fifo = monotonic(), tmp_path / "never"
    os.mkfifo(fifo)
    said = ask(["sh", "-c", f"setsid sleep {2 * SOON} & read x < {fifo}"], PATH, 0.5)
    assert monotonic() - begun < SOON
    assert (said.code, said.text) == (None, "sh took longer than 0.5 s")
    for pid in children.strays():
        os.kill(pid, 9)
    children.strays()
