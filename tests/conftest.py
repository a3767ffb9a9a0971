"""What every test has: asyncio, and a word for what this machine lacks. No stand-ins live here."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from covend.demo.github.description import Description

ROOT = Path(__file__).parent.parent


ALONE = ("tests/edges", "tests/story", "tests/bench", "tests/doctor")
"""Tests that look at the whole machine (its processes, its cgroups, its load): where there are two
processes, one of them makes all of these.
"""
BESIDE = ("tests/edges/github", "tests/edges/callbacks")
"""Tests among them that only speak HTTP."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        place = item.path.relative_to(ROOT).as_posix()
        if place.startswith(ALONE) and not place.startswith(BESIDE):
            item.add_marker(pytest.mark.xdist_group("alone"))


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def own_umask() -> Iterator[None]:
    """A daemon that starts within a test makes nothing that others may read, for good."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture(scope="session")
def lacking() -> Callable[[str], NoReturn]:
    """Call it with what is not there: skips the test, in CI (`CI=true`) fails it."""

    def give_up(what: str) -> NoReturn:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{what} is missing, and CI must have it")
        pytest.skip(f"{what} is missing")

    return give_up


SHARED = Path(os.environ.get("COVEND_SHARED") or ROOT.parent / "shared")


@pytest.fixture(scope="session")
def shared(lacking: Callable[[str], NoReturn]) -> Path:
    """Recorded payloads and agents' output: $COVEND_SHARED, else `shared` beside the project."""
    return SHARED if SHARED.is_dir() else lacking(str(SHARED))


@pytest.fixture(scope="session")
def description(request: pytest.FixtureRequest) -> Description | None:
    """GitHub's own word on what may be sent. Where it is not at hand the stand-in is less strict,
    and the tests run all the same; in CI it must be there.
    """
    if not SHARED.is_dir() and os.environ.get("CI") != "true":
        return None
    shared: Path = request.getfixturevalue("shared")
    return Description.read(shared / "github" / "openapi-slim.json")
