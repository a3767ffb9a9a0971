from __future__ import annotations

import re
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from covend.core.ansi import PLAIN, Segment, harmless, read_line, read_lines

ESC = "\x1b"
HARMFUL = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
CLASSES = re.compile(r"(?:(?:bold|dim|italic|underline|strike|[fb](?:[0-9]|1[0-5]))(?: |$))*")
PIECES = st.sampled_from(
    [ESC, "[", "]", "m", "0", "1;31", ";", ":", "38;5;", "48;2;", "\x07", "\\", "\x9b", "\x9d", "P"]
)
LINES = st.one_of(
    st.text(st.characters(exclude_categories=())), st.lists(PIECES | st.text()).map("".join)
)


def text_of(line: str) -> str:
    return "".join(segment.text for segment in read_line(line)[0])


@given(LINES)
@example(f"{ESC}[38;5;m")
@example(f"{ESC}[{'9' * 5000}m")
@example(f"{ESC}[38:2::1:2:3m{ESC}[38;2;1m")
def test_whatever_is_printed_becomes_harmless_pieces_of_known_classes(line: str) -> None:
    segments, _ = read_line(line)
    for segment in segments:
        assert not HARMFUL.search(segment.text.replace("\n", ""))
        assert CLASSES.fullmatch(segment.classes)


@given(st.text(st.characters(exclude_categories=("C", "Z"))))
def test_text_without_escapes_stays_as_it_is(line: str) -> None:
    assert text_of(line) == line


@given(st.text(), st.text())
def test_what_is_harmless_stays_so(first: str, second: str) -> None:
    once = harmless(first + second)
    assert harmless(once) == once


@pytest.mark.parametrize(
    ("codes", "classes"),
    [
        ("31", "f1"),
        ("1;32", "bold f2"),
        ("97;104", "f15 b12"),
        ("2;3;4;9", "dim italic strike underline"),
        ("7", "f0 b7"),
        ("31;7", "f0 b1"),
        ("38;5;196", "f9"),
        ("38;5;232", "f0"),
        ("48;5;21", "b4"),
        ("38;2;250;250;250", "f15"),
        ("38:2::0:200:0", "f2"),
        ("38:2:0:200:0", "f2"),
        ("38:5:3", "f3"),
        ("4:0", ""),
        ("31;39", ""),
        ("1;22", ""),
        ("1;0", ""),
        ("", ""),
        ("5;8;77;9999", ""),
        ("38;5;256", ""),
        ("38;9;1;31", "bold f1"),
    ],
)
def test_what_a_terminal_would_colour_gets_a_name(codes: str, classes: str) -> None:
    assert read_line(f"{ESC}[{codes}mtext")[0] == (Segment("text", classes),)


@pytest.mark.parametrize(
    "escape",
    [
        "[2J",
        "[H",
        "[?25l",
        "[6n",
        "[>c",
        "]0;owned\x07",
        "]52;c;b3duZWQ=\x07",
        "]8;;javascript:alert(1)\x1b\\",
        "P1$qm\x1b\\",
        "_Gf=100;AAAA\x1b\\",
        "^private\x1b\\",
        "c",
        "(B",
        "7",
    ],
)
def test_what_does_more_than_colour_is_gone(escape: str) -> None:
    assert text_of(f"a{ESC}{escape}b") == "ab"


def test_a_title_without_an_end_hides_nothing_that_follows() -> None:
    assert text_of(f"a{ESC}]0;the rest of the line") == "a0;the rest of the line"


def test_what_turns_the_reading_direction_is_shown_as_a_sign() -> None:
    assert text_of("a\u202eb\u2066c") == "a\\u202eb\\u2066c"


def test_what_overwrites_is_shown_as_a_sign() -> None:
    assert text_of("good\rbad\b!") == "good\u240dbad\u2408!"


def test_one_byte_introducers_are_escapes_as_well() -> None:
    assert read_line("\x9b31mred\x9d0;t\x9c")[0] == (Segment("red", "f1"),)


def test_a_colour_goes_on_over_lines_until_it_is_ended() -> None:
    lines = [f"{ESC}[31mone", "two", f"{ESC}[0mthree"]
    assert [line[0].classes for line in read_lines(lines)] == ["f1", "f1", ""]


def test_pieces_that_look_alike_are_one() -> None:
    assert read_line(f"a{ESC}[0mb{ESC}[2Jc") == ((Segment("abc", ""),), PLAIN)


@pytest.mark.parametrize("piece", [ESC, f"{ESC}]", "\x9d", f"{ESC}[1", f"{ESC}]0;x", f"{ESC}[;"])
def test_a_megabyte_made_to_be_slow_is_not(piece: str) -> None:
    began = time.perf_counter()
    read_line(piece * (1_000_000 // len(piece)))
    assert time.perf_counter() - began < 10


def test_a_long_list_of_parameters_is_read_once() -> None:
    began = time.perf_counter()
    read_line(f"{ESC}[{'1;' * 400_000}m")
    assert time.perf_counter() - began < 10
