"""An operator before a running covend with an empty store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cli.operator_desk import Operator, open_operator


@pytest.fixture
async def operator(tmp_path: Path) -> AsyncIterator[Operator]:
    async with open_operator(tmp_path) as opened:
        yield opened
