"""An agent that takes more than its share, if it is told so.

Run as `greedy_agent.py HERE WORD`: says that it is there to the pipe HERE, and does what the next
word from the pipe WORD says: `hog` memory, `storm` the process table (both up to an amount that no
machine minds), or end well.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

MIB = 1 << 20
HOGGED_MIB = 512
CHILDREN = 300


def hog() -> None:
    taken = [bytearray(os.urandom(1) * MIB) for _ in range(HOGGED_MIB)]
    assert taken


def storm() -> None:
    for _ in range(CHILDREN):
        if os.fork() == 0:
            os.setsid()
            signal.pause()


DEEDS = {"hog": hog, "storm": storm}


def main(here: str, word: str) -> None:
    with Path(here).open("w", encoding="ascii") as pipe:
        pipe.write(f"{os.getpid()}\n")
    with Path(word).open(encoding="ascii") as pipe:
        deed = DEEDS.get(pipe.readline().strip())
    if deed is not None:
        deed()
        signal.pause()


if __name__ == "__main__":
    main(*sys.argv[1:])
