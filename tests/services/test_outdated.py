"""How far back earlier reviews are looked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from covend.core.effects.dismissals import plan_dismissals
from covend.core.model import Effect, EffectDraft, EffectKind, TaskId
from covend.services.outdated import Outdated
from tests.core.effects.effect_samples import ending, policy, task
from tests.edges.github.github_world import effect

REVIEWS = policy(EffectKind.REVIEW)


class Shown:
    """What is visible, by the beginning of its slot; remembers what was asked for."""

    def __init__(self, by_prefix: Mapping[str, Sequence[Effect]]) -> None:
        self._by_prefix = by_prefix
        self.asked: list[str] = []

    async def visible(self, slot_prefix: str) -> Sequence[Effect]:
        self.asked.append(slot_prefix)
        return self._by_prefix.get(slot_prefix, ())


def review(remote_id: str | None) -> Effect:
    draft = EffectDraft(kind=EffectKind.REVIEW, slot="s", subject="p", target="t", request={})
    return replace(effect(draft), remote_id=remote_id)


def dismissal(review_id: str) -> Effect:
    (draft,) = plan_dismissals(task(), REVIEWS, ending(), [review_id])
    return effect(draft)


async def test_what_was_put_away_once_ends_the_look_back() -> None:
    """Each review asked about every one before it."""
    reviews = [review("13"), review(None), review("12"), review("11"), review("10")]
    shown = Shown({"review/review/42/pull/7/": reviews, "dismissal/11": [dismissal("11")]})
    assert await Outdated(shown).find(task(), REVIEWS, ending()) == ("13", "12")
    assert shown.asked == [
        "review/review/42/pull/7/",
        "dismissal/13",
        "dismissal/12",
        "dismissal/11",
    ]


async def test_work_that_was_asked_for_earlier_puts_no_later_review_away() -> None:
    """Where a rule does not follow heads, the slow work on an old one dismissed the newest."""
    later, own = review("13"), review("12")
    later = replace(later, task=TaskId("z" * 26))
    shown = Shown({"review/review/42/pull/7/": [later, own]})
    assert await Outdated(shown).find(task(), REVIEWS, ending()) == ("12",)


async def test_the_dismissal_of_a_longer_id_is_another_reviews() -> None:
    shown = Shown({"review/review/42/pull/7/": [review("1")], "dismissal/1": [dismissal("12")]})
    assert await Outdated(shown).find(task(), REVIEWS, ending()) == ("1",)


async def test_an_end_that_outdates_nothing_asks_for_nothing() -> None:
    shown = Shown({})
    assert await Outdated(shown).find(task(), policy(EffectKind.CHECK), ending()) == ()
    assert shown.asked == []
