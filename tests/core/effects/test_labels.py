from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covend.core.effects.labels import LABELS_MAX, NAME_MAX, names_of, plan_labels
from covend.core.ending import Ending
from covend.core.model import EffectKind
from covend.core.settings import Policy
from covend.core.states import Outcome
from tests.core.effects.effect_samples import COMMIT, ISSUE, SHA, ending, policy, task

PUBLISHED = policy(EffectKind.LABELS)


def test_the_labels_of_a_result_are_wished_for() -> None:
    (draft,) = plan_labels(task(), PUBLISHED, ending(labels=("bug", "needs tests")))
    assert draft.kind is EffectKind.LABELS
    assert draft.slot == "labels/review/42/pull/7/01kaj3v8qk7w2m5p9x4r6t1zbc.1"
    assert draft.subject == "42/pull/7"
    assert draft.request == {
        "repository": "acme/till",
        "number": 7,
        "on": "pull_request",
        "body": {"labels": ["bug", "needs tests"]},
        "fence": {"number": 7, "head_sha": SHA},
    }


def test_an_issue_is_labelled_whatever_becomes_of_any_head() -> None:
    (draft,) = plan_labels(task(subject=ISSUE), PUBLISHED, ending(labels=("bug",)))
    assert (draft.request["on"], draft.request["number"]) == ("issue", 9)
    assert "fence" not in draft.request


@pytest.mark.parametrize(
    ("asked", "how", "of_task"),
    [
        (policy(EffectKind.COMMENT), ending(labels=("bug",)), {}),
        (PUBLISHED, ending(), {}),
        (PUBLISHED, ending(labels=("\x00",)), {}),
        (PUBLISHED, ending(Outcome.FAILED, labels=("bug",)), {}),
        (PUBLISHED, ending(labels=("bug",)), {"subject": COMMIT}),
        (PUBLISHED, ending(labels=("bug",)), {"repository": None}),
    ],
)
def test_without_a_wish_or_a_place_there_is_no_label(
    asked: Policy, how: Ending, of_task: dict[str, Any]
) -> None:
    assert list(plan_labels(task(**of_task), asked, how)) == []


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (("bug", "Bug", "BUG"), ("bug",)),
        ((" two  words ",), ("two words",)),
        (("a\nb", "tab\t", "bell\x07", "turned\u202e", "", "  "), ()),
        (("x" * 60,), ("x" * NAME_MAX,)),
        (("x" * 49 + " y",), ("x" * 49,)),
        (tuple(f"l{n}" for n in range(30)), tuple(f"l{n}" for n in range(LABELS_MAX))),
        (("für 😀",), ("für 😀",)),
    ],
)
def test_a_name_is_one_plain_line_that_github_takes(
    labels: tuple[str, ...], names: tuple[str, ...]
) -> None:
    assert names_of(labels) == names


@given(st.lists(st.text(max_size=80), max_size=40))
def test_whatever_is_wished_for_stays_within_the_bounds(labels: list[str]) -> None:
    names = names_of(labels)
    assert len(names) <= LABELS_MAX
    assert len({name.casefold() for name in names}) == len(names)
    for name in names:
        assert 0 < len(name) <= NAME_MAX
        assert name == name.strip()
        name.encode()
        assert not any(ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in name)
