"""What a daemon that was killed has left running ends; a stranger with its pid does not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from covend.edges.agents.cgroup import Place
from covend.edges.agents.leftovers import Leftover
from covend.edges.agents.tree import Containment
from covend.edges.proc import boot_id, start_ticks
from tests.edges.trees import OWNER, PLACE, TASK, WAYS, Grove, lives, marked, planted, ticks_of

# Plants four agents, each with an escaped grandchild, says who they are and is killed.
DAEMON = """
import json, os, subprocess, sys
from covend.core.settings import AgentLimits
from covend.edges import children
from covend.edges.agents.tree import Containment, probe
from covend.edges.proc import boot_id, start_ticks

AGENT = '''
import os, signal
os.read(0, 1)
os.write(1, b"%d\\\\n" % os.getpid())
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.write(1, b"%d\\\\n" % os.getpid())
        signal.pause()
    os._exit(0)
os.wait()
signal.pause()
'''
way, owner, task = sys.argv[1:]
held = probe(owner) if way == "cgroup" else None
held = held or Containment("not here", is_subreaper=children.become_subreaper())
left = []
for number in range(1, 5):
    tree = held.tree(f"{task}-{number}", AgentLimits())
    agent = children.start(
        [sys.executable, "-c", AGENT], stdout=subprocess.PIPE, stdin=subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "COVEND_TASK": task, "COVEND_ATTEMPT": str(number)},
    )
    ticks = start_ticks(agent.pid)
    tree.adopt(agent.pid, ticks)
    agent.stdin.write(b"g")
    agent.stdin.flush()
    record = dict(task=task, attempt=number, pid=agent.pid, ticks=ticks)
    record |= dict(boot_id=boot_id(), cgroup=tree.cgroup)
    left.append([record, [int(agent.stdout.readline()) for _ in range(2)]])
print(json.dumps(left), flush=True)
sys.stdin.read()
"""


@pytest.fixture(params=WAYS)
def grove(request: pytest.FixtureRequest) -> Iterator[Grove]:
    yield from planted(request.param)


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as process:
        yield process
        process.kill()


def left_by_a_killed_daemon(grove: Grove, way: str, owner: str) -> list[Leftover]:
    daemon = subprocess.Popen(
        [sys.executable, "-c", DAEMON, way, owner, TASK],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert daemon.stdout is not None
    told = json.loads(daemon.stdout.readline())
    daemon.kill()
    daemon.communicate()
    grove.pids += [pid for _, pids in told for pid in pids]
    return [Leftover(**record) for record, _ in told]


def test_the_trees_of_a_killed_daemon_are_all_ended(grove: Grove) -> None:
    left = left_by_a_killed_daemon(grove, grove.way, OWNER)
    assert len([pid for pid in grove.pids if lives(pid)]) == 8
    begun = time.monotonic()
    assert grove.containment.end_left(left) == 8
    assert time.monotonic() - begun < 5
    assert not [pid for pid in grove.pids if lives(pid)]
    assert not [pid for number in range(1, 5) for pid in marked(f"{TASK}-{number}")]
    assert grove.containment.end_left(left) == 0


def test_an_agent_that_was_not_noted_yet_is_ended_by_its_marker(grove: Grove) -> None:
    left = left_by_a_killed_daemon(grove, "walk", "none")
    unnoted = [Leftover(task=each.task, attempt=each.attempt) for each in left]
    assert grove.containment.end_left(unnoted) == 8


@pytest.mark.parametrize(
    ("task", "attempt"),
    [(TASK, 99), (TASK[:-1], 1), ("", 1)],
    ids=["another attempt", "another task", "no task"],
)
def test_another_attempts_processes_are_left_alone(grove: Grove, task: str, attempt: int) -> None:
    left_by_a_killed_daemon(grove, "walk", "none")
    assert grove.containment.end_left([Leftover(task=task, attempt=attempt)]) == 0
    assert all(lives(pid) for pid in grove.pids)


def record_of(pid: int, **changes: object) -> Leftover:
    leftover = Leftover(
        task=TASK, attempt=9, pid=pid, ticks=ticks_of(pid), boot_id=boot_id(), cgroup=None
    )
    return replace(leftover, **changes)  # type: ignore[arg-type]


def test_the_noted_process_itself_is_ended(stranger: subprocess.Popen[bytes]) -> None:
    held = Containment("not here", is_subreaper=True)
    assert held.end_left([record_of(stranger.pid)]) == 1
    assert not lives(stranger.pid)


@pytest.mark.parametrize(
    "changes", [{"ticks": 1}, {"boot_id": "another"}, {"boot_id": None}, {"ticks": None}]
)
def test_a_pid_of_another_start_or_boot_is_left_alone(
    stranger: subprocess.Popen[bytes], changes: dict[str, object]
) -> None:
    held = Containment("not here", is_subreaper=True)
    assert held.end_left([record_of(stranger.pid, **changes)]) == 0
    assert stranger.poll() is None


def test_a_pid_that_is_gone_is_nothing_to_end() -> None:
    with subprocess.Popen(["true"]) as process:
        process.wait()
    assert start_ticks(process.pid) is None
    leftover = Leftover(task=TASK, attempt=9, pid=process.pid, ticks=1, boot_id=boot_id())
    assert Containment("not here", is_subreaper=True).end_left([leftover]) == 0


def test_the_noted_pid_of_this_process_ends_nothing(grove: Grove) -> None:
    assert grove.containment.end_left([record_of(os.getpid()), record_of(os.getppid())]) == 0


def test_an_open_tree_is_not_left(grove: Grove) -> None:
    tree = grove.plant("import os, signal; os.write(1, b'%d\\n' % os.getpid()); signal.pause()")
    (pid,) = grove.told(1)
    leftover = Leftover(
        task=TASK, attempt=1, pid=pid, ticks=ticks_of(pid), boot_id=boot_id(), cgroup=tree.cgroup
    )
    assert grove.containment.end_left([leftover]) == 0
    assert lives(pid)


@pytest.mark.parametrize("way", [way for way in WAYS if way == "cgroup"])
def test_a_cgroup_is_ended_only_where_it_can_be_covends(
    way: str, stranger: subprocess.Popen[bytes]
) -> None:
    assert isinstance(PLACE, Place)
    other = PLACE.mount / f"others-{os.getpid()}"
    other.mkdir()
    try:
        (other / "cgroup.procs").write_text(str(stranger.pid))
        held = Containment(PLACE, is_subreaper=True)
        paths = [str(other), str(PLACE.mount), "/", str(other / ".." / other.name)]
        left = [Leftover(task="t", attempt=1, boot_id=boot_id(), cgroup=path) for path in paths]
        assert held.end_left(left) == 0
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()
        other.rmdir()


@pytest.mark.parametrize("way", [way for way in WAYS if way == "cgroup"])
def test_a_cgroup_that_nobody_noted_is_ended_too(way: str, tmp_path: Path) -> None:
    for grove in planted(way):
        left_by_a_killed_daemon(grove, way, OWNER)
        assert grove.containment.end_left([]) == 8
        assert isinstance(PLACE, Place)
        assert not list(PLACE.groups())


def test_a_name_with_spaces_and_parentheses_does_not_confuse_the_reading() -> None:
    own = start_ticks(os.getpid())
    name = "import ctypes; ctypes.CDLL(None).prctl(15, b'a) (b 1 2', 0, 0, 0)"
    odd = f"{name}; print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", odd], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.read(1)
        ticks = start_ticks(process.pid)
        process.kill()
    assert own is not None
    assert ticks is not None
    assert ticks >= own
