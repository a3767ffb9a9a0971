"""One cgroup of version 2: who is in it, its limits, its end; refuses to know where it lies.

Source: https://docs.kernel.org/admin-guide/cgroup-v2.html
"""

from __future__ import annotations

import errno
import os
import select
import signal
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep

from covend.core.settings import AgentLimits
from covend.edges.agents.sending import send
from covend.edges.proc import read

FREEZE_S = 1.0
EMPTY_S = 5.0
REMOVE_S = 1.0
LOOK_AGAIN_S = 0.01
"""Where the kernel cannot wake us; a removed process holds its cgroup for a moment longer."""
CPU_PERIOD_US = 100_000
_MS = 1000


class Group:
    """A cgroup by its directory; what is not there any more is empty."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, pid: int) -> None:
        """Move a process in, with all its threads; raises OSError."""
        self._write("cgroup.procs", str(pid))

    def pids(self) -> frozenset[int]:
        """Give the living processes in it and in all below it."""
        return frozenset(pid for path in self._all() for pid in _pids_in(path))

    def direct_pids(self) -> frozenset[int]:
        """Give the processes in it, without those below it."""
        return frozenset(_pids_in(self.path))

    def hand_down(self, controllers: Sequence[str]) -> None:
        """Enable controllers for what is below it; raises OSError."""
        self._write("cgroup.subtree_control", " ".join(f"+{each}" for each in controllers))

    def is_populated(self) -> bool:
        """Say whether anything lives in it or below it; a zombie does not."""
        return self._counted("cgroup.events", "populated") > 0

    def bound(self, limits: AgentLimits) -> frozenset[str]:
        """Have the kernel hold what it can of the limits; says which: memory, pids, cpus."""
        wanted = {
            "memory": _memory(limits.memory_bytes),
            "pids": {} if limits.pids is None else {"pids.max": str(limits.pids)},
            "cpus": _cpus(limits.cpus),
        }
        return frozenset(limit for limit, files in wanted.items() if files and self._set(files))

    def memory_bytes(self) -> int | None:
        """Give what all in it use, or None where the kernel does not count it here."""
        with suppress(OSError):
            return int(self._read("memory.current"))
        return None

    def ran_out_of_memory(self) -> bool:
        """Say whether the kernel has killed something in it for its memory limit."""
        return self._counted("memory.events", "oom_kill") > 0

    def kill(self) -> None:
        """Kill everything in it, whatever it forks meanwhile, and wait for that; bounded.

        `is_populated` tells whether it is done. Before Linux 5.14 there is no `cgroup.kill`: then
        it is frozen, so that nothing can fork, and killed one by one.
        """
        if not self.path.is_dir():
            return
        try:
            self._write("cgroup.kill", "1")
        except OSError:
            self._kill_frozen()
        self._wait_for("populated", 0, EMPTY_S)

    def remove(self) -> None:
        """Remove it with all below it, once it is empty; raises OSError where it stays busy."""
        until = monotonic() + REMOVE_S
        for path in reversed(list(self._all())):
            _remove(path, until)

    def _kill_frozen(self) -> None:
        with suppress(OSError):
            self._write("cgroup.freeze", "1")
            self._wait_for("frozen", 1, FREEZE_S)
        for pid in self.pids():
            process = read(pid)
            if process is not None and pid in self.pids():
                send(process, signal.SIGKILL)
        with suppress(OSError):
            self._write("cgroup.freeze", "0")

    def _wait_for(self, event: str, wanted: int, limit_s: float) -> None:
        """Wait until an event of `cgroup.events` has this value; the kernel wakes who polls it."""
        until = monotonic() + limit_s
        with suppress(OSError):
            file = os.open(self.path / "cgroup.events", os.O_RDONLY | os.O_CLOEXEC)
            try:
                poll = select.poll()
                poll.register(file, select.POLLPRI)
                while self._counted("cgroup.events", event) != wanted and monotonic() < until:
                    poll.poll(LOOK_AGAIN_S * _MS)
            finally:
                os.close(file)

    def _all(self) -> Iterator[Path]:
        """Give its directory and every one below it, each before those in it."""
        # Not os.walk, which recurses before Python 3.12: an agent may nest them deep.
        ahead = [self.path]
        while ahead:
            path = ahead.pop()
            yield path
            with suppress(OSError):
                ahead += [below for below in path.iterdir() if below.is_dir()]

    def _set(self, files: dict[str, str]) -> bool:
        """Write the first file's value, without which the rest is nothing."""
        for number, (name, value) in enumerate(files.items()):
            try:
                self._write(name, value)
            except OSError:
                if number == 0:
                    return False
        return True

    def _counted(self, file: str, word: str) -> int:
        with suppress(OSError):
            lines = [line.split() for line in self._read(file).splitlines()]
            return next((int(line[1]) for line in lines if line[0] == word), 0)
        return 0

    def _read(self, name: str) -> str:
        return (self.path / name).read_text("ascii")

    def _write(self, name: str, value: str) -> None:
        """Write what is there already; never make a file."""
        file = os.open(self.path / name, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(file, value.encode())
        except OSError as error:
            error.filename = str(self.path / name)
            raise
        finally:
            os.close(file)


def _memory(limit: int | None) -> dict[str, str]:
    if limit is None:
        return {}
    # Without swap a limit means what it says; and who goes over it ends whole, not in part.
    return {"memory.max": str(limit), "memory.swap.max": "0", "memory.oom.group": "1"}


def _cpus(cpus: float | None) -> dict[str, str]:
    if cpus is None:
        return {}
    return {"cpu.max": f"{round(cpus * CPU_PERIOD_US)} {CPU_PERIOD_US}"}


def _pids_in(path: Path) -> list[int]:
    # A cgroup that its processes made "threaded" cannot be read (EOPNOTSUPP): its parent names all.
    with suppress(OSError):
        return [int(line) for line in (path / "cgroup.procs").read_text("ascii").split()]
    return []


def _remove(path: Path, until: float) -> None:
    while True:
        try:
            path.rmdir()
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno != errno.EBUSY or monotonic() > until:
                raise
            sleep(LOOK_AGAIN_S)
        else:
            return
