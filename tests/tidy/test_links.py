"""Every link from one page of the project to another leads somewhere, down to the heading."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]*`")


def links_in(text: str) -> list[str]:
    """List the targets that are within the project; what is shown as code links nowhere."""
    prose = _FENCED.sub("", text)
    found = [match[1] for match in _LINK.finditer(_CODE.sub("code", prose))]
    return [target for target in found if not target.startswith(("https://", "http://"))]


@cache
def anchors_of(page: Path) -> frozenset[str]:
    """Give the anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ +(.+?) *$", _FENCED.sub("", page.read_text()), re.MULTILINE)
    kept = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return frozenset(heading.replace(" ", "-") for heading in kept)


def broken_in(page: Path, text: str) -> list[str]:
    """Say of each link that leads nowhere what it names."""
    broken = []
    for target in links_in(text):
        name, _, anchor = target.partition("#")
        aim = (page.parent / name).resolve() if name else page
        if not aim.exists() or (anchor and aim.suffix == ".md" and anchor not in anchors_of(aim)):
            broken.append(target)
    return broken


@pytest.mark.parametrize("name", NAMES)
def test_a_link_within_the_project_leads_somewhere(name: str) -> None:
    page = ROOT / name
    assert broken_in(page, page.read_text()) == []


@pytest.mark.parametrize(
    "text",
    ["[one](nowhere.md)", "[two](README.md#no-such-heading)", "[three](#nor-this)", "![](no.png)"],
)
def test_a_link_that_leads_nowhere_is_seen(text: str) -> None:
    assert len(broken_in(ROOT / "README.md", text)) == 1


def test_what_is_shown_as_code_is_no_link() -> None:
    assert broken_in(ROOT / "README.md", "`[a](b.md)`\n```\n[c](d.md)\n```\n") == []


def test_every_page_of_the_docs_is_in_their_index() -> None:
    index = ROOT / "docs/README.md"
    listed = {(index.parent / link).resolve() for link in links_in(index.read_text())}
    pages = {page for page in (ROOT / "docs").glob("*.md") if page != index}
    assert pages <= listed


def test_every_place_that_the_architecture_names_is_there() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    named = set(re.findall(r"`(?:covend/)?([a-z_]+/[\w/.]*(?:\.py|\.sql|/))`", text))
    assert len(named) > 50
    places = (ROOT / "covend", ROOT)
    assert not [name for name in named if not any((place / name).exists() for place in places)]


def test_the_architecture_fits_in_the_head() -> None:
    assert len((ROOT / "ARCHITECTURE.md").read_text().splitlines()) <= 150
