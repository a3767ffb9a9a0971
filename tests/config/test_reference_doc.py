from __future__ import annotations

from covend.config.walk import walk
from docs import make_reference


def test_the_page_is_what_the_schema_says() -> None:
    written = make_reference.PAGE.read_text(encoding="utf-8")
    assert written == make_reference.render(), "run .venv/bin/python docs/make_reference.py"


def test_every_key_is_on_the_page() -> None:
    page = make_reference.render()
    for entry in walk():
        key = entry.name.replace(".NAME", "").replace("[]", "").rpartition(".")[2]
        # What is in a secret, or in the terms of trust, is told once for all.
        ways = (f"{key}`", f"`[{key}", f"`[[{key}]]", f"`{key} =", f"{{ {key} =")
        assert any(way in page for way in ways), entry.name
