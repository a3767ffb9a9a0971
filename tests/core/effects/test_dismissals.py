from __future__ import annotations

from typing import Any

import pytest

from covend.core.effects.dismissals import outdates, plan_dismissals, review_slots
from covend.core.ending import Ending
from covend.core.model import EffectKind
from covend.core.states import Outcome
from tests.core.effects.effect_samples import ISSUE, SHA, ending, policy, task

REVIEWS = policy(EffectKind.REVIEW)


def test_each_outdated_review_is_put_away_by_an_effect_of_its_own() -> None:
    drafts = list(plan_dismissals(task(), REVIEWS, ending(summary="s"), ["12", "11"]))
    assert [(draft.kind, draft.slot) for draft in drafts] == [
        (EffectKind.DISMISSAL, "dismissal/12"),
        (EffectKind.DISMISSAL, "dismissal/11"),
    ]
    assert drafts[0].subject == "42/pull/7"
    assert drafts[0].request == {
        "repository": "acme/till",
        "number": 7,
        "review_id": "12",
        "body": {
            "message": "Outdated: this rule has looked again since.",
            "event": "DISMISS",
        },
        "fence": {"number": 7, "head_sha": SHA},
    }


def test_reviews_of_one_rule_on_one_pull_request_have_slots_that_begin_alike() -> None:
    assert review_slots(task(), REVIEWS) == "review/review/42/pull/7/"


def test_an_end_that_has_nothing_to_say_outdates_what_was_said() -> None:
    """A demand for changes would have stood for ever after the changes were made."""
    assert outdates(task(), REVIEWS, ending())


@pytest.mark.parametrize(
    ("kind", "how", "of_task"),
    [
        (EffectKind.COMMENT, ending(summary="s"), {}),
        (EffectKind.REVIEW, ending(Outcome.FAILED), {}),
        (EffectKind.REVIEW, ending(Outcome.SUPERSEDED), {}),
        (EffectKind.REVIEW, ending(summary="s"), {"subject": ISSUE}),
        (EffectKind.REVIEW, ending(summary="s"), {"repository": None}),
    ],
)
def test_what_says_nothing_of_the_head_puts_no_review_away(
    kind: EffectKind, how: Ending, of_task: dict[str, Any]
) -> None:
    assert not outdates(task(**of_task), policy(kind), how)
    assert list(plan_dismissals(task(**of_task), policy(kind), how, ["1"])) == []
