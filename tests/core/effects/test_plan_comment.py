"""The status comment tells what was found, where nothing else does."""

from __future__ import annotations

from dataclasses import replace

from covend.core.effects.plan import plan_end
from covend.core.effects.texts import BODY_MAX
from covend.core.ending import Ending
from covend.core.model import EffectDraft, EffectKind, Subject
from covend.core.states import Outcome, TaskState
from tests.core.effects.effect_samples import (
    FINDING,
    ISSUE,
    KEY,
    NOON,
    PULL,
    SHA,
    claim,
    ending,
    policy,
)

CHECK, COMMENT, REVIEW = EffectKind.CHECK, EffectKind.COMMENT, EffectKind.REVIEW
FOUND = ending(summary="Long words.", findings=(FINDING,))


def comment(
    how: Ending,
    *publish: EffectKind,
    app: bool = True,
    subject: Subject = PULL,
    target: TaskState = TaskState.COMPLETED,
) -> EffectDraft:
    drafts = plan_end(
        claim(subject=subject), policy(*publish), how, target=target, app=app, key=KEY, now=NOON
    )
    (draft,) = [each for each in drafts if each.kind is COMMENT]
    return draft


def text_of(draft: EffectDraft) -> str:
    return str(draft.request["body"]["body"])


def test_what_nothing_else_tells_is_listed_in_the_comment() -> None:
    """It said how many there are, and nobody could read them."""
    place = f"https://github.com/acme/till/blob/{SHA}/src/till/scan.py#L3"
    assert (
        "Long words.\n\n### Findings\n\n"
        f"**Error** · [`src/till/scan.py:3`]({place})\n\nThe default is shared.\n\n<sub>"
    ) in text_of(comment(FOUND, COMMENT))


def test_a_status_has_no_place_for_findings_and_the_comment_lists_them() -> None:
    assert FINDING.body in text_of(comment(FOUND, CHECK, COMMENT, app=False))


def test_an_issue_has_neither_review_nor_check_and_the_comment_lists_what_was_found() -> None:
    text = text_of(comment(FOUND, CHECK, COMMENT, REVIEW, subject=ISSUE))
    assert FINDING.body in text


def test_what_a_check_or_a_review_tells_is_not_listed_again() -> None:
    assert FINDING.body not in text_of(comment(FOUND, CHECK, COMMENT))
    assert FINDING.body not in text_of(comment(FOUND, COMMENT, REVIEW))


def test_what_an_attempt_found_that_failed_is_no_finding() -> None:
    how = ending(Outcome.FAILED, error_code="exit_code", findings=(FINDING,))
    assert FINDING.body not in text_of(comment(how, COMMENT, target=TaskState.FAILED))


def test_a_comment_that_would_be_too_long_is_cut_and_keeps_its_marker() -> None:
    many = (replace(FINDING, body="x" * 500),) * 200
    draft = comment(ending(findings=many), COMMENT)
    assert len(text_of(draft)) <= BODY_MAX
    assert "The rest was cut" in text_of(draft)
    assert text_of(draft).endswith(draft.request["marker"])
