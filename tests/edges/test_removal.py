"""Whatever an agent leaves is removed or set aside, and keeps nobody from going on."""

from __future__ import annotations

import ctypes
import os
import shutil
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from covend.edges.workspace import removal
from covend.edges.workspace.directory import (
    clear_directories,
    make_directory,
    remove_directory,
)
from covend.edges.workspace.removal import ASIDE, clear, remove
from tests.telemetry.book import Book

NOBODY = 65534
PR_SET_DUMPABLE = 4


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working directory, of one whom the modes of files bind: root goes on as nobody."""
    monkeypatch.chdir(tmp_path)
    if os.geteuid() != 0:
        yield Path()
        return
    os.chown(tmp_path, NOBODY, -1)
    os.seteuid(NOBODY)
    # As after an execve: /proc/self belongs to whom the process runs as.
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 1)
    try:
        yield Path()
    finally:
        os.seteuid(0)


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def dig(top: Path, depth: int, *, mode: int = 0o700) -> None:
    """Make directories within each other, deeper than any path may be long."""
    within = os.open(top, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=within)
        deeper = os.open("d", os.O_RDONLY, dir_fd=within)
        os.close(within)
        within = deeper
    os.fchmod(within, mode)
    os.close(within)


def full(path: Path) -> Path:
    """Make a directory with a file and a directory in it."""
    (path / "inner").mkdir(parents=True)
    (path / "file").write_text("x")
    return path


def test_a_tree_deeper_than_any_path_is_removed(tmp_path: Path) -> None:
    top = tmp_path / "t-1"
    top.mkdir()
    dig(top, 3000)
    try:
        remove(top)
        assert names(tmp_path) == []
    finally:
        # Nothing else here, pytest neither, could remove it.
        subprocess.run(["rm", "-rf", "--", str(tmp_path)], check=True)


@pytest.mark.parametrize("mode", [0o000, 0o100, 0o200, 0o400, 0o500])
def test_a_locked_directory_is_removed_wherever_it_stands(folder: Path, mode: int) -> None:
    top = folder / "t-1"
    for path in (top / "a" / "b" / "c", top / "a" / "b", top / "a", top):
        full(path)
        (path / "empty").mkdir()
        (path / "empty").chmod(mode)
    for path in (top / "a" / "b" / "c", top / "a" / "b", top / "a", top):
        path.chmod(mode)
    remove(top)
    assert names(folder) == []


def test_no_link_is_followed(tmp_path: Path) -> None:
    other = full(tmp_path / "other")
    other.chmod(0o500)
    top = full(tmp_path / "t-1")
    for place in (top, top / "inner"):
        (place / "link").symlink_to(other)
        (place / "dangling").symlink_to("nowhere")
        os.link(other / "file", place / "hard")
        os.mkfifo(place / "pipe")
    (tmp_path / "t-2").symlink_to(other)
    remove(top)
    remove(tmp_path / "t-2")
    assert names(tmp_path) == ["other"]
    assert (other / "file").read_text() == "x"
    assert stat.S_IMODE(other.stat().st_mode) == 0o500


def test_what_is_not_there_need_not_be_removed(tmp_path: Path) -> None:
    remove(tmp_path / "t-1")
    clear(tmp_path / "workspaces")


def test_who_still_writes_there_is_given_a_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    top = full(tmp_path / "t-1")
    pauses: list[float] = []
    rmdir = Path.rmdir

    def written_to(path: Path) -> None:
        if not pauses:
            (path / "late").write_text("x")
        rmdir(path)

    monkeypatch.setattr(Path, "rmdir", written_to)
    monkeypatch.setattr(time, "sleep", pauses.append)
    remove(top)
    assert names(tmp_path) == []
    assert pauses == [removal.PAUSE_S]


def test_what_vanishes_meanwhile_keeps_nothing_else_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    top = full(tmp_path / "t-1")
    for number in range(20):
        (top / "inner" / f"{number}").touch()
    unlink = os.unlink

    def vanish(path: str, *, dir_fd: int | None = None) -> None:
        unlink(path, dir_fd=dir_fd)
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(os, "unlink", vanish)
    remove(top)
    assert names(tmp_path) == []


@pytest.fixture
def stubborn(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Nothing named `kept` can be removed."""
    unlink = os.unlink

    def refuse(path: str, *, dir_fd: int | None = None) -> None:
        if path == "kept":
            raise PermissionError(1, "Operation not permitted")
        unlink(path, dir_fd=dir_fd)

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", refuse)
        patch.setattr(removal, "PAUSE_S", 0.0)
        yield patch


async def test_what_cannot_be_removed_is_logged_and_moved_aside(
    tmp_path: Path, stubborn: pytest.MonkeyPatch
) -> None:
    book = Book(stubborn)
    for name in ("t-1", "t-2"):
        (full(tmp_path / name) / "inner" / "deep").mkdir()
    (tmp_path / "t-1" / "inner" / "kept").write_text("x")
    await clear_directories(tmp_path)
    (aside,) = names(tmp_path)
    assert aside.startswith(ASIDE)
    (line,) = book.lines()
    assert (line["level"], line["path"]) == ("error", str(tmp_path / aside))
    assert "not permitted" in line["error"]

    await clear_directories(tmp_path)
    assert names(tmp_path) == [aside]
    stubborn.undo()
    await clear_directories(tmp_path)
    assert names(tmp_path) == []


@pytest.mark.usefixtures("stubborn")
async def test_an_attempt_begins_and_ends_beside_what_cannot_be_removed(tmp_path: Path) -> None:
    for _ in range(2):
        directory = await make_directory(tmp_path, "01task-1")
        assert names(directory.workspace) == []
        (directory.workspace / "kept").write_text("x")
    await remove_directory(directory)
    assert not directory.root.exists()
    assert len(names(tmp_path)) == 2


def test_a_removal_without_end_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    top = full(tmp_path / "t-1")
    monkeypatch.setattr(removal, "REMOVAL_S", 0.0)
    remove(top)
    (aside,) = tmp_path.iterdir()
    assert aside.name.startswith(ASIDE)
    shutil.rmtree(aside)


def test_a_start_waits_for_no_endless_removal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("t-1", "t-2"):
        full(tmp_path / name)
    monkeypatch.setattr(removal, "CLEAR_S", 0.0)
    clear(tmp_path)
    aside = names(tmp_path)
    assert len(aside) == 2
    assert all(name.startswith(ASIDE) for name in aside)
    removal.clear_aside(tmp_path)
    assert names(tmp_path) == []


def test_one_full_directory_does_not_outlast_the_time_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    top, clock = full(tmp_path / "t-1"), iter(range(1000))
    for number in range(50):
        (top / "inner" / f"{number}").touch()
    monkeypatch.setattr(removal, "NAMES_MAX", 2)
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    remove(top, until=5.0)
    (aside,) = names(tmp_path)
    assert aside.startswith(ASIDE)


def test_a_directory_of_many_names_is_not_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removal, "NAMES_MAX", 3)
    top = full(tmp_path / "t-1")
    for number in range(20):
        (top / f"file{number}").touch()
        (top / "inner" / f"folder{number}").mkdir()
        (top / "inner" / f"folder{number}" / "file").touch()
    remove(top)
    assert names(tmp_path) == []
