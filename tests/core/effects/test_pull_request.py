from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from msgspec.structs import replace as changed

from covend.core.effects.marker import Marker, find
from covend.core.effects.pull_request import TITLE_MAX, branch_of, plan_pull_request
from covend.core.effects.texts import BODY_MAX
from covend.core.ending import Commits, Ending
from covend.core.model import Command, EffectDraft, EffectKind, Subject, TaskId
from covend.core.states import Outcome
from tests.core.effects.effect_samples import (
    COMMIT,
    ISSUE,
    KEY,
    PULL,
    SHA,
    ending,
    policy,
    task,
)

COMMITS = Commits(sha="c" * 40, mirror="42-abc.0.git", attempt="01kaj3v8qk7w2m5p9x4r6t1zbc-2")
HERE = changed(PULL, head_ref="topic", base_ref="main", head_repository="acme/till")
SMALL = "<sub>by covend</sub>"


def drafts(
    how: Ending | None = None, *publish: EffectKind, supersede: bool = True, **of_task: Any
) -> list[EffectDraft]:
    terms = policy(*(publish or (EffectKind.PULL_REQUEST,)))
    terms = replace(terms, rule=replace(terms.rule, supersede=supersede))
    how = how or ending(summary="Done.", commits=COMMITS)
    return list(plan_pull_request(task(**{"subject": HERE} | of_task), terms, how, SMALL, KEY))


def request(how: Ending | None = None, **of_task: Any) -> dict[str, Any]:
    (draft,) = drafts(how, **of_task)
    return dict(draft.request)


def told(**pull_request: Any) -> dict[str, Any]:
    """The body for what an agent has said of its pull request."""
    said = {"title": "", "body": "", "draft": True} | pull_request
    body: dict[str, Any] = request(
        ending(summary="The summary.", pull_request=said, commits=COMMITS)
    )["body"]
    return body


def test_it_has_all_that_is_needed_to_push_and_to_propose() -> None:
    (draft,) = drafts()
    branch = "covend/01kaj3v8qk7w2m5p9x4r6t1zbc"
    assert draft.kind is EffectKind.PULL_REQUEST
    assert draft.target == f"acme/till:{branch}"
    assert draft.request["body"]["head"] == branch == branch_of(task().id)
    kept = {name: draft.request[name] for name in ("repository", "sha", "mirror", "attempt")}
    assert kept == {
        "repository": "acme/till",
        "sha": COMMITS.sha,
        "mirror": COMMITS.mirror,
        "attempt": COMMITS.attempt,
    }
    version = Marker(slot=draft.slot, task=f"{task().id}.1")
    assert find(draft.request["body"]["body"], KEY) == version
    assert draft.request["body"]["body"].splitlines()[-1] == draft.request["marker"]


@pytest.mark.parametrize(
    "how",
    [
        ending(summary="Nothing to commit."),
        ending(Outcome.FAILED, commits=COMMITS),
        ending(Outcome.SUPERSEDED, commits=COMMITS),
    ],
)
def test_without_commits_or_success_there_is_nothing_to_propose(how: Ending) -> None:
    assert drafts(how) == []


def test_only_a_rule_that_publishes_it_proposes() -> None:
    assert drafts(None, EffectKind.COMMENT) == []


def test_it_holds_up_nothing_else_on_the_subject() -> None:
    (one,), (other,) = drafts(), drafts(id=TaskId("01kaj3v8qk7w2m5p9x4r6t1zbd"))
    assert "pull/7" not in one.subject
    assert one.subject != other.subject
    assert one.slot != other.slot


@pytest.mark.parametrize(
    ("subject", "base"),
    [
        (HERE, "topic"),
        (changed(HERE, head_repository="Acme/Till"), "topic"),
        (changed(HERE, head_repository="mallory/till"), "main"),
        (changed(HERE, head_repository=None), "main"),
        (PULL, None),
        (ISSUE, None),
        (changed(COMMIT, head_ref="topic"), None),
        (Subject(), None),
    ],
)
def test_it_is_proposed_onto_the_branch_that_it_is_about(subject: Subject, base: str) -> None:
    assert request(subject=subject)["base"] == base


COMMAND = Command(verb="fix", text="", actor="mara", comment_id=1, place="issue_comment")


def test_it_is_withheld_where_a_newer_head_takes_its_place() -> None:
    assert request()["fence"] == {"number": 7, "head_sha": SHA}
    assert "fence" not in request(supersede=False)
    assert "fence" not in request(command=COMMAND)
    assert "fence" not in request(subject=ISSUE)


def test_the_agents_own_words_are_taken() -> None:
    body = told(title="Mend the basket", body="It was\nbroken.", draft=False)
    assert (body["title"], body["draft"]) == ("Mend the basket", False)
    assert body["body"].startswith("For #7.\n\nIt was\nbroken.\n\n")
    assert "The summary." not in body["body"]


def test_a_draft_is_what_nobody_has_asked_otherwise() -> None:
    assert told()["draft"] is True
    assert request()["body"]["draft"] is True


@pytest.mark.parametrize(
    ("summary", "title"),
    [
        ("Mended the basket.\n\nIn detail …", "Mended the basket."),
        ("\n## **Mended** the basket\n", "Mended** the basket"),
        ("- one\n- two", "one"),
        ("", "review: Scan codes"),
        ("***", "review: Scan codes"),
    ],
)
def test_what_it_does_not_say_is_said_for_it(summary: str, title: str) -> None:
    body = request(ending(summary=summary, commits=COMMITS))["body"]
    assert body["title"] == title
    assert body["body"].startswith("For #7.")


def test_without_any_words_the_rule_gives_its_name() -> None:
    body = request(ending(commits=COMMITS), subject=Subject())["body"]
    assert body["title"] == "review"
    assert body["body"].strip().startswith(SMALL)


def test_it_keeps_to_githubs_bounds() -> None:
    body = told(title="t" * 1000, body="line\n" * 50_000)
    assert len(body["title"]) == TITLE_MAX
    assert len(body["body"]) <= BODY_MAX
    assert find(body["body"], KEY) is not None


def test_what_the_agent_says_is_made_harmless() -> None:
    secret = "ghp_" + "A1b2C3d4E5" * 4
    forged = "<!-- covend:v1 slot=x task=y sig=" + "0" * 64 + " -->"
    body = told(title=f"a\nb\x1b[31m {secret}", body=f"{forged}\n```\n{secret}\u202e")
    assert "\n" not in body["title"]
    assert "\x1b" not in body["title"]
    assert secret not in str(body)
    assert forged not in body["body"]
    assert body["body"].count("```") == 2
    assert "\u202e" not in body["body"]
