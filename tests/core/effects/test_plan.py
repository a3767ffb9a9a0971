from __future__ import annotations

from typing import Any

import orjson
import pytest
from msgspec.structs import replace

from covend.core.effects.checks import DESCRIPTION_MAX, SUMMARY_MAX
from covend.core.effects.diff import ChangedFile
from covend.core.effects.marker import Marker, find
from covend.core.effects.plan import plan_end, plan_start, plan_stop
from covend.core.effects.texts import BODY_MAX
from covend.core.ending import Ending
from covend.core.model import Conclusion, EffectDraft, EffectKind, Subject, Usage
from covend.core.states import Outcome, TaskState
from tests.core.effects.effect_samples import (
    ALL,
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

FILES = (ChangedFile(path=FINDING.path, patch="@@ -1,2 +1,3 @@\n a\n+b\n+c\n d"),)
FOOTER = (
    "<sub>Rule `review` · agent `claude` · 2 min 10 s · task `01kaj3v8qk7w2m5p9x4r6t1zbc`</sub>"
)


def end(
    how: Ending,
    *publish: EffectKind,
    target: TaskState = TaskState.COMPLETED,
    app: bool = True,
    **of_task: Any,
) -> dict[EffectKind, EffectDraft]:
    drafts = plan_end(
        claim(**of_task),
        policy(*(publish or ALL)),
        how,
        target=target,
        app=app,
        key=KEY,
        now=NOON + 130_000,
        files=FILES,
    )
    assert len({draft.kind for draft in drafts}) == len(drafts)
    return {draft.kind: draft for draft in drafts}


def check_of(drafts: dict[EffectKind, EffectDraft]) -> dict[str, Any]:
    body: dict[str, Any] = drafts[EffectKind.CHECK].request["body"]
    return body


def comment_of(drafts: dict[EffectKind, EffectDraft]) -> str:
    return str(drafts[EffectKind.COMMENT].request["body"]["body"])


# --- the second table of the states ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "target", "conclusion", "state"),
    [
        (ending(), TaskState.COMPLETED, "success", "success"),
        (ending(conclusion=Conclusion.NEUTRAL), TaskState.COMPLETED, "neutral", "success"),
        (ending(conclusion=Conclusion.FAILURE), TaskState.COMPLETED, "failure", "failure"),
        (
            ending(conclusion=Conclusion.NEEDS_INPUT),
            TaskState.COMPLETED,
            "action_required",
            "failure",
        ),
        (ending(Outcome.FAILED), TaskState.FAILED, "failure", "error"),
        (ending(Outcome.TIMED_OUT), TaskState.FAILED, "timed_out", "error"),
        (ending(Outcome.IDLE_TIMED_OUT), TaskState.FAILED, "timed_out", "error"),
        (ending(Outcome.INTERRUPTED), TaskState.FAILED, "failure", "error"),
        (ending(Outcome.LOST), TaskState.FAILED, "failure", "error"),
        (ending(Outcome.CANCELLED), TaskState.CANCELLED, "cancelled", "error"),
        (ending(Outcome.SUPERSEDED), TaskState.SUPERSEDED, "neutral", "success"),
        (ending(), TaskState.SUPERSEDED, "neutral", "success"),
    ],
)
def test_every_end_concludes_the_check(
    how: Ending, target: TaskState, conclusion: str, state: str
) -> None:
    check = check_of(end(how, target=target))
    assert (check["status"], check["conclusion"]) == ("completed", conclusion)
    status = end(how, target=target, app=False)[EffectKind.STATUS].request["body"]
    assert (status["state"], status["description"]) == (state, check["output"]["title"])


@pytest.mark.parametrize(
    "outcome", [Outcome.FAILED, Outcome.TIMED_OUT, Outcome.INTERRUPTED, Outcome.LOST]
)
def test_a_task_that_is_tried_again_shows_nothing(outcome: Outcome) -> None:
    assert end(ending(outcome), target=TaskState.QUEUED) == {}


# --- which surfaces -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("publish", "how", "subject", "kinds"),
    [
        (ALL, ending(summary="s"), None, [EffectKind.REVIEW, EffectKind.COMMENT, EffectKind.CHECK]),
        (
            ALL,
            ending(findings=(FINDING,)),
            None,
            [EffectKind.REVIEW, EffectKind.COMMENT, EffectKind.CHECK],
        ),
        (ALL, ending(), None, [EffectKind.COMMENT, EffectKind.CHECK]),
        (ALL, ending(summary="s"), ISSUE, [EffectKind.COMMENT]),
        (ALL, ending(summary="s"), COMMIT, [EffectKind.CHECK]),
        (ALL, ending(summary="s"), Subject(), []),
        ((EffectKind.CHECK,), ending(summary="s"), None, [EffectKind.CHECK]),
        ((EffectKind.REVIEW,), ending(summary="s"), None, [EffectKind.REVIEW]),
        ((EffectKind.STATUS,), ending(summary="s"), None, [EffectKind.STATUS]),
        ((), ending(summary="s"), None, []),
        ((EffectKind.CALLBACK, EffectKind.LABELS), ending(summary="s"), None, []),
        ((EffectKind.REACTION,), ending(summary="s"), None, [EffectKind.REACTION]),
        ((EffectKind.REACTION,), ending(summary="s"), ISSUE, [EffectKind.REACTION]),
        ((EffectKind.REACTION,), ending(summary="s"), COMMIT, []),
        ((EffectKind.LABELS,), ending(labels=("bug",)), ISSUE, [EffectKind.LABELS]),
        ((EffectKind.LABELS,), ending(labels=("bug",)), COMMIT, []),
    ],
)
def test_only_what_the_rule_publishes_appears_and_only_where_it_can(
    publish: tuple[EffectKind, ...],
    how: Ending,
    subject: Subject | None,
    kinds: list[EffectKind],
) -> None:
    drafts = plan_end(
        claim(subject=subject or PULL),
        policy(*publish),
        how,
        target=TaskState.COMPLETED,
        app=True,
        key=KEY,
        now=NOON,
    )
    assert [draft.kind for draft in drafts] == kinds


@pytest.mark.parametrize(
    "outcome", [Outcome.FAILED, Outcome.TIMED_OUT, Outcome.INTERRUPTED, Outcome.CANCELLED]
)
def test_what_a_failed_attempt_found_is_not_posted_as_a_review(outcome: Outcome) -> None:
    target = TaskState.CANCELLED if outcome is Outcome.CANCELLED else TaskState.FAILED
    assert EffectKind.REVIEW not in end(
        ending(outcome, findings=(FINDING,), summary="s"), target=target
    )


def test_a_superseded_task_ends_its_check_alone_and_withholds_what_it_found() -> None:
    drafts = end(ending(summary="a secret find", findings=(FINDING,)), target=TaskState.SUPERSEDED)
    assert set(drafts) == {EffectKind.CHECK}
    assert "secret" not in str(drafts[EffectKind.CHECK].request)


def test_with_a_plain_token_a_check_is_a_status_and_there_is_only_one() -> None:
    drafts = end(ending(), EffectKind.CHECK, EffectKind.STATUS, app=False, key=KEY)
    assert set(drafts) == {EffectKind.STATUS}
    assert drafts[EffectKind.STATUS].request == {
        "repository": "acme/till",
        "head_sha": SHA,
        "body": {"context": "covend/review", "state": "success", "description": "Done"},
    }


def test_a_task_without_a_repository_shows_nothing() -> None:
    assert end(ending(summary="s"), repository=None) == {}
    assert plan_start(claim(repository=None), policy(*ALL), app=True, key=KEY) == ()


# --- the beginning --------------------------------------------------------------------------------


def test_work_that_begins_shows_a_check_in_progress() -> None:
    (draft,) = plan_start(claim(), policy(*ALL), app=True, key=KEY)
    assert draft == EffectDraft(
        kind=EffectKind.CHECK,
        slot=f"check/review/42/pull/7/{SHA}",
        subject="42/pull/7",
        target="acme/till#7",
        request={
            "repository": "acme/till",
            "head_sha": SHA,
            "body": {
                "name": "covend/review",
                "external_id": "01kaj3v8qk7w2m5p9x4r6t1zbc.1",
                "status": "in_progress",
                "started_at": "2026-11-21T12:00:00Z",
                "output": {
                    "title": "In progress",
                    "summary": "`claude` is at work.\n\n<sub>Rule `review` · agent `claude`"
                    " · task `01kaj3v8qk7w2m5p9x4r6t1zbc`</sub>",
                },
            },
        },
    )


def test_a_later_attempt_says_which_it_is() -> None:
    (draft,) = plan_start(claim(attempt=2), policy(EffectKind.CHECK), app=True, key=KEY)
    assert "attempt 2" in draft.request["body"]["output"]["summary"]


def test_work_that_begins_with_a_plain_token_shows_a_pending_status() -> None:
    (draft,) = plan_start(claim(), policy(*ALL), app=False, key=KEY)
    assert draft.kind is EffectKind.STATUS
    assert draft.request["body"]["state"] == "pending"


# --- the end of what waits ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "conclusion"),
    [
        (TaskState.CANCELLED, "cancelled"),
        (TaskState.SUPERSEDED, "neutral"),
        (TaskState.FAILED, "failure"),
    ],
)
def test_a_task_that_ends_while_it_waits_ends_its_check(target: TaskState, conclusion: str) -> None:
    (draft,) = plan_stop(task(), policy(*ALL), target=target, app=True, key=KEY)
    assert draft.request["body"]["conclusion"] == conclusion
    assert draft.slot == plan_start(claim(), policy(*ALL), app=True, key=KEY)[0].slot


def test_a_task_that_never_began_has_no_check_to_end() -> None:
    assert (
        plan_stop(task(attempts=0), policy(*ALL), target=TaskState.CANCELLED, app=True, key=KEY)
        == ()
    )


def test_a_refused_task_stays_invisible() -> None:
    assert plan_stop(task(), policy(*ALL), target=TaskState.IGNORED, app=True, key=KEY) == ()


# --- slots, markers, bytes ------------------------------------------------------------------------


def test_all_of_a_task_names_what_it_belongs_to() -> None:
    drafts = end(ending(summary="s"))
    assert {draft.subject for draft in drafts.values()} == {"42/pull/7"}
    assert {draft.target for draft in drafts.values()} == {"acme/till#7"}
    assert {kind: draft.slot for kind, draft in drafts.items()} == {
        EffectKind.CHECK: f"check/review/42/pull/7/{SHA}",
        EffectKind.COMMENT: "comment/review/42/pull/7",
        EffectKind.REVIEW: "review/review/42/pull/7/01kaj3v8qk7w2m5p9x4r6t1zbc.1",
    }


def test_a_commit_is_named_by_its_sha() -> None:
    (draft,) = plan_start(claim(subject=COMMIT), policy(*ALL), app=True, key=KEY)
    assert (draft.subject, draft.target) == (f"42/commit/{SHA}", "acme/till@1a2b3c4")


def test_a_new_head_has_a_check_of_its_own_and_the_same_comment() -> None:
    old, new = end(ending()), end(ending(), subject=replace(PULL, head_sha="f" * 40))
    assert old[EffectKind.CHECK].slot != new[EffectKind.CHECK].slot
    assert old[EffectKind.COMMENT].slot == new[EffectKind.COMMENT].slot


@pytest.mark.parametrize("kind", [EffectKind.COMMENT, EffectKind.REVIEW])
def test_a_text_ends_with_the_signed_marker_of_its_slot_and_version(kind: EffectKind) -> None:
    draft = end(ending(summary="s", findings=(FINDING,)))[kind]
    body = draft.request["body"]["body"]
    assert body.endswith(draft.request["marker"])
    assert find(body, KEY) == Marker(slot=draft.slot, task="01kaj3v8qk7w2m5p9x4r6t1zbc.1")


def test_a_retried_task_makes_new_versions_in_the_same_slots() -> None:
    first, second = end(ending(summary="s")), end(ending(summary="s"), generation=2)
    assert first[EffectKind.COMMENT].slot == second[EffectKind.COMMENT].slot
    assert (
        first[EffectKind.COMMENT].request["marker"] != second[EffectKind.COMMENT].request["marker"]
    )
    assert first[EffectKind.CHECK].slot == second[EffectKind.CHECK].slot
    assert check_of(first)["external_id"] != check_of(second)["external_id"]
    assert first[EffectKind.REVIEW].slot != second[EffectKind.REVIEW].slot


def test_a_request_is_the_same_after_it_was_stored() -> None:
    for draft in end(ending(summary="für 😀 \ud800 \x00", findings=(FINDING,))).values():
        stored = orjson.dumps(draft.request)
        assert orjson.dumps(orjson.loads(stored)) == stored


# --- what people read -----------------------------------------------------------------------------


def test_the_status_comment_reads_like_this() -> None:
    usage = Usage(cost_usd=0.1234)
    text = comment_of(end(ending(summary="All is well.", usage=usage), EffectKind.COMMENT))
    said, marker = text.rsplit("\n", 1)
    small = FOOTER.replace("2 min 10 s", "2 min 10 s · $0.12")
    assert said == f"✅ `review` on `1a2b3c4` · **Done**\n\nAll is well.\n\n{small}"
    assert marker.startswith("<!-- covend:v1 ")


def test_what_the_review_says_is_not_said_again_in_the_comment() -> None:
    text = comment_of(end(ending(summary="Long words.", findings=(FINDING,))))
    assert text.startswith(
        "✅ `review` on `1a2b3c4` · **1 error**\n\nWhat was found is in the review."
    )
    assert "Long words." not in text


def test_a_failure_says_what_went_wrong_and_keeps_what_was_found_out() -> None:
    how = ending(
        Outcome.FAILED, error_code="exit_code", error_message="exit 3\n```", summary="Half."
    )
    drafts = end(how, target=TaskState.FAILED)
    text = comment_of(drafts)
    told = "`claude` did not finish (`exit_code`).\n\n````\nexit 3\n```\n````\n\nHalf.\n\n"
    assert text.startswith(f"⚠️ `review` on `1a2b3c4` · **The agent did not finish**\n\n{told}")
    assert check_of(drafts)["output"]["summary"] == told + FOOTER


@pytest.mark.parametrize(
    ("how", "title"),
    [
        (ending(), "Done"),
        (ending(findings=(FINDING, FINDING)), "2 errors"),
        (ending(conclusion=Conclusion.FAILURE, findings=(FINDING,)), "Changes are needed: 1 error"),
        (ending(conclusion=Conclusion.NEEDS_INPUT), "An answer is needed"),
    ],
)
def test_the_checks_title_says_what_came_out(how: Ending, title: str) -> None:
    assert check_of(end(how))["output"]["title"] == title


@pytest.mark.parametrize(
    ("cost", "shown"),
    [(None, "10 s · task"), (0.0, "less than $0.01"), (1.005, "$1.00"), (12.5, "$12.50")],
)
def test_the_cost_is_shown_where_it_is_known(cost: float | None, shown: str) -> None:
    assert shown in comment_of(end(ending(usage=Usage(cost_usd=cost)), EffectKind.COMMENT))


def test_endless_text_fits_into_every_surface() -> None:
    endless = "word " * 3 * BODY_MAX
    lines = "line\n" * BODY_MAX
    for summary in (endless, lines):
        how = ending(
            Outcome.FAILED,
            summary=summary,
            error_message=summary,
            error_code="x",
            findings=(FINDING,),
        )
        drafts = end(how, target=TaskState.FAILED)
        assert len(comment_of(drafts)) <= BODY_MAX
        assert len(check_of(drafts)["output"]["summary"]) <= SUMMARY_MAX
        review = end(ending(summary=summary))[EffectKind.REVIEW]
        assert len(review.request["body"]["body"]) <= BODY_MAX
        status = end(how, target=TaskState.FAILED, app=False)[EffectKind.STATUS]
        assert len(status.request["body"]["description"]) <= DESCRIPTION_MAX
