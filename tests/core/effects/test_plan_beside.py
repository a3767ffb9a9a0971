"""What a plan shows beside checks, comments and reviews, and what all of it is bound by."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from covend.core.effects.checks import DESCRIPTION_MAX, SUMMARY_MAX, TITLE_MAX
from covend.core.effects.diff import ChangedFile
from covend.core.effects.plan import plan_end, plan_start, plan_stop
from covend.core.effects.texts import BODY_MAX
from covend.core.ending import Ending, Finding
from covend.core.model import Command, Conclusion, EffectDraft, EffectKind, Subject
from covend.core.states import Outcome, TaskState
from tests.core.effects.effect_samples import (
    COMMIT,
    FINDING,
    ISSUE,
    KEY,
    NOON,
    PULL,
    SHA,
    claim,
    ending,
    policy,
    task,
)

SAID = Command(verb="fix", text="", actor="mara", comment_id=12, place="issue_comment")
FENCE = {"number": 7, "head_sha": SHA}
FILES = (ChangedFile(path=FINDING.path, patch="@@ -1,2 +1,3 @@\n a\n+b\n+c\n d"),)
EVERYTHING = tuple(EffectKind)
GITHUB_TOKEN = "ghp_" + "A1b2" * 9


def end(
    how: Ending,
    *publish: EffectKind,
    target: TaskState = TaskState.COMPLETED,
    app: bool = True,
    outdated: tuple[str, ...] = (),
    supersede: bool = True,
    **of_task: Any,
) -> list[EffectDraft]:
    published = policy(*(publish or EVERYTHING))
    published = replaced(published, supersede=supersede)
    return list(
        plan_end(
            claim(**of_task),
            published,
            how,
            target=target,
            app=app,
            key=KEY,
            now=NOON,
            files=FILES,
            outdated=outdated,
        )
    )


def replaced(published: Any, *, supersede: bool) -> Any:
    return replace(published, rule=replace(published.rule, supersede=supersede))


def of_kind(drafts: list[EffectDraft], kind: EffectKind) -> EffectDraft:
    (draft,) = [each for each in drafts if each.kind is kind]
    return draft


# --- reactions ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "target", "content"),
    [
        (ending(), TaskState.COMPLETED, "+1"),
        (ending(conclusion=Conclusion.NEUTRAL), TaskState.COMPLETED, "+1"),
        (ending(conclusion=Conclusion.FAILURE), TaskState.COMPLETED, "-1"),
        (ending(conclusion=Conclusion.NEEDS_INPUT), TaskState.COMPLETED, "confused"),
        (ending(Outcome.FAILED), TaskState.FAILED, "-1"),
        (ending(Outcome.TIMED_OUT), TaskState.FAILED, "-1"),
        (ending(Outcome.CANCELLED), TaskState.CANCELLED, "confused"),
    ],
)
def test_an_end_is_a_reaction(how: Ending, target: TaskState, content: str) -> None:
    (draft,) = end(how, EffectKind.REACTION, target=target)
    assert draft.request["body"] == {"content": content}


def test_a_command_is_reacted_to_where_it_was_said() -> None:
    (draft,) = end(ending(), EffectKind.REACTION, command=SAID)
    assert (draft.request["place"], draft.request["comment_id"]) == ("issue_comment", 12)


def test_in_a_review_the_sign_is_written_because_nobody_can_react() -> None:
    said = Command(verb="fix", text="", actor="mara", comment_id=12, place="review")
    (draft,) = end(ending(), EffectKind.REACTION, command=said)
    assert draft.kind is EffectKind.COMMENT
    assert draft.request["body"]["body"].startswith("👍 `fix`\n")


def test_work_that_begins_is_seen() -> None:
    (draft,) = plan_start(claim(), policy(EffectKind.REACTION), app=True, key=KEY)
    assert draft.request["body"] == {"content": "eyes"}
    assert plan_start(claim(), policy(EffectKind.COMMENT), app=True, key=KEY) == ()


def test_work_that_another_head_has_overtaken_says_nothing_by_a_sign() -> None:
    assert end(ending(), EffectKind.REACTION, target=TaskState.SUPERSEDED) == []
    asked, superseded = policy(EffectKind.REACTION), TaskState.SUPERSEDED
    assert plan_stop(task(), asked, target=superseded, app=True, key=KEY) == ()
    (draft,) = plan_stop(task(), asked, target=TaskState.CANCELLED, app=True, key=KEY)
    assert draft.request["body"] == {"content": "confused"}


# --- outdated reviews -----------------------------------------------------------------------------


def test_older_reviews_are_put_away_after_the_newer_one() -> None:
    drafts = end(ending(summary="s"), EffectKind.REVIEW, outdated=("12", "11"))
    assert [draft.slot.partition("/")[0] for draft in drafts] == [
        "review",
        "dismissal",
        "dismissal",
    ]


def test_an_end_without_findings_puts_older_reviews_away_all_the_same() -> None:
    (draft,) = end(ending(), EffectKind.REVIEW, outdated=("12",))
    assert draft.kind is EffectKind.DISMISSAL


@pytest.mark.parametrize(
    ("how", "target"),
    [
        (ending(Outcome.FAILED), TaskState.FAILED),
        (ending(), TaskState.SUPERSEDED),
        (ending(Outcome.CANCELLED), TaskState.CANCELLED),
    ],
)
def test_only_a_good_end_puts_reviews_away(how: Ending, target: TaskState) -> None:
    assert end(how, EffectKind.REVIEW, target=target, outdated=("12",)) == []


# --- the fence ------------------------------------------------------------------------------------


FENCED = frozenset({EffectKind.REVIEW, EffectKind.COMMENT, EffectKind.LABELS, EffectKind.DISMISSAL})


def fenced(drafts: list[EffectDraft]) -> set[EffectKind]:
    assert all(each.request["fence"] == FENCE for each in drafts if "fence" in each.request)
    return {each.kind for each in drafts if "fence" in each.request}


def test_what_is_about_one_head_says_which() -> None:
    drafts = end(ending(summary="s", labels=("bug",)), outdated=("12",))
    assert fenced(drafts) == FENCED


@pytest.mark.parametrize(
    "changed",
    [
        {"supersede": False},
        {"command": SAID},
        {"subject": ISSUE},
        {"target": TaskState.FAILED, "how": ending(Outcome.FAILED)},
        {"target": TaskState.CANCELLED, "how": ending(Outcome.CANCELLED)},
    ],
)
def test_what_no_newer_head_takes_the_place_of_is_not_fenced(changed: dict[str, Any]) -> None:
    how = changed.pop("how", ending(summary="s", labels=("bug",)))
    drafts = end(how, outdated=("12",), **changed)
    assert drafts
    assert fenced(drafts) == set()


# --- bounds ---------------------------------------------------------------------------------------


def test_what_has_a_secrets_shape_is_in_no_request() -> None:
    finding = Finding(
        path=FINDING.path, line=2, body=f"It says {GITHUB_TOKEN}.", suggestion=f"x = {GITHUB_TOKEN}"
    )
    drafts = [
        *end(ending(summary=GITHUB_TOKEN, findings=(finding,), labels=(GITHUB_TOKEN,))),
        *end(ending(Outcome.FAILED, error_message=f"at {GITHUB_TOKEN}"), target=TaskState.FAILED),
        *end(ending(findings=(finding,)), EffectKind.CHECK),
    ]
    assert len(drafts) > 6
    for draft in drafts:
        assert GITHUB_TOKEN not in orjson.dumps(draft.request).decode()


ANY_TEXT = st.text(max_size=40) | st.sampled_from(
    [
        "word\n" * 30_000,
        "😀" * 70_000,
        "```\nx\n" * 9_000,
        "\x00\x1b[31m\u202e",
        "<!--",
        GITHUB_TOKEN,
    ]
)
FINDINGS = st.lists(
    st.builds(
        Finding,
        path=st.sampled_from([FINDING.path, "logo.png"]) | st.text(max_size=20),
        line=st.integers(1, 5),
        start_line=st.none() | st.integers(1, 5),
        side=st.sampled_from(["LEFT", "RIGHT"]),
        severity=ANY_TEXT,
        body=ANY_TEXT,
        suggestion=st.none() | ANY_TEXT,
    ),
    max_size=60,
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    publish=st.sampled_from([EVERYTHING, (EffectKind.CHECK, EffectKind.COMMENT)]),
    app=st.booleans(),
    subject=st.sampled_from([PULL, ISSUE, COMMIT, Subject()]),
    outcome=st.sampled_from(
        [(Outcome.SUCCEEDED, TaskState.COMPLETED), (Outcome.FAILED, TaskState.FAILED)]
    ),
    summary=ANY_TEXT,
    message=st.none() | ANY_TEXT,
    findings=FINDINGS,
    labels=st.lists(ANY_TEXT, max_size=12),
)
def test_no_text_is_longer_than_github_takes_or_holds_what_nobody_can_see(
    publish: tuple[EffectKind, ...],
    app: bool,
    subject: Subject,
    outcome: tuple[Outcome, TaskState],
    summary: str,
    message: str | None,
    findings: list[Finding],
    labels: list[str],
) -> None:
    how = ending(
        outcome[0],
        summary=summary,
        error_message=message,
        findings=tuple(findings),
        labels=tuple(labels),
    )
    for draft in end(how, *publish, target=outcome[1], app=app, subject=subject, outdated=("1",)):
        body, fallback = draft.request["body"], draft.request.get("fallback") or {}
        written = [body, fallback, *body.get("comments", ())]
        for each in written:
            assert len(each.get("body", "")) <= BODY_MAX
        output = body.get("output", {"title": "", "summary": ""})
        assert len(output["summary"]) <= SUMMARY_MAX
        assert len(output["title"]) <= TITLE_MAX
        assert len(body.get("description", "")) <= DESCRIPTION_MAX
        shown = orjson.dumps(draft.request).decode()
        assert "\\u00" not in shown
        assert "\u202e" not in shown
        assert GITHUB_TOKEN not in shown
