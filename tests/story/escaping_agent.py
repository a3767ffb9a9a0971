"""An agent that hides children, to be found by whoever ends it; looks around in its second attempt.

Run as `escaping_agent.py HERE LEFT WAY…`. In its first attempt it starts a child in each way, notes
who all of them are in the file LEFT, says so to the pipe HERE, and waits for ever. In a later one
it says how many of all that were noted live.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

DEAD = frozenset({"Z", "X"})


def rest() -> NoReturn:
    """Do nothing, whatever comes."""
    while True:
        signal.pause()


def stop() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def turn_deaf() -> None:
    """Ignore what can be ignored."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN)


def wipe() -> None:
    """Become a program without any environment."""
    os.execve("/bin/sleep", ["sleep", "600"], {})


WAYS: dict[str, Callable[[], None]] = {
    "escaped": rest,
    "stopped": stop,
    "deaf": turn_deaf,
    "wiped": wipe,
}


def escape(way: str) -> int:
    """Start a child that leaves session and parent, and give its pid."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.write(writing, str(os.getpid()).encode())
            os.close(writing)
            WAYS[way]()
            rest()
        os._exit(0)
    os.wait()
    return int(os.read(reading, 20))


def stat(pid: int) -> tuple[str, str]:
    """Give a process's state, and when it started."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return "X", ""
    return fields[0], fields[19]


def lives(noted: str) -> bool:
    """Say whether who was noted is there."""
    pid, ticks = noted.split()
    state, started = stat(int(pid))
    return started == ticks and state not in DEAD


def append(path: str, text: str) -> None:
    with Path(path).open("a", encoding="ascii") as file:
        file.write(text)


def main(here: str, left: str, *ways: str) -> None:
    attempt = os.environ["COVEND_ATTEMPT"]
    if attempt != "1":
        noted = Path(left).read_text("ascii").splitlines()
        append(here, f"{attempt} {sum(map(lives, noted))}\n")
        return
    pids = [os.getpid(), *map(escape, ways)]
    append(left, "".join(f"{pid} {stat(pid)[1]}\n" for pid in pids))
    append(here, f"{attempt} {len(pids)}\n")
    rest()


if __name__ == "__main__":
    main(*sys.argv[1:])
