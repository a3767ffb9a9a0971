"""What an agent leaves in its directory is read as what it is, and nothing outside through it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from covend.core.contract.result import RESULT_BYTES_MAX
from covend.core.errors import InvalidResultError
from covend.edges.workspace.directory import (
    Directory,
    make_directory,
    read_result,
    remove_directory,
    write_brief,
)


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


async def test_the_attempts_directory_is_private_and_the_result_is_outside_the_checkout(
    tmp_path: Path,
) -> None:
    directory = await make_directory(tmp_path / "attempts", "01task-2")
    write_brief(directory, b"{}")
    assert directory.root == tmp_path / "attempts" / "01task-2"
    assert directory.root.stat().st_mode & 0o777 == 0o700
    assert directory.places.result == directory.root / "exchange" / "result.json"
    assert directory.brief.read_bytes() == b"{}"
    assert files(directory.workspace) == set()


async def test_what_an_earlier_start_left_is_removed(tmp_path: Path) -> None:
    before = await make_directory(tmp_path, "01task-1")
    before.result.write_text("stale")
    (before.workspace / "link").symlink_to(tmp_path.parent)
    again = await make_directory(tmp_path, "01task-1")
    assert not again.result.exists()
    assert files(again.workspace) == set()
    assert tmp_path.parent.exists()


async def test_read_only_caches_can_be_removed(tmp_path: Path) -> None:
    directory = await make_directory(tmp_path, "01task-1")
    locked = directory.workspace / "cache" / "deep"
    locked.mkdir(parents=True)
    (locked / "file").write_text("x")
    locked.chmod(0o500)
    locked.parent.chmod(0o500)
    await remove_directory(directory)
    await remove_directory(directory)
    assert not directory.root.exists()


@pytest.fixture
async def directory(tmp_path: Path) -> Directory:
    return await make_directory(tmp_path, "01task-1")


async def test_no_result_is_none(directory: Directory) -> None:
    assert read_result(directory.result) is None


async def test_a_result_is_read_up_to_its_limit(directory: Directory) -> None:
    directory.result.write_bytes(b"x" * RESULT_BYTES_MAX)
    assert read_result(directory.result) == b"x" * RESULT_BYTES_MAX
    directory.result.write_bytes(b"x" * (RESULT_BYTES_MAX + 1))
    with pytest.raises(InvalidResultError, match="larger"):
        read_result(directory.result)


async def test_a_result_is_never_read_through_a_link(directory: Directory) -> None:
    directory.result.symlink_to("/etc/hostname")
    with pytest.raises(InvalidResultError, match="link"):
        read_result(directory.result)


async def test_a_directory_that_became_a_link_is_not_followed(
    directory: Directory, tmp_path: Path
) -> None:
    (tmp_path / "result.json").write_text("{}")
    directory.exchange.rmdir()
    directory.exchange.symlink_to(tmp_path)
    with pytest.raises(InvalidResultError, match="link"):
        read_result(directory.result)


async def test_a_pipe_or_directory_is_no_result_and_does_not_block(directory: Directory) -> None:
    os.mkfifo(directory.result)
    with pytest.raises(InvalidResultError, match="regular"):
        read_result(directory.result)
    directory.result.unlink()
    directory.result.mkdir()
    with pytest.raises(InvalidResultError, match="regular"):
        read_result(directory.result)


async def test_an_attempts_directory_that_became_a_link_is_not_followed(
    directory: Directory, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    (other / "exchange").mkdir(parents=True)
    (other / "exchange" / "result.json").write_text("{}")
    await remove_directory(directory)
    directory.root.symlink_to(other)
    with pytest.raises(InvalidResultError, match="link"):
        read_result(directory.result)
    await remove_directory(directory)
    assert not directory.root.is_symlink()
    assert (other / "exchange" / "result.json").read_text() == "{}"


@pytest.mark.parametrize("place", ["workspace", "exchange", "home"])
async def test_removal_leaves_what_a_link_in_a_directorys_place_points_at(
    directory: Directory, tmp_path: Path, place: str
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "file").write_text("x")
    (directory.root / place).rmdir()
    (directory.root / place).symlink_to(other)
    await remove_directory(directory)
    assert not directory.root.exists()
    assert (other / "file").read_text() == "x"


async def test_a_brief_is_written_through_no_link(directory: Directory, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("mine")
    directory.brief.symlink_to(other)
    write_brief(directory, b"{}")
    assert (directory.brief.read_bytes(), other.read_text()) == (b"{}", "mine")


async def test_an_attempt_has_a_home_of_its_own(directory: Directory) -> None:
    assert directory.home == directory.root / "home"
    assert directory.home.stat().st_mode & 0o777 == 0o700
