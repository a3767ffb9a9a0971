from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

import pytest

from covend.core.errors import StoreError
from covend.store.queries import Query, load_queries
from covend.store.sqlite import soundness
from covend.store.sqlite.connection import open_sqlite
from covend.store.sqlite.migrate import migrate
from covend.store.sqlite.soundness import faults_of

LONG_S = 60.0


@pytest.fixture
async def database(tmp_path: Path) -> Path:
    """One that was closed as it should be."""
    path = tmp_path / "covend.db"
    async with open_sqlite(path, queries(), migrate):
        pass
    return path


def queries() -> Mapping[str, Query]:
    return load_queries(files("covend.store.sqlite") / "queries")


def beside(path: Path) -> list[str]:
    return sorted(os.listdir(path.parent))  # noqa: PTH208


async def test_a_database_that_lies_still_is_sound_and_no_file_comes_to_it(database: Path) -> None:
    assert faults_of(database, LONG_S) == []
    assert beside(database) == ["covend.db"]


async def test_a_database_in_use_is_sound_and_stays_in_use(tmp_path: Path) -> None:
    path = tmp_path / "covend.db"
    async with open_sqlite(path, queries(), migrate):
        before = beside(path)
        assert faults_of(path, LONG_S) == []
        assert beside(path) == before


async def test_damage_is_told(database: Path) -> None:
    with database.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 8192)
    assert faults_of(database, LONG_S)


def test_what_is_no_database_is_told(tmp_path: Path) -> None:
    path = tmp_path / "covend.db"
    path.write_bytes(b"no database at all, but long enough to be read as one" * 100)
    assert faults_of(path, LONG_S) == ["file is not a database"]


async def test_a_log_without_its_index_is_left_to_the_daemon(database: Path) -> None:
    wal = database.with_name("covend.db-wal")
    wal.write_bytes(b"")
    with pytest.raises(StoreError, match="without its index"):
        faults_of(database, LONG_S)
    assert beside(database) == ["covend.db", "covend.db-wal"]


async def test_what_takes_too_long_is_given_up(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(soundness, "_STEPS", 1)
    assert faults_of(database, -1.0) is None
