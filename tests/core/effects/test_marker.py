from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covend.core.effects.marker import Marker, carries, external_id, find, sign
from covend.core.model import TaskId
from tests.core.effects.effect_samples import KEY

MARKER = Marker(slot="comment/review/42/pull/7", task="01kaj.1")


def test_a_marker_looks_as_it_always_did() -> None:
    assert sign(MARKER, KEY) == (
        "<!-- covend:v1 slot=comment/review/42/pull/7 task=01kaj.1"
        " sig=38fb0feee8841bf2354fe316ace4b50b80a71065ce54551d5e06cec17881fc03 -->"
    )


@given(slot=st.text(min_size=1), task=st.text(min_size=1))
def test_whatever_a_rule_is_called_its_marker_is_found_again(slot: str, task: str) -> None:
    marker = Marker(slot=slot, task=task)
    signed = sign(marker, KEY)
    assert find(f"Hello\n\n{signed}", KEY) == marker
    assert signed.count("-->") == 1
    assert signed.isprintable()


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<!-- covend:v1 -->",
        sign(MARKER, b"another key"),
        sign(MARKER, KEY).replace("pull/7", "pull/8"),
        sign(MARKER, KEY).replace("01kaj.1", "01kaj.2"),
        f"> {sign(MARKER, KEY)}",
        f"I saw {sign(MARKER, KEY)} there",
    ],
)
def test_a_forged_changed_or_quoted_marker_is_not_ours(body: str) -> None:
    assert find(body, KEY) is None


def test_the_last_good_marker_counts() -> None:
    other = Marker(slot="comment/triage/42/pull/7", task="01kaj.1")
    body = "\n".join([sign(MARKER, KEY), "text", sign(other, KEY), sign(MARKER, b"forged")])
    assert find(body, KEY) == other


def test_a_marker_survives_windows_line_ends() -> None:
    body = f"text\r\n\r\n{sign(MARKER, KEY)}\r\n"
    assert find(body, KEY) == MARKER
    assert carries(body, sign(MARKER, KEY))


def test_a_body_carries_a_marker_only_on_a_line_of_its_own() -> None:
    signed = sign(MARKER, KEY)
    assert carries(f"text\n{signed}", signed)
    assert not carries(f"> {signed}", signed)
    assert not carries(signed, sign(Marker(slot=MARKER.slot, task="01kaj.2"), KEY))


def test_each_generation_of_a_task_has_an_id_of_its_own() -> None:
    assert external_id(TaskId("01kaj"), 1) != external_id(TaskId("01kaj"), 2)
