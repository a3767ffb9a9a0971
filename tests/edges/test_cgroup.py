"""Where cgroups are made, and which are never touched; a folder stands in for a cgroup where this
machine hands no controllers out.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from covend.core.settings import AgentLimits
from covend.edges import children
from covend.edges.agents import cgroup
from covend.edges.agents.cgroup import (
    NoCgroupError,
    Place,
    find_base,
    find_mount,
    find_place,
    read_table,
    recorded_group,
)
from covend.edges.agents.group import Group
from tests.edges.trees import PLACE, TASK

UNIFIED = "25 24 0:22 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate"
HYBRID = """31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw"""
PART = "25 24 0:22 /docker/1 /my\\040groups rw - cgroup2 cgroup rw"
LEGACY = "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu"


@pytest.mark.parametrize(
    ("mounts", "found"),
    [
        (UNIFIED, (Path("/sys/fs/cgroup"), "/")),
        (HYBRID, (Path("/sys/fs/cgroup/unified"), "/")),
        (PART, (Path("/my groups"), "/docker/1")),
    ],
)
def test_the_mount_is_found(mounts: str, found: tuple[Path, str]) -> None:
    assert find_mount(mounts) == found


def test_a_mount_whose_name_is_no_text_stands_in_nobodys_way(tmp_path: Path) -> None:
    table = tmp_path / "mountinfo"
    table.write_bytes(b"36 29 0:41 / /media/\xff rw - tmpfs none rw\n" + UNIFIED.encode())
    assert find_mount(read_table(table)) == (Path("/sys/fs/cgroup"), "/")


def test_without_version_2_the_reason_says_so() -> None:
    with pytest.raises(NoCgroupError, match="not mounted"):
        find_mount(LEGACY)


@pytest.mark.parametrize(
    ("root", "own", "base"),
    [
        ("/", "4:memory:/a\n0::/system.slice/covend.service", "system.slice/covend.service"),
        ("/", "0::/", "."),
        ("/docker/1", "0::/docker/1/below", "below"),
    ],
)
def test_the_own_cgroup_is_found(tmp_path: Path, root: str, own: str, base: str) -> None:
    assert find_base(tmp_path, root, own) == tmp_path / base


@pytest.mark.parametrize(
    ("root", "own"), [("/", "4:memory:/a"), ("/", "0::/../other"), ("/docker/1", "0::/docker/2")]
)
def test_an_own_cgroup_that_is_not_seen_is_a_reason(tmp_path: Path, root: str, own: str) -> None:
    with pytest.raises(NoCgroupError):
        find_base(tmp_path, root, own)


# --- what was written down is killed only if it can be covend's -----------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/m",
        "/m/",
        "/m/user.slice",
        "/m/covend-a",
        "/m/user.slice/task-1",
        "/m/covend-a/../user.slice",
        "/m/covend-a/..",
        "/m/covend-a/task-1/below",
        "/m/covend-a/a.slice",
        "/m/../etc/covend-a/task-1",
        "/elsewhere/covend-a/task-1",
        "covend-a/task-1",
        "",
    ],
)
def test_no_other_cgroup_is_taken_for_one_of_a_tree(path: str) -> None:
    assert recorded_group(Path("/m"), path) is None


@pytest.mark.parametrize("path", ["/m/covend-a/task-1", "/m/system.slice/covend-a/task-1"])
def test_the_cgroup_of_a_tree_is_known_again(path: str) -> None:
    group = recorded_group(Path("/m"), path)
    assert group is not None
    assert group.path == Path(path)


# --- controllers, on a stand-in -------------------------------------------------------------------


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """The cgroup of a unit with `Delegate=yes`, with nobody but this process in it."""
    files = {"cgroup.controllers": "cpu memory pids", "cgroup.events": "populated 1"}
    _make(tmp_path, {**files, "cgroup.subtree_control": "", "cgroup.procs": str(os.getpid())})
    _make(tmp_path / "covend-a", {"cgroup.subtree_control": ""})
    return tmp_path


def _make(path: Path, files: dict[str, str]) -> None:
    path.mkdir(exist_ok=True)
    for name, text in files.items():
        (path / name).write_text(text)


def hand_down(base: Path) -> dict[str, str]:
    return cgroup._hand_down(base, base / "covend-a")  # noqa: SLF001


def test_controllers_are_handed_down_from_a_cgroup_that_this_process_has_left(base: Path) -> None:
    _make(base / "daemon", {"cgroup.procs": ""})
    assert hand_down(base) == {}
    assert (base / "daemon" / "cgroup.procs").read_text() == str(os.getpid())
    for path in (base, base / "covend-a"):
        assert (path / "cgroup.subtree_control").read_text() == "+memory +pids +cpu"


def test_what_is_handed_down_already_needs_no_move(base: Path) -> None:
    (base / "cgroup.subtree_control").write_text("cpu io memory pids")
    assert hand_down(base) == {}
    assert not (base / "daemon").exists()


def test_somebody_elses_process_is_never_moved(base: Path) -> None:
    (base / "cgroup.procs").write_text(f"{os.getpid()}\n{os.getppid()}")
    reasons = hand_down(base)
    assert set(reasons) == {"memory", "pids", "cpus"}
    assert "1 processes of others" in reasons["memory"]
    assert not (base / "daemon").exists()


def test_a_move_that_fails_is_taken_back(base: Path) -> None:
    reasons = hand_down(base)  # a folder has no `cgroup.procs` to move to
    assert "No such file" in reasons["pids"]
    assert not (base / "daemon").exists()
    assert (base / "cgroup.procs").read_text() == str(os.getpid())


def test_a_missing_controller_is_the_reason_for_its_limit_alone(base: Path) -> None:
    (base / "cgroup.controllers").write_text("memory pids")
    _make(base / "daemon", {"cgroup.procs": ""})
    assert set(hand_down(base)) == {"cpus"}


def test_the_machines_root_is_not_told_what_to_hand_down(base: Path) -> None:
    (base / "cgroup.events").unlink()
    assert set(hand_down(base)) == {"memory", "pids", "cpus"}
    assert (base / "cgroup.subtree_control").read_text() == ""


def test_a_restart_finds_the_cgroup_above_its_leaf(base: Path) -> None:
    (base / "cgroup.procs").write_text("")
    _make(base / "daemon", {"cgroup.procs": str(os.getpid())})
    assert find_base(base.parent, "/", f"0::/{base.name}/daemon") == base


def test_a_leaf_beside_others_is_not_ours_to_leave(base: Path) -> None:
    _make(base / "daemon", {"cgroup.procs": str(os.getpid())})
    _make(base / "postgres", {})
    assert find_base(base.parent, "/", f"0::/{base.name}/daemon") == base / "daemon"


# --- limits, on a stand-in ------------------------------------------------------------------------

LIMITS = AgentLimits(memory_bytes=1 << 30, pids=64, cpus=1.5)
FILES = {"memory.max", "memory.swap.max", "memory.oom.group", "pids.max", "cpu.max"}


def test_limits_are_given_to_the_kernel(tmp_path: Path) -> None:
    _make(tmp_path, dict.fromkeys(FILES, ""))
    assert Group(tmp_path).bound(LIMITS) == {"memory", "pids", "cpus"}
    assert {name: (tmp_path / name).read_text() for name in FILES} == {
        "memory.max": str(1 << 30),
        "memory.swap.max": "0",
        "memory.oom.group": "1",
        "pids.max": "64",
        "cpu.max": "150000 100000",
    }


def test_only_what_was_taken_is_said_to_be_held(tmp_path: Path) -> None:
    _make(tmp_path, {"memory.max": ""})
    assert Group(tmp_path).bound(LIMITS) == {"memory"}
    assert Group(tmp_path).bound(AgentLimits()) == set()


@pytest.mark.parametrize(("kills", "was_ended"), [("0", False), ("2", True)])
def test_the_kernel_tells_whether_memory_ended_it(
    tmp_path: Path, kills: str, was_ended: bool
) -> None:
    _make(tmp_path, {"memory.events": f"low 0\noom 2\noom_kill {kills}\n"})
    assert Group(tmp_path).ran_out_of_memory() is was_ended


# --- the real one ---------------------------------------------------------------------------------


def test_a_cgroup_is_made_or_the_reason_is_plain() -> None:
    if isinstance(PLACE, Place):
        assert PLACE.path.name.startswith("covend-tests-")
        assert not list(PLACE.path.glob("probe*"))
        assert all(reason for reason in PLACE.refusals.values())
    else:
        assert "cgroup" in PLACE


def test_a_place_that_cannot_be_made_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(mounts: str) -> tuple[Path, str]:
        return Path("/there/is/no/such/place"), "/"

    monkeypatch.setattr(cgroup, "find_mount", nowhere)
    with pytest.raises(NoCgroupError, match="No such file"):
        find_place("tests")


class OldGroup(Group):
    """As before Linux 5.14."""

    def _write(self, name: str, value: str) -> None:
        if name == "cgroup.kill":
            raise FileNotFoundError(name)
        super()._write(name, value)


@pytest.mark.parametrize("place", [place for place in [PLACE] if isinstance(place, Place)])
@pytest.mark.parametrize("kind", [Group, OldGroup])
def test_all_in_a_cgroup_are_killed_and_it_can_be_removed(place: Place, kind: type[Group]) -> None:
    group = kind(place.group(f"{TASK}-7").path)
    nested = Group(group.path / "made-by-the-agent")
    nested.path.mkdir()
    agents = [children.start(["sleep", "60"]) for _ in range(3)]
    for agent, where in zip(agents, (group, group, nested), strict=True):
        where.add(agent.pid)
    assert group.pids() == {agent.pid for agent in agents}
    assert group.is_populated()
    group.kill()
    assert not group.is_populated()
    for agent in agents:
        assert agent.wait() == -signal.SIGKILL
        children.forget(agent)
    group.remove()
    assert not group.path.exists()


def test_cgroups_nested_deeper_than_python_recurses_are_seen_and_removed(tmp_path: Path) -> None:
    group = Group(tmp_path / "tree")
    path = group.path
    for _ in range(sys.getrecursionlimit() + 1):
        path.mkdir()
        path /= "a"
    assert group.pids() == frozenset()
    group.remove()
    assert not group.path.exists()
