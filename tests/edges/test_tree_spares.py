"""Who must never be ended with a tree: the daemon, all above it, its other children, strangers."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from covend.core.settings import AgentLimits
from covend.edges import children
from tests.edges.trees import SOON, TASK, WAYS, Grove, lives, planted, poll_until, ticks_of

MARKED = {"PATH": os.environ["PATH"], "COVEND_TASK": TASK, "COVEND_ATTEMPT": "1"}
NAME = f"{TASK}-1"
PLAIN = "import os, signal; os.write(1, b'%d\\n' % os.getpid()); signal.pause()"

DAEMON = """
import os, subprocess, sys
from pathlib import Path
from covend.core.settings import AgentLimits
from covend.edges import children
from covend.edges.agents.leftovers import Leftover
from covend.edges.agents.tree import Containment, probe
from covend.edges.proc import start_ticks

way, act = sys.argv[1:]
task = os.environ["COVEND_TASK"]
held = probe("daemon-%d" % os.getpid()) if way == "cgroup" else None
held = held or Containment("not here", is_subreaper=children.become_subreaper())
held.end_left([Leftover(task=task, attempt=1)])
tree = held.tree(f"{task}-1", AgentLimits())
agent = children.start(["sleep", "60"])
tree.adopt(agent.pid, start_ticks(agent.pid))
home = None
if act == "dragged in" and tree.cgroup:
    home = Path(tree.cgroup).parent.parent / "cgroup.procs"
    Path(tree.cgroup, "cgroup.procs").write_text(str(os.getpid()))
killed = tree.kill()
agent.wait()
children.forget(agent)
if home:
    home.write_text(str(os.getpid()))
for each in held.open_trees():
    each.close()
held.close()
print("alive", killed)
"""


@pytest.fixture(params=WAYS)
def grove(request: pytest.FixtureRequest) -> Iterator[Grove]:
    yield from planted(request.param)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("act", ["marked", "dragged in"])
def test_the_daemon_and_its_parent_outlive_every_tree(way: str, act: str) -> None:
    """All carry the marker of the attempt that is ended, and the parent is in another session."""
    shell = 'setsid --wait "$@"; echo "parent $?"'
    done = subprocess.run(
        ["sh", "-c", shell, "parent", sys.executable, "-c", DAEMON, way, act],
        env=MARKED,
        stdout=subprocess.PIPE,
        check=True,
        timeout=SOON * 2,
    )
    assert done.stdout.split(b"\n")[:2] == [b"alive 1", b"parent 0"]


def test_another_child_lives_on_whatever_it_carries(grove: Grove) -> None:
    other = children.start(["sleep", "60"], env=MARKED)
    try:
        tree = grove.plant(PLAIN, name=NAME)
        grove.told(1)
        assert tree.kill() == 1
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()
        children.forget(other)


def test_what_another_child_has_left_in_its_session_lives_on(grove: Grove) -> None:
    script = "(sleep 60 >/dev/null & echo $!) & exec sleep 60"
    git = children.start(["sh", "-c", script], stdout=subprocess.PIPE, env={})
    grove.agents.append(git)
    (detached,) = grove.told(1)
    poll_until(lambda: detached in children.strays(), "it was not handed over")
    tree = grove.plant(PLAIN)
    grove.told(1)
    tree.kill()
    assert os.getsid(detached) == git.pid
    assert [lives(detached), git.poll()] == [True, None]


def test_what_was_there_before_the_agent_is_not_its_whatever_it_carries(grove: Grove) -> None:
    older = subprocess.Popen(["sleep", "60"], env=MARKED, start_new_session=True)
    try:
        poll_until(lambda: ticks_now() > ticks_of(older.pid) + 1, "the clock stands still")
        tree = grove.plant(PLAIN, name=NAME)
        assert tree.members() == set(grove.told(1))
    finally:
        older.kill()
        older.wait()


def ticks_now() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("pid", [os.getpid(), os.getppid(), 1], ids=["self", "parent", "init"])
def test_neither_the_daemon_nor_what_is_above_it_is_ever_adopted(grove: Grove, pid: int) -> None:
    tree = grove.containment.tree(NAME, AgentLimits())
    grove.trees.append(tree)
    with pytest.raises(AssertionError):
        tree.adopt(pid, ticks_of(pid))
    assert tree.members() == frozenset()


def test_a_pid_that_means_another_process_by_now_is_not_adopted(grove: Grove) -> None:
    stranger = subprocess.Popen(["sleep", "60"])
    tree = grove.containment.tree(NAME, AgentLimits())
    grove.trees.append(tree)
    tree.adopt(stranger.pid, ticks_of(stranger.pid) - 1)
    assert tree.members() == frozenset()
    tree.signal(15, everyone=True)
    assert tree.kill() == 0
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()
