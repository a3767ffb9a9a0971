"""What tests of several edges begin with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from tests.edges.confined import House, house


@pytest.fixture
def home(lacking: Callable[[str], NoReturn]) -> Iterator[House]:
    """An attempt's places in a state directory, on a machine that has bubblewrap."""
    if not Path("/usr/bin/bwrap").exists():
        lacking("bubblewrap")
    with house() as built:
        yield built
