"""An agent that tells every secret it is given, in every form it knows, wherever it may speak.

Run as `blabbing_agent.py HERE WORD`: says that it is there to the pipe HERE, and reads a list of
texts in JSON from the pipe WORD.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import sys
import termios
import time
from array import array
from collections.abc import Iterator
from pathlib import Path

FILLING = 1 << 14
"""Bytes; with so many before it, a piece is looked at although its line has not ended."""
READ_WITHIN_S = 30.0


def forms(text: str) -> Iterator[str]:
    yield text
    yield json.dumps(text)
    yield "".join(f"%{byte:02x}" for byte in text.encode())
    for lead in range(3):
        yield base64.b64encode(b"-" * lead + text.encode()).decode()
    yield base64.encodebytes(text.encode()).decode()


def tell_in_pieces(descriptor: int, text: str) -> None:
    """Write one half, and the other one only when the first was read."""
    data, half = text.encode(), len(text) // 2
    for filling in (b"", b"." * FILLING):
        os.write(descriptor, filling + data[:half])
        poll_until_read(descriptor, READ_WITHIN_S)
        os.write(descriptor, data[half:] + b"\n")
        poll_until_read(descriptor, READ_WITHIN_S)


def poll_until_read(descriptor: int, within_s: float) -> None:
    """Wait until a pipe is empty."""
    until, waiting = time.monotonic() + within_s, array("i", [1])
    while waiting[0]:
        assert time.monotonic() < until, "nobody reads"
        time.sleep(0.001)
        fcntl.ioctl(descriptor, termios.FIONREAD, waiting)


def result_of(told: list[str]) -> dict[str, object]:
    comments = [
        {"path": "src/till/basket.py", "line": 31, "severity": "error", "body": f"Look: {text}"}
        for text in told
    ]
    return {
        "conclusion": "failure",
        "summary": "\n\n".join(told),
        "review": {"event": "COMMENT", "comments": comments},
        "outputs": {text: text for text in told},
    }


def main(here: str, word: str) -> None:
    Path(here).write_text("here\n", "ascii")
    with Path(word).open(encoding="utf-8") as pipe:
        secrets = json.loads(pipe.readline())
    told = [form for secret in secrets for form in forms(secret)]
    for descriptor in (1, 2):
        for text in told:
            os.write(descriptor, f"it is {text}.\n".encode())
        poll_until_read(descriptor, READ_WITHIN_S)
        for secret in secrets:
            tell_in_pieces(descriptor, secret)
    Path(os.environ["COVEND_RESULT"]).write_text(json.dumps(result_of(told)), "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
