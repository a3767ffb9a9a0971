"""However an agent's processes hide, the tree's end leaves none of them: for every way this machine
has to hold a tree.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from covend.core.contract.outcome import Exceeded
from covend.core.settings import AgentLimits
from covend.edges import children
from covend.edges.agents.tree import Limit
from covend.edges.proc import read
from tests.edges.trees import TASK, WAYS, Grove, lives, marked, planted, poll_until, state_of

NAME = f"{TASK}-1"
OTHER = f"{TASK}-2"


@pytest.fixture(params=WAYS)
def grove(request: pytest.FixtureRequest) -> Iterator[Grove]:
    yield from planted(request.param)


# Each prints the pids of what must end, first its own.
_SAY = "import os, signal, sys, time\ndef say(): os.write(1, b'%d\\n' % os.getpid())\nsay()\n"
PLAIN = _SAY + "signal.pause()"
CHILD = _SAY + "if os.fork() == 0: say()\nsignal.pause()"
DOUBLE_FORK = (
    _SAY
    + """
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        say()
        signal.pause()
    os._exit(0)
os.wait()
signal.pause()
"""
)
WIPED = (
    _SAY
    + """
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        say = "import os,signal; os.write(1, b'%d\\\\n' % os.getpid()); signal.pause()"
        os.execve(sys.executable, [sys.executable, "-c", say], {})
    os._exit(0)
os.wait()
signal.pause()
"""
)
DEAF = (
    _SAY
    + """
for number in range(1, 32):
    if number not in (signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_IGN)
if os.fork() == 0: say()
while True: signal.pause()
"""
)
STOPPED = _SAY + "os.kill(os.getpid(), signal.SIGSTOP)\nsignal.pause()"
GRANDCHILD = (
    _SAY
    + """
if os.fork() == 0:
    if os.fork() == 0:
        say()
        signal.pause()
    os._exit(0)
os.wait()
os._exit(0)
"""
)
ZOMBIES = (
    _SAY
    + """
for _ in range(20):
    if os.fork() == 0: os._exit(0)
if os.fork() == 0: say()
signal.pause()
"""
)
PYTHON_AGENTS = [
    pytest.param(PLAIN, 1, id="plain"),
    pytest.param(CHILD, 2, id="child"),
    pytest.param(DOUBLE_FORK, 2, id="double fork and setsid"),
    pytest.param(WIPED, 2, id="the same with a wiped environment"),
    pytest.param(DEAF, 2, id="deaf to all signals"),
    pytest.param(STOPPED, 1, id="stopped"),
    pytest.param(GRANDCHILD, 2, id="a grandchild that outlives it and holds stdout"),
    pytest.param(ZOMBIES, 2, id="zombies"),
]

WIPED_LATE = (
    _SAY
    + """
if os.fork() == 0:
    os.setsid()
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    say()
    if os.fork() == 0:
        say = "import os,signal; os.write(1, b'%d\\\\n' % os.getpid()); signal.pause()"
        os.execve(sys.executable, [sys.executable, "-c", say], {})
    signal.sigwait([signal.SIGUSR1])
    os._exit(0)
signal.pause()
"""
)

# At most 50 live at once and 3000 in all: these end by themselves if nothing else ends them.
STORM = (
    _SAY
    + """
for turn in range(3000):
    if turn >= 50: os.wait()
    if os.fork() == 0:
        if turn % 2: os.setsid()
        time.sleep(0.02)
        os._exit(0)
"""
)
COMET = (
    _SAY
    + """
os.environ.clear()
for _ in range(5000):
    if os.fork(): os._exit(0)
    os.setsid()
time.sleep(60)
"""
)


@pytest.mark.parametrize(("script", "count"), PYTHON_AGENTS)
def test_whatever_an_agent_starts_ends_with_its_tree(grove: Grove, script: str, count: int) -> None:
    tree = grove.plant(script)
    pids = grove.told(count)
    assert tree.kill() >= 1
    grove.reap()
    assert not [pid for pid in pids if lives(pid)]
    assert not marked(NAME)
    assert not tree.members()
    assert not children.strays()


def test_the_end_counts_those_it_killed(grove: Grove) -> None:
    tree = grove.plant(CHILD)
    grove.told(2)
    assert tree.kill() == 2
    assert tree.kill() == 0


def test_an_agent_that_was_reaped_before_leaves_its_children_to_the_tree(grove: Grove) -> None:
    tree = grove.plant(GRANDCHILD)
    _, left = grove.told(2)
    assert grove.reap() == 0
    assert tree.members() == {left}
    assert tree.kill() == 1
    assert not lives(left)


def test_an_orphan_in_the_agents_session_is_a_member_whatever_it_wiped(grove: Grove) -> None:
    tree = grove.plant(WIPED.replace("    os.setsid()\n", ""))
    agent, left = grove.told(2)
    os.kill(agent, signal.SIGKILL)
    grove.reap()
    assert tree.members() == {left}


def test_a_fork_storm_ends(grove: Grove) -> None:
    tree = grove.plant(STORM)
    grove.told(1)
    while len(tree.members()) < 10:
        assert grove.agents[0].poll() is None
    tree.kill()
    assert grove.reap() == -signal.SIGKILL
    assert not tree.members()
    assert not marked(NAME)
    assert not children.strays()


def test_what_forks_and_leaves_again_and_again_is_caught(grove: Grove) -> None:
    tree = grove.plant(COMET)
    grove.told(1)
    assert grove.reap() == 0
    tree.kill()
    first, second = children.survey(), children.survey()
    assert not first.strays | second.strays
    assert not second.buried


def test_one_trees_end_leaves_another_untouched(grove: Grove) -> None:
    first = grove.plant(DOUBLE_FORK, name=NAME)
    mine = grove.told(2)
    other = grove.plant(DOUBLE_FORK, name=OTHER)
    theirs = grove.told(2)
    first.kill()
    assert not [pid for pid in mine if lives(pid)]
    assert other.members() == set(theirs)
    assert [state_of(pid) for pid in theirs] == ["S", "S"]
    assert other.kill() == 2


def test_a_stray_that_its_tree_has_seen_before_outlives_another_trees_end(grove: Grove) -> None:
    other = grove.plant(WIPED_LATE, name=OTHER)
    _, middle, stray = grove.told(3)
    assert stray in other.members()
    os.kill(middle, signal.SIGUSR1)
    poll_until(lambda: parent_of(stray) == os.getpid(), "the stray was not handed over")
    tree = grove.plant(PLAIN)
    grove.told(1)
    tree.kill()
    assert lives(stray)
    other.kill()
    assert not lives(stray)


def test_a_stray_that_no_tree_has_seen_ends_with_the_next_one() -> None:
    for grove in planted("walk"):
        grove.plant(WIPED, name=OTHER)
        agent, stray = grove.told(2)
        tree = grove.plant(PLAIN)
        grove.told(1)
        tree.kill()
        assert not lives(stray)
        assert lives(agent)


# --- signals --------------------------------------------------------------------------------------


def test_a_stopped_agent_obeys_a_gentle_signal(grove: Grove) -> None:
    tree = grove.plant(STOPPED)
    (pid,) = grove.told(1)
    poll_until(lambda: state_of(pid) == "T", "the agent did not stop")
    tree.signal(signal.SIGTERM)
    assert grove.reap() == -signal.SIGTERM


def test_a_signal_reaches_the_agents_own_group_only(grove: Grove) -> None:
    tree = grove.plant(DOUBLE_FORK)
    agent, escaped = grove.told(2)
    tree.signal(signal.SIGTERM)
    assert grove.reap() == -signal.SIGTERM
    assert not lives(agent)
    assert lives(escaped)


def test_a_signal_to_everyone_reaches_other_sessions(grove: Grove) -> None:
    tree = grove.plant(DOUBLE_FORK)
    _, escaped = grove.told(2)
    tree.signal(signal.SIGTERM, everyone=True)
    assert grove.reap() == -signal.SIGTERM
    poll_until(lambda: not lives(escaped), "the signal did not arrive")


def test_a_signal_to_a_tree_that_is_over_reaches_nobody(grove: Grove) -> None:
    tree = grove.plant("pass")
    assert grove.reap() == 0
    tree.signal(signal.SIGTERM, everyone=True)


# --- usage and limits -----------------------------------------------------------------------------

HOG = _SAY + "kept = b'x' * (64 << 20)\nsay()\nsignal.pause()"


def test_usage_is_that_of_all_members(grove: Grove) -> None:
    tree = grove.plant(CHILD)
    grove.told(2)
    usage = tree.usage()
    assert usage.pids == 2
    assert 1 << 20 < usage.memory_bytes < 64 << 20


def test_a_memory_hog_is_over_its_limit_and_others_are_not() -> None:
    for grove in planted("walk"):
        limits = AgentLimits(memory_bytes=48 << 20, pids=100)
        hog = grove.plant(HOG, name=NAME, limits=limits)
        grove.told(2)
        modest = grove.plant(PLAIN, name=OTHER, limits=limits)
        grove.told(1)
        assert hog.exceeded() is Exceeded.MEMORY
        assert modest.exceeded() is None


def test_without_limits_nothing_is_exceeded(grove: Grove) -> None:
    tree = grove.plant(HOG)
    grove.told(2)
    assert tree.exceeded() is None


def test_too_many_processes_exceed_their_limit() -> None:
    for grove in planted("walk"):
        tree = grove.plant(CHILD, limits=AgentLimits(pids=1))
        grove.told(2)
        assert tree.exceeded() is Exceeded.PIDS
        assert grove.containment.enforces(Limit.PIDS)


def parent_of(pid: int) -> int:
    process = read(pid)
    return 0 if process is None else process.parent
