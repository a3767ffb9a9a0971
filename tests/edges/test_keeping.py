"""Failed workspaces are kept for their time and within their budget, and none is taken away from
under somebody.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import pytest

from covend.core.settings import Checkout as Kind
from covend.edges.workspace import keeping, removal
from covend.edges.workspace.checkout import Checkout, checkout
from covend.edges.workspace.directory import Directory, make_directory, remove_directory
from covend.edges.workspace.keeping import Workspaces
from covend.edges.workspace.occupants import occupants
from covend.edges.workspace.sizes import disk_bytes
from tests.edges.forge import Forge, make_forge, run_git
from tests.telemetry.book import Book

DAY_S = 86_400.0
PLENTY = 1 << 40
KIB = 1 << 10


@pytest.fixture
def rooms(tmp_path: Path) -> Workspaces:
    return Workspaces(tmp_path / "state")


@pytest.fixture
def forge(tmp_path: Path) -> Forge:
    return make_forge(tmp_path)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


async def made(rooms: Workspaces, number: int) -> Directory:
    return await make_directory(rooms.root, f"01task-{number}")


async def kept(rooms: Workspaces, number: int, *, age_s: float = 0, size: int = 0) -> Path:
    directory = await made(rooms, number)
    (directory.workspace / "file").write_bytes(b"x" * size)
    place = await rooms.keep(directory)
    grow_old(place, age_s)
    return place


def grow_old(path: Path, age_s: float) -> None:
    then = time.time() - age_s
    os.utime(path, (then, then), follow_symlinks=False)


async def cloned(rooms: Workspaces, forge: Forge, number: int, repository: int) -> Checkout:
    spec = forge.spec(Kind.HEAD, repository_id=repository)
    return await checkout(spec, await made(rooms, number), rooms.mirrors)


def mirror_of(done: Checkout, *, age_s: float = 0) -> Path:
    assert done.mirror is not None
    grow_old(done.mirror.path / "used", age_s)
    return done.mirror.path


# --- age and budget -------------------------------------------------------------------------------


async def test_a_kept_workspace_has_its_own_name_and_all_that_was_in_it(rooms: Workspaces) -> None:
    place = await kept(rooms, 2, size=5)
    assert (place, names(rooms.root)) == (rooms.kept / "01task-2", [])
    assert names(place) == ["exchange", "home", "workspace"]
    assert (place / "workspace" / "file").read_bytes() == b"xxxxx"
    assert rooms.kept.stat().st_mode & 0o777 == 0o700
    again = await kept(rooms, 2)
    assert again == rooms.kept / "01task-2.1"


async def test_a_kept_workspace_is_still_a_repository(rooms: Workspaces, forge: Forge) -> None:
    done = await cloned(rooms, forge, 1, 7)
    place = await rooms.keep(Directory(root=done.path.parent))
    await rooms.tidy(age_s=DAY_S, budget_bytes=PLENTY)
    assert run_git(place / "workspace", "status", "--porcelain") == ""


async def test_what_is_older_than_its_time_goes(rooms: Workspaces) -> None:
    for number, age_s in enumerate((0, DAY_S - 60, DAY_S + 60)):
        await kept(rooms, number, age_s=age_s)
    living = await made(rooms, 9)
    grow_old(living.root, 99 * DAY_S)
    done = await rooms.tidy(age_s=DAY_S, budget_bytes=PLENTY)
    assert (done.kept_count, names(rooms.kept)) == (1, ["01task-0", "01task-1"])
    assert living.workspace.is_dir()


async def test_beyond_the_budget_the_oldest_go_first(rooms: Workspaces) -> None:
    for number in range(4):
        await kept(rooms, number, age_s=100 * (4 - number), size=1000 * KIB)
    done = await rooms.tidy(age_s=DAY_S, budget_bytes=2500 * KIB)
    assert (done.kept_count, names(rooms.kept)) == (2, ["01task-2", "01task-3"])
    assert 2000 * KIB <= done.left_bytes <= 2500 * KIB


async def test_the_mirrors_go_last_the_least_recently_used_first(
    rooms: Workspaces, forge: Forge
) -> None:
    mirrors = []
    for number in range(3):
        mirrors.append(mirror_of(await cloned(rooms, forge, number, number), age_s=DAY_S - number))
        await remove_directory(Directory(root=rooms.root / f"01task-{number}"))
    await kept(rooms, 5, size=100 * KIB)
    total = sum(disk_bytes(path, time.monotonic() + 60) for path in mirrors)
    done = await rooms.tidy(age_s=DAY_S, budget_bytes=total - 1)
    assert (done.kept_count, done.mirrors_count) == (1, 1)
    assert names(rooms.mirrors.root) == sorted(path.name for path in mirrors[1:])


@pytest.mark.parametrize("state", ["at work", "kept and occupied", "rested too little"])
async def test_a_mirror_in_use_stays_whatever_it_takes(
    rooms: Workspaces, forge: Forge, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    book = Book(monkeypatch)
    done = await cloned(rooms, forge, 1, 7)
    directory = Directory(root=done.path.parent)
    mirror = mirror_of(done, age_s=0 if state == "rested too little" else DAY_S)
    if state == "kept and occupied":
        place = await rooms.keep(directory)
        with somebody(place):
            await rooms.tidy(age_s=DAY_S, budget_bytes=0)
    else:
        if state == "rested too little":
            await remove_directory(directory)
        await rooms.tidy(age_s=DAY_S, budget_bytes=0)
    assert names(rooms.mirrors.root) == [mirror.name]
    assert "limits.workspaces is exceeded" in book.text


async def test_a_mirror_that_was_replaced_goes_once_nobody_borrows_from_it(
    rooms: Workspaces, forge: Forge
) -> None:
    done = await cloned(rooms, forge, 1, 7)
    (mirror_of(done) / "HEAD").unlink()
    fresh = await cloned(rooms, forge, 2, 7)
    mirror_of(done, age_s=DAY_S)
    await rooms.tidy(age_s=DAY_S, budget_bytes=PLENTY)
    assert len(names(rooms.mirrors.root)) == 2
    await remove_directory(Directory(root=done.path.parent))
    await rooms.tidy(age_s=DAY_S, budget_bytes=PLENTY)
    assert names(rooms.mirrors.root) == [mirror_of(fresh).name]


async def test_nothing_there_is_nothing_to_tidy(rooms: Workspaces) -> None:
    done = await rooms.tidy(age_s=DAY_S, budget_bytes=0)
    assert (done.kept_count, done.mirrors_count, done.left_bytes) == (0, 0, 0)


async def test_the_start_clears_attempts_and_keeps_what_was_kept(
    rooms: Workspaces, forge: Forge
) -> None:
    await kept(rooms, 1)
    done = await cloned(rooms, forge, 2, 7)
    (mirror_of(done) / "HEAD.lock").write_text("")
    (rooms.mirrors.root / ".making-x").mkdir()
    await rooms.clean_up()
    assert (names(rooms.root), names(rooms.kept)) == ([], ["01task-1"])
    assert names(rooms.mirrors.root) == [mirror_of(done).name]
    assert not (mirror_of(done) / "HEAD.lock").exists()


# --- links and odd things -------------------------------------------------------------------------


async def test_no_link_is_followed_when_tidying(rooms: Workspaces, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "mirror").write_text("x")
    (outside / "big").write_bytes(b"x" * 1000 * KIB)
    place = await kept(rooms, 1, age_s=10)
    (place / "workspace" / "link").symlink_to(outside)
    (rooms.kept / "linked").symlink_to(outside)
    assert disk_bytes(place, time.monotonic() + 60) < 100 * KIB
    assert (await rooms.tidy(age_s=DAY_S, budget_bytes=500 * KIB)).kept_count == 0
    await rooms.tidy(age_s=DAY_S, budget_bytes=0)
    assert names(rooms.kept) == []
    assert names(outside) == ["big", "mirror"]


@pytest.mark.parametrize("what", ["link", "pipe", "directory", "bytes", "large"])
async def test_an_odd_note_of_the_mirror_is_no_note(
    rooms: Workspaces, tmp_path: Path, what: str
) -> None:
    note = (await kept(rooms, 1)) / "mirror"
    match what:
        case "link":
            note.symlink_to("/dev/zero")
        case "pipe":
            os.mkfifo(note)
        case "directory":
            note.mkdir()
        case "bytes":
            note.write_bytes(b"\xff\0")
        case _:
            note.write_bytes(b"x" * 10_000)
    await rooms.tidy(age_s=DAY_S, budget_bytes=0)
    assert names(rooms.kept) == []


def test_a_file_of_several_names_is_counted_once(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 100 * KIB)
    before = disk_bytes(tmp_path, time.monotonic() + 60)
    for number in range(10):
        (tmp_path / f"b{number}").hardlink_to(tmp_path / "a")
    assert disk_bytes(tmp_path, time.monotonic() + 60) < before + 50 * KIB


def test_counting_many_files_takes_no_memory(tmp_path: Path) -> None:
    for number in range(2000):
        (tmp_path / f"{number:0100}").touch()
    tracemalloc.start()
    try:
        disk_bytes(tmp_path, time.monotonic() + 60)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 64 * KIB


async def test_counting_ends_in_time(rooms: Workspaces, monkeypatch: pytest.MonkeyPatch) -> None:
    book = Book(monkeypatch)
    await kept(rooms, 1, size=100 * KIB)
    monkeypatch.setattr(keeping, "SIZES_S", 0.0)
    done = await rooms.tidy(age_s=DAY_S, budget_bytes=PLENTY)
    assert done.left_bytes == 0
    assert "not all of the workspaces could be counted" in book.text


# --- under a living process -----------------------------------------------------------------------

CWD = "import os, sys; os.chdir(sys.argv[1])"
OPEN = "import sys; held = open(sys.argv[1] + '/workspace/deep/file')"
FOLDER = "import os, sys; held = os.open(sys.argv[1] + '/workspace/deep', os.O_RDONLY)"
WAIT = "; print('in', flush=True); sys.stdin.read()"


class somebody:  # noqa: N801  reads as one
    """A process with a place in a directory, until the end of the block."""

    def __init__(self, place: Path, how: str = CWD, before: tuple[str, ...] = ()) -> None:
        (place / "workspace" / "deep").mkdir(parents=True, exist_ok=True)
        (place / "workspace" / "deep" / "file").write_text("x")
        self._argv = [*before, sys.executable, "-c", how + WAIT, str(place)]

    def __enter__(self) -> int:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(self._argv, stdin=pipe, stdout=pipe)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"in\n"
        return self._process.pid

    def __exit__(self, *_: object) -> None:
        self._process.communicate()


@pytest.mark.parametrize("how", [CWD, OPEN, FOLDER], ids=["cwd", "file", "folder"])
async def test_a_kept_workspace_is_not_removed_under_a_process(
    rooms: Workspaces, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    book = Book(monkeypatch)
    place = await kept(rooms, 1)
    with somebody(place, how) as pid:
        grow_old(place, 2 * DAY_S)
        assert (await rooms.tidy(age_s=DAY_S, budget_bytes=0)).kept_count == 0
        assert (place / "workspace" / "deep" / "file").exists()
        assert {str(place), pid} <= {
            value for line in book.lines() for value in (line.get("path"), *line.get("pids", []))
        }
    assert (await rooms.tidy(age_s=DAY_S, budget_bytes=0)).kept_count == 1
    assert names(rooms.kept) == []


async def test_a_workspace_under_a_process_is_moved_aside_until_it_has_gone(
    rooms: Workspaces, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removal, "LEAVING_S", 0.1)
    book = Book(monkeypatch)
    directory = await made(rooms, 1)
    with somebody(directory.root) as pid:
        await remove_directory(directory)
        (aside,) = names(rooms.root)
        assert aside.startswith(removal.OCCUPIED)
        (line,) = book.lines()
        assert (line["path"], line["pids"]) == (str(rooms.root / aside), [pid])
        again = await made(rooms, 1)
        assert names(again.workspace) == []
        await rooms.tidy(age_s=DAY_S, budget_bytes=PLENTY)
        assert names(rooms.root) == sorted([aside, "01task-1"])
    await rooms.tidy(age_s=DAY_S, budget_bytes=PLENTY)
    assert names(rooms.root) == ["01task-1"]


async def test_who_sees_it_only_by_a_mount_of_another_name_is_found(rooms: Workspaces) -> None:
    place, other = await kept(rooms, 1), await kept(rooms, 2)
    before: tuple[str, ...] = ("bwrap", "--unshare-user", "--ro-bind", "/", "/", "--tmpfs", "/mnt")
    before += ("--bind", str(place / "workspace"), "/mnt", "--tmpfs", str(rooms.kept))
    before += ("--bind", str(place / "workspace"), str(place / "workspace"), "--chdir", "/mnt")
    with somebody(place, "import os, sys", before):
        assert set(occupants([place, other])) == {place}
    assert occupants([place, other]) == {}


async def test_a_neighbour_of_the_same_beginning_is_somebody_else(rooms: Workspaces) -> None:
    place, longer = await kept(rooms, 1), await kept(rooms, 11)
    with somebody(longer):
        assert set(occupants([place, longer])) == {longer}
