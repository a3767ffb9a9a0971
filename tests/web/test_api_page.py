"""Each line of docs/api.md that asks for a list is one that the API understands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.web.desk import Desk

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
ASKED = re.compile(r'\$A(/api/v1/\w+(?:\?[^"\s]*)?)"?(?: \||$)', re.MULTILINE)
LISTS = sorted(path for path in set(ASKED.findall(PAGE.read_text())) if "?" in path)


def test_the_page_has_such_lines() -> None:
    assert len(LISTS) >= 6


@pytest.mark.parametrize("path", LISTS)
async def test_a_list_is_answered_as_the_page_asks_for_it(desk: Desk, path: str) -> None:
    answer = await desk.ask(path)
    assert answer.status == 200, answer.text
