"""Who was started here and who was handed over is told exactly, whoever starts what meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Event

import pytest

from covend.edges import children, proc
from covend.edges.proc import read
from tests.edges.trees import SOON, lives, poll_until

ORPHAN = """
import os, signal
if os.fork() == 0:
    os.write(1, b"%d\\n" % os.getpid())
    os.close(1)
    signal.pause() if KEEP else os._exit(0)
"""


@pytest.fixture
def mine() -> Iterator[list[int]]:
    """Orphans of a test, ended with it whatever happens."""
    assert children.become_subreaper()
    pids: list[int] = []
    yield pids
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, 9)
    children.strays()


def orphan(mine: list[int], *, keep: bool = True) -> int:
    """Start a program whose child outlives it."""
    script = f"KEEP = {keep}\n{ORPHAN}"
    process = children.start([sys.executable, "-c", script], stdout=subprocess.PIPE)
    output, _ = process.communicate(timeout=SOON)
    children.forget(process)
    mine.append(int(output))
    return mine[-1]


def test_an_orphan_is_a_stray(mine: list[int]) -> None:
    pid = orphan(mine)
    assert children.strays() == [pid]


def test_a_stray_that_is_dead_is_waited_for_and_no_stray_any_more(mine: list[int]) -> None:
    pid = orphan(mine, keep=False)
    poll_until(lambda: read(pid) is None or not lives(pid), "it did not end")
    assert not children.strays()
    assert read(pid) is None


def test_what_was_started_here_is_no_stray_and_keeps_its_exit_code(mine: list[int]) -> None:
    process = children.start(["sh", "-c", "exit 7"])
    poll_until(lambda: not lives(process.pid), "it did not end")
    assert not children.strays()
    assert process.wait() == 7
    children.forget(process)


def test_a_child_that_was_started_by_other_means_is_no_stray(mine: list[int]) -> None:
    with subprocess.Popen(["sh", "-c", "exit 7"]) as process:
        poll_until(lambda: not lives(process.pid), "it did not end")
        assert not children.strays()
        assert process.wait() == 7


def test_a_child_from_before_strays_were_taken_in_is_none() -> None:
    script = """
import subprocess
before = subprocess.Popen(["sleep", "60"], start_new_session=True)
from covend.edges import children
assert children.become_subreaper()
print(children.strays())
before.kill()
before.wait()
"""
    done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, check=True)
    assert done.stdout == b"[]\n"


def test_every_child_has_a_session_of_its_own() -> None:
    process = children.start(["sleep", "60"])
    try:
        assert os.getsid(process.pid) == process.pid
    finally:
        process.kill()
        process.wait()
        children.forget(process)


def test_what_cannot_start_says_so_and_is_not_known(mine: list[int]) -> None:
    with pytest.raises(FileNotFoundError):
        children.start(["/there/is/no/such/program"])
    assert not children.strays()


def test_a_child_is_never_seen_between_its_start_and_its_registration(mine: list[int]) -> None:
    """Many threads start while one looks: whatever it sees as a stray would have been killed."""
    over = Event()

    def start_and_end() -> None:
        for _ in range(30):
            process = children.start(["true"])
            process.wait()
            children.forget(process)

    def look() -> set[int]:
        seen: set[int] = set()
        while not over.is_set():
            survey = children.survey()
            seen |= survey.strays | {process.pid for process in survey.buried}
        return seen

    with ThreadPoolExecutor(5) as pool:
        watcher = pool.submit(look)
        starters = [pool.submit(start_and_end) for _ in range(4)]
        try:
            for starter in starters:
                starter.result()
        finally:
            over.set()
        assert not watcher.result()


def test_a_chase_spares_whom_it_is_told_to(mine: list[int]) -> None:
    spared, other = orphan(mine), orphan(mine)
    assert children.chase(0.2, lambda process: process.pid == spared) >= 1
    poll_until(lambda: not lives(other), "it was not killed")
    assert lives(spared)


def test_a_chase_leaves_alone_what_was_started_here(mine: list[int]) -> None:
    own = children.start(["sleep", "60"])
    plain = subprocess.Popen(["sleep", "60"])
    assert children.chase(0.1, lambda _: False) == 0
    assert [own.poll(), plain.poll()] == [None, None]
    for process in (own, plain):
        process.kill()
        process.wait()
    children.forget(own)


TRACER = """
import ctypes, sys
seize = 0x4206
assert ctypes.CDLL(None).ptrace(seize, int(sys.argv[1]), None, None) == 0
print("seized", flush=True)
sys.stdin.read()
"""


def test_a_dead_stray_that_somebody_traces_is_not_buried_yet(mine: list[int]) -> None:
    pid = orphan(mine)
    argv = [sys.executable, "-c", TRACER, str(pid)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as tracer:
        assert tracer.stdout is not None
        assert tracer.stdout.readline() == b"seized\n"
        os.kill(pid, 9)
        poll_until(lambda: not lives(pid), "it did not end")
        seen = children.survey()
        assert (seen.strays, seen.buried) == (frozenset(), ())
        tracer.communicate()
    assert [each.pid for each in children.survey().buried] == [pid]


def test_what_may_not_be_looked_at_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    hidden, read_line = os.getppid(), proc._line  # noqa: SLF001  /proc with hidepid=1, without root

    def refuse(path: str) -> bytes:
        if path == f"/proc/{hidden}/stat":
            raise PermissionError(path)
        return read_line(path)

    monkeypatch.setattr(proc, "_line", refuse)
    assert hidden not in proc.processes()
    assert os.getpid() in children.survey().processes
