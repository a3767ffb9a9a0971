"""Findings on a check run, where no review tells them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from covend.core.effects.annotations import ANNOTATIONS_MAX
from covend.core.effects.checks import SUMMARY_MAX, TITLE_MAX
from covend.core.effects.plan import plan_end, plan_start, plan_stop
from covend.core.ending import Ending, Finding
from covend.core.model import EffectDraft, EffectKind
from covend.core.states import Outcome, TaskState
from tests.core.effects.effect_samples import FINDING, KEY, NOON, SHA, claim, ending, policy, task

VERSION = "01kaj3v8qk7w2m5p9x4r6t1zbc.1"


def checks(
    how: Ending,
    *publish: EffectKind,
    target: TaskState = TaskState.COMPLETED,
    app: bool = True,
    **of_task: Any,
) -> list[EffectDraft]:
    published = policy(*(publish or (EffectKind.CHECK,)))
    drafts = plan_end(claim(**of_task), published, how, target=target, app=app, key=KEY, now=NOON)
    return [each for each in drafts if each.kind in (EffectKind.CHECK, EffectKind.STATUS)]


def found(count: int, **changed: Any) -> tuple[Finding, ...]:
    return tuple(replace(FINDING, line=line + 1, **changed) for line in range(count))


def shown_by(draft: EffectDraft) -> list[Any]:
    return list(draft.request["body"]["output"].get("annotations", ()))


def test_the_first_effect_concludes_and_each_batch_more_only_adds() -> None:
    first, second, third = checks(ending(findings=found(120), summary="s"))
    assert first.slot == second.slot == third.slot
    assert [len(shown_by(each)) for each in (first, second, third)] == [50, 50, 20]
    assert [each.request["annotated"] for each in (first, second, third)] == [50, 100, 120]
    assert [each.request["is_added"] for each in (first, second, third)] == [False, True, True]
    assert first.request["body"]["conclusion"] == "success"
    for each in (second, third):
        assert set(each.request["body"]) == {"name", "external_id", "output"}
        shown = {**each.request["body"]["output"], "annotations": ()}
        assert shown == {**first.request["body"]["output"], "annotations": ()}


def test_without_findings_a_check_is_one_effect_as_ever() -> None:
    (only,) = checks(ending(summary="s"))
    assert set(only.request) == {"repository", "head_sha", "body"}


@pytest.mark.parametrize(
    ("how", "publish", "target", "app"),
    [
        (ending(findings=found(3)), (EffectKind.CHECK, EffectKind.REVIEW), None, True),
        (ending(Outcome.FAILED, findings=found(3)), (), TaskState.FAILED, True),
        (ending(findings=found(3)), (), TaskState.SUPERSEDED, True),
        (ending(Outcome.CANCELLED, findings=found(3)), (), TaskState.CANCELLED, True),
        (ending(findings=found(3)), (), None, False),
    ],
)
def test_findings_are_annotated_once_and_only_where_they_stand(
    how: Ending, publish: tuple[EffectKind, ...], target: TaskState | None, app: bool
) -> None:
    drafts = checks(how, *publish, target=target or TaskState.COMPLETED, app=app)
    assert [each for each in drafts if "annotations" in str(each.request)] == []


def test_each_version_of_a_task_annotates_a_check_run_of_its_own() -> None:
    """Annotations add up, and nobody can take them away: those of two runs stood side by side."""
    (end,) = checks(ending(summary="s"))
    assert end.slot == f"check/review/42/pull/7/{SHA}/{VERSION}"
    (again,) = checks(ending(summary="s"), generation=2)
    assert again.slot != end.slot
    (start,) = plan_start(claim(), policy(EffectKind.CHECK), app=True, key=KEY)
    (stop,) = plan_stop(
        task(), policy(EffectKind.CHECK), target=TaskState.CANCELLED, app=True, key=KEY
    )
    assert start.slot == stop.slot == end.slot


def test_what_cannot_be_annotated_is_listed_and_what_is_too_much_is_counted() -> None:
    findings = (*found(ANNOTATIONS_MAX + 3), replace(FINDING, side="LEFT", body="It was needed."))
    first, *_ = drafts = checks(ending(findings=findings, summary="Words."))
    assert sum(len(shown_by(each)) for each in drafts) == ANNOTATIONS_MAX
    summary = first.request["body"]["output"]["summary"]
    assert "Words.\n\n### Further findings\n\n**Error** · `src/till/scan.py:3`" in summary
    assert "It was needed." in summary
    assert "*3 more findings are not shown.*\n\n<sub>Rule" in summary


def test_a_summary_too_long_to_show_says_where_it_can_be_read() -> None:
    (draft,) = checks(ending(summary="word\n" * 50_000))
    summary = draft.request["body"]["output"]["summary"]
    assert len(summary) <= SUMMARY_MAX
    assert "See `covend show 01kaj3v8qk7w2m5p9x4r6t1zbc`.*\n\n<sub>Rule" in summary


def test_a_title_of_endlessly_many_severities_is_cut() -> None:
    letters = [f"{chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(200)]
    findings = tuple(replace(FINDING, severity=each) for each in letters)
    first, *_ = checks(ending(findings=findings))
    assert len(first.request["body"]["output"]["title"]) == TITLE_MAX
