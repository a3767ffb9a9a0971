from __future__ import annotations

import io
import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from covend.cli.render import Cell, PlainScreen, print_json, safe, safe_lines
from covend.cli.terminal import TerminalScreen

BIDI = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def is_harmless(text: str) -> bool:
    return not any(unicodedata.category(one) in {"Cc", "Zl", "Zp", "Cs"} for one in text) and not (
        BIDI & set(text)
    )


ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()))


@given(ANY_TEXT)
def test_no_text_is_harmful_or_more_than_a_line(text: str) -> None:
    assert is_harmless(safe(text))
    assert all(is_harmless(line) for line in safe_lines(text))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 漢 👩\u200d💻", "plain é 漢 👩\u200d💻"),
        ("a\nb\r\nc", "a b c"),
        ("a\tb", "a b"),
        ("\x1b[31m", "\\x1b[31m"),
        ("\x9b2J", "\\x9b2J"),
        ("\u202egnp", "\\u202egnp"),
        ("[red]", "[red]"),
    ],
)
def test_what_is_harmful_is_shown_as_its_escape(text: str, shown: str) -> None:
    assert safe(text) == shown


@given(st.dictionaries(st.text(), st.text() | st.integers(0, 9) | st.none()))
def test_printed_json_is_the_same_data_and_harmless(data: dict[str, object]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        written = io.StringIO()
        patch.setattr("sys.stdout", written)
        print_json(data)
    assert json.loads(written.getvalue()) == data
    assert all(is_harmless(line) for line in written.getvalue().split("\n"))


def test_plain_columns_are_as_wide_as_their_widest_value(
    capsys: pytest.CaptureFixture[str],
) -> None:
    PlainScreen().table(("A", "B"), [(Cell("long value"), Cell("")), (Cell("x"), Cell("y"))])
    assert capsys.readouterr().out == "A           B\nlong value\nx           y\n"


def test_a_terminal_takes_no_markup_from_a_value() -> None:
    written = io.StringIO()
    console = Console(file=written, force_terminal=True, width=80, color_system=None)
    screen = TerminalScreen(console)
    screen.title([Cell("[red]a[/red]")])
    screen.fields([("name", Cell("[link=x]b[/link]"))])
    screen.table(("HEAD",), [(Cell(":smile:"),)])
    screen.lines("[bold]c\n\x1b[2Jd")
    shown = written.getvalue()
    for text in ("[red]a[/red]", "[link=x]b[/link]", ":smile:", "[bold]c", "\\x1b[2Jd"):
        assert text in shown


def test_a_line_that_has_no_room_goes_on_right_of_its_mark() -> None:
    written = io.StringIO()
    console = Console(file=written, force_terminal=True, width=20, color_system=None)
    TerminalScreen(console).title([Cell("  ✓"), Cell("on"), Cell("is one, wants another")])
    assert [line.rstrip() for line in written.getvalue().splitlines()] == [
        "  ✓  on  is one,",
        "     wants another",
    ]
