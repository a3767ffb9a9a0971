"""A Chromium for the tests of a file, and a window of it for each test."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from selenium.webdriver import Chrome

from tests.browser.window import CHROMIUM, DRIVER, open_chromium
from tests.story.conftest import staged

__all__ = ["staged"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let one process make all of them: it starts one Chromium."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.xdist_group("browser"))


@pytest.fixture(scope="module")
def profile() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="covend-browser-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # Chromium's last words may still be written


@pytest.fixture(scope="module")
def chromium(profile: Path, lacking: Callable[[str], NoReturn]) -> Iterator[Chrome]:
    yield from _started(profile / "scripts", lacking, scripts=True)


@pytest.fixture(scope="module")
def plain_chromium(profile: Path, lacking: Callable[[str], NoReturn]) -> Iterator[Chrome]:
    """One that runs no scripts of any page."""
    yield from _started(profile / "plain", lacking, scripts=False)


def _started(
    profile: Path, lacking: Callable[[str], NoReturn], *, scripts: bool
) -> Iterator[Chrome]:
    for program in (CHROMIUM, DRIVER):
        if not program.exists():
            lacking(str(program))
    chrome = open_chromium(profile, scripts=scripts)
    try:
        yield chrome
    finally:
        chrome.quit()
