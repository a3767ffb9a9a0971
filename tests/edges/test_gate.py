"""An agent that is root has given up what opens covend's memory; and cannot get it back."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from covend.edges.agents import gate
from covend.edges.agents.gate import OPEN, gated, without_capabilities
from tests.edges.agent_process import ran, shell

OWN = Path("/proc/self/status").read_text().splitlines()
UNWANTED = {19, 21, 38}
"""CAP_SYS_PTRACE, CAP_SYS_ADMIN and CAP_PERFMON."""


def held(status: Iterable[str], name: str) -> set[int]:
    """The capabilities in one of the sets that proc(5) tells of a process."""
    bits = next(int(line.split()[1], 16) for line in status if line.startswith(f"{name}:"))
    return {number for number in range(64) if bits >> number & 1}


async def test_no_agent_holds_what_opens_covends_memory(tmp_path: Path) -> None:
    """One of an ordinary user has none anyway; where root may give none up, the words are none."""
    prefix = without_capabilities()
    _, heard = await ran(shell(tmp_path, "cat /proc/self/status", prefix=prefix))
    sets = ["CapInh", "CapPrm", "CapEff", "CapAmb", *(["CapBnd"] if prefix else [])]
    assert [name for name in sets if held(heard.of(), name) & UNWANTED] == []


async def test_an_agent_that_is_root_keeps_everything_else(tmp_path: Path) -> None:
    own = held(OWN, "CapEff")
    _, heard = await ran(shell(tmp_path, "cat /proc/self/status", prefix=without_capabilities()))
    assert held(heard.of(), "CapEff") == own - UNWANTED


NOT_DUMPABLE = "import ctypes; ctypes.CDLL(None).prctl(4, 0); print(flush=True); input()"


@pytest.fixture
def not_dumpable() -> Iterator[int]:
    """A process that stands for covend's own."""
    with subprocess.Popen(
        [sys.executable, "-c", NOT_DUMPABLE], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as daemon:
        assert daemon.stdout is not None
        daemon.stdout.readline()
        yield daemon.pid
        daemon.kill()


@pytest.mark.parametrize("gives_up", [False, True])
async def test_what_is_not_dumpable_keeps_its_environment_from_such_an_agent(
    tmp_path: Path, not_dumpable: int, gives_up: bool
) -> None:
    own = held(OWN, "CapEff")
    script = f"cat /proc/{not_dumpable}/environ >/dev/null && echo read || echo refused"
    prefix = without_capabilities() if gives_up else ()
    _, heard = await ran(shell(tmp_path, script, prefix=prefix))
    assert heard.of() == ["read" if own & UNWANTED and not gives_up else "refused"]


@pytest.mark.parametrize("lack", ["root", "setpriv", "CAP_SETPCAP"])
def test_where_nothing_can_be_given_up_no_word_is_put_in_front(
    monkeypatch: pytest.MonkeyPatch, lack: str
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000 if lack == "root" else 0)
    monkeypatch.setattr(shutil, "which", lambda _: None if lack == "setpriv" else "/bin/setpriv")
    monkeypatch.setattr(gate, "_may_take_away", lambda: lack != "CAP_SETPCAP")
    assert without_capabilities() == ()


@pytest.mark.parametrize(
    ("told", "is_open"), [(b"", False), (b"g", False), (OPEN, True), (OPEN + b"prompt\n", True)]
)
@pytest.mark.parametrize("has_input", [True, False])
def test_a_gate_opens_for_its_whole_line_alone(told: bytes, is_open: bool, has_input: bool) -> None:
    argv = gated(["/bin/cat"], has_input=has_input)
    done = subprocess.run(argv, input=told, stdout=subprocess.PIPE, check=False)
    assert (done.returncode == 0) is is_open
    assert done.stdout == (told.removeprefix(OPEN) if is_open and has_input else b"")


def test_a_gate_reads_nothing_into_the_agents_words() -> None:
    argv = gated(["/usr/bin/printf", "%s|", "$0", "-x", "`id`", "a b", ""], has_input=True)
    done = subprocess.run(argv, input=OPEN, stdout=subprocess.PIPE, check=True)
    assert done.stdout == b"$0|-x|`id`|a b||"
