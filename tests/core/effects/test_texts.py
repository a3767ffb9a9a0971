from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covend.core.effects.marker import Marker, find, sign
from covend.core.effects.texts import (
    BODY_MAX,
    BYTES_NOTE,
    CUT_NOTE,
    clean,
    code,
    cut,
    cut_bytes,
    cut_note,
    fenced,
    one_line,
    seal,
    shorten,
    tame,
)
from tests.core.effects.effect_samples import KEY

MARKER = Marker(slot="comment/review/42/pull/7", task="01kaj.1")
SIGNED = sign(MARKER, KEY)


@given(st.text())
def test_clean_text_can_be_sent_and_cleaning_it_again_changes_nothing(text: str) -> None:
    cleaned = clean(text)
    cleaned.encode()
    assert clean(cleaned) == cleaned


@pytest.mark.parametrize(
    ("dirty", "expected"),
    [
        ("a\x00b\x1b[31mc\x7f", "ab[31mc"),
        ("one\r\ntwo\rthree", "one\ntwo\nthree"),
        ("tab\tand feed\n", "tab\tand feed\n"),
        ("access\u202e reversed\u2066", "access reversed"),
        ("half \ud83d pair", "half  pair"),
        ("für 😀", "für 😀"),
    ],
)
def test_control_characters_and_what_makes_lines_lie_are_dropped(dirty: str, expected: str) -> None:
    assert clean(dirty) == expected


@pytest.mark.parametrize(
    ("opened", "closed"),
    [
        ("```py\nx = 1", "```py\nx = 1\n```"),
        ("~~~~\nx\n~~~", "~~~~\nx\n~~~\n~~~~"),
        ("```\nx\n```", "```\nx\n```"),
        ("- item\n  ```\n  x", "- item\n  ```\n  x\n  ```"),
        ("````\n```\n````", "````\n```\n````"),
        ("```not`a fence", "```not`a fence"),
    ],
)
def test_a_fence_that_was_left_open_is_closed(opened: str, closed: str) -> None:
    assert tame(opened) == closed


def test_a_comment_left_open_hides_nothing_below_it() -> None:
    assert tame("before <!-- hidden") == "before &lt;!-- hidden"
    assert tame("```html\n<!-- code -->\n```") == "```html\n<!-- code -->\n```"


@pytest.mark.parametrize("around", ["{}", "```\n{}\n```", "text\n\n{}\n", "```\n{}"])
def test_an_agent_that_repeats_our_marker_forges_none(around: str) -> None:
    body = around.format(SIGNED)
    assert find(body, KEY) == MARKER
    assert find(tame(body), KEY) is None
    assert find(fenced(body), KEY) is None


def test_short_text_is_not_cut() -> None:
    assert cut("a\nb", 512) == "a\nb"


@given(
    st.lists(st.sampled_from(["```", "~~~~", "x" * 50, "", "  ```py"]), min_size=20, max_size=90)
)
def test_cut_text_ends_with_a_whole_line_its_fence_closed_and_a_note(lines: list[str]) -> None:
    text = "\n".join(lines)
    shorter = cut(text, 512)
    assert len(shorter) <= 512
    if len(text) > 512:
        kept = shorter.removesuffix(f"\n\n{CUT_NOTE}")
        assert kept != shorter
        assert tame(kept) == kept.strip("\n")
        *whole, _ = kept.split("\n")
        assert lines[: len(whole)] == whole


def test_a_single_endless_line_is_cut_within() -> None:
    assert cut("x" * 2000, 512).startswith("x" * 200)


def test_what_is_sealed_below_a_text_always_stays() -> None:
    body = seal("word " * BODY_MAX, "footer", SIGNED)
    assert len(body) <= BODY_MAX
    assert body.endswith(f"{CUT_NOTE}\n\nfooter\n{SIGNED}")
    assert find(body, KEY) == MARKER


@pytest.mark.parametrize(
    ("text", "written"),
    [("a.py", "`a.py`"), ("a`b", "``a`b``"), ("`a", "`` `a ``"), ("a\nb", "`a b`"), ("", "")],
)
def test_any_text_can_be_inline_code(text: str, written: str) -> None:
    assert code(text) == written


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("x\n", "```suggestion\nx\n```"),
        ("", "```suggestion\n```"),
        ("\n", "```suggestion\n\n```"),
        ("a\n```\nb", "````suggestion\na\n```\nb\n````"),
    ],
)
def test_a_fence_is_longer_than_any_in_its_content(text: str, written: str) -> None:
    assert fenced(text, "suggestion") == written


def test_one_line_is_one_line_and_not_too_long() -> None:
    assert one_line(" a\n b\tc ", 10) == "a b c"
    assert one_line("x" * 20, 10) == "x" * 9 + "…"


# --- bounds of other kinds ------------------------------------------------------------------------


def test_what_was_cut_names_where_all_of_it_can_be_read() -> None:
    note = cut_note("01kaj3v8qk7w2m5p9x4r6t1zbc")
    assert note.endswith("See `covend show 01kaj3v8qk7w2m5p9x4r6t1zbc`.*")
    assert cut("word\n" * 400, 600, note).endswith(f"word\n\n{note}")
    body = seal("word\n" * BODY_MAX, "footer", SIGNED, note=note)
    assert body.endswith(f"{note}\n\nfooter\n{SIGNED}")


@given(st.text(), st.integers(64, 400))
def test_text_cut_to_bytes_is_never_longer_and_still_text(text: str, limit: int) -> None:
    shorter = cut_bytes(clean(text) * 20, limit)
    assert len(shorter.encode()) <= limit


def test_text_cut_to_bytes_ends_with_a_whole_line_and_a_note() -> None:
    assert cut_bytes("eins\nzwei\n", 64) == "eins\nzwei\n"
    assert cut_bytes("für 😀\n" * 20, 64) == f"{'für 😀' + chr(10)}" * 3 + "für 😀\n" + BYTES_NOTE


@given(st.lists(st.sampled_from(["```", "x" * 50, "", "~~~"]), min_size=50, max_size=200))
def test_a_sealed_text_made_shorter_keeps_what_it_was_sealed_with(lines: list[str]) -> None:
    body = shorten(seal("\n".join(lines), "footer", SIGNED), 1000)
    assert len(body) <= 1000
    assert body.endswith(f"\n\nfooter\n{SIGNED}")
    assert find(body, KEY) == MARKER
