from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from covend.core.effects.annotations import (
    ANNOTATIONS_MAX,
    BATCH_MAX,
    MESSAGE_BYTES_MAX,
    TITLE_MAX,
    annotate,
)
from covend.core.effects.texts import BYTES_NOTE
from covend.core.ending import Finding
from tests.core.effects.effect_samples import FINDING


def annotation(**changed: Any) -> dict[str, Any]:
    (batch,) = annotate([replace(FINDING, **changed)]).batches
    (only,) = batch
    return only


def test_a_finding_is_an_annotation_on_its_lines() -> None:
    assert annotation() == {
        "path": "src/till/scan.py",
        "start_line": 3,
        "end_line": 3,
        "annotation_level": "failure",
        "title": "Error",
        "message": "The default is shared.",
    }


def test_a_range_begins_before_it_ends_and_has_no_columns() -> None:
    found = annotation(line=2, start_line=9)
    assert (found["start_line"], found["end_line"]) == (2, 9)
    assert not {"start_column", "end_column"} & set(found)


@pytest.mark.parametrize(
    ("severity", "level", "title"),
    [
        ("error", "failure", "Error"),
        (" Warning", "warning", "Warning"),
        ("info", "notice", "Note"),
        ("nit", "notice", "Nit"),
        ("", "notice", "Note"),
    ],
)
def test_a_severity_is_a_level(severity: str, level: str, title: str) -> None:
    found = annotation(severity=severity)
    assert (found["annotation_level"], found["title"]) == (level, title)


def test_a_suggestion_is_among_the_details() -> None:
    assert annotation(suggestion="x = 1\n")["raw_details"] == "Suggested instead:\n\nx = 1"
    assert "raw_details" not in annotation(suggestion="")


def test_what_nobody_can_see_is_not_in_a_message_and_a_message_is_never_empty() -> None:
    assert annotation(body="a\x00b\x1b[31m\u202e")["message"] == "ab[31m"
    assert annotation(body="\x00")["message"] == "Error"


@pytest.mark.parametrize(
    "changed",
    [
        {"side": "LEFT"},
        {"path": "/etc/passwd"},
        {"path": "../up.py"},
        {"path": "a//b.py"},
        {"path": "a\x00.py"},
        {"path": "a\n.py"},
        {"path": ""},
        {"path": "x" * 5000},
        {"line": 0},
        {"line": 2**31},
    ],
)
def test_a_finding_without_a_line_of_the_head_is_listed_instead(changed: dict[str, Any]) -> None:
    wrong = replace(FINDING, **changed)
    found = annotate([FINDING, wrong])
    assert [len(batch) for batch in found.batches] == [1]
    assert found.beside == (wrong,)


@pytest.mark.parametrize(
    ("count", "batches", "surplus"),
    [
        (0, [], 0),
        (50, [50], 0),
        (51, [50, 1], 0),
        (500, [50] * 10, 0),
        (507, [50] * 10, 7),
    ],
)
def test_annotations_come_in_batches_of_fifty_and_end_at_five_hundred(
    count: int, batches: list[int], surplus: int
) -> None:
    found = annotate([replace(FINDING, line=line + 1) for line in range(count)])
    assert [len(batch) for batch in found.batches] == batches
    assert found.surplus_count == surplus
    lines = [each["end_line"] for batch in found.batches for each in batch]
    assert lines == list(range(1, min(count, ANNOTATIONS_MAX) + 1))


def test_an_endless_message_is_cut_to_bytes_on_a_whole_line() -> None:
    message = annotation(body="für 😀\n" * MESSAGE_BYTES_MAX)["message"]
    assert len(message.encode()) <= MESSAGE_BYTES_MAX
    assert message.endswith(f"für 😀\n{BYTES_NOTE}")


@settings(max_examples=100)
@given(
    st.lists(
        st.builds(
            Finding,
            path=st.text(max_size=30) | st.just("src/a.py"),
            line=st.integers(1, 2**31 - 1),
            start_line=st.none() | st.integers(1, 2**31 - 1),
            side=st.sampled_from(["LEFT", "RIGHT"]),
            severity=st.text(max_size=400),
            body=st.text(max_size=50) | st.just("für 😀 " * 20_000),
            suggestion=st.none() | st.text(max_size=50) | st.just("😀" * 20_000),
        ),
        max_size=120,
    )
)
def test_whatever_is_found_stays_within_the_bounds_and_none_is_lost(
    findings: list[Finding],
) -> None:
    found = annotate(findings)
    shown = [each for batch in found.batches for each in batch]
    assert len(shown) + len(found.beside) + found.surplus_count == len(findings)
    assert all(0 < len(batch) <= BATCH_MAX for batch in found.batches)
    for each in shown:
        assert 1 <= each["start_line"] <= each["end_line"]
        assert 0 < len(each["title"]) <= TITLE_MAX
        for name in ("message", "raw_details"):
            if name in each:
                assert 0 < len(each[name].encode()) <= MESSAGE_BYTES_MAX
