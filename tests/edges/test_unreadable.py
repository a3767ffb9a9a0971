from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

SECRET = "tell-nobody-of-this-variable"
PROGRAM = """
import ctypes, json, os, resource, subprocess, sys
from pathlib import Path
from covend.edges.unreadable import become_unreadable

if os.geteuid() == 0:
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
# As any process is that was not started by root.
ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)
is_closed = sys.argv[1] == "closed" and become_unreadable()


def prying(path):
    return subprocess.run(["cat", f"/proc/{os.getpid()}/{path}"], capture_output=True)


inner, outer = os.pipe()
child = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
child.stdin.write(b"x")
child.stdin.flush()
child.stdout.read(1)
told = {
    "closed": is_closed,
    "seen": os.environ["HUSH"] in prying("environ").stdout.decode(),
    "stat": prying("stat").returncode,
    "own_stat": bool(Path("/proc/self/stat").read_text()),
    "own_cgroup": bool(Path("/proc/self/cgroup").read_text()),
    "own_descriptors": {str(inner), str(outer)} <= set(os.listdir("/proc/self/fd")),
    "child_environ": os.environ["HUSH"] in Path(f"/proc/{child.pid}/environ").read_text(),
    "child_descriptors": str(outer) in os.listdir(f"/proc/{child.pid}/fd"),
    "core": resource.getrlimit(resource.RLIMIT_CORE)[0],
}
child.communicate()
print(json.dumps(told))
"""


def told_by(how: str) -> dict[str, Any]:
    """What an ordinary user's process tells of itself and of what its child could see."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, how],
        env={"PATH": os.environ["PATH"], "HUSH": SECRET},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_a_child_reads_its_parents_variables_where_nothing_is_done() -> None:
    assert told_by("open")["seen"] is True


def test_no_child_reads_the_variables_of_an_unreadable_parent() -> None:
    told = told_by("closed")
    assert told["closed"] is True
    assert told["seen"] is False
    assert told["core"] == 0


@pytest.mark.parametrize("still", ["own_stat", "own_cgroup", "own_descriptors", "child_environ"])
def test_an_unreadable_process_still_sees_what_it_needs(still: str) -> None:
    assert told_by("closed")[still] is True


def test_an_unreadable_process_still_closes_what_a_child_must_not_have() -> None:
    assert told_by("closed")["child_descriptors"] is False
