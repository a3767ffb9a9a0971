from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from covend.core.commanding import CommandWish
from covend.core.effects.acknowledge import (
    Reaction,
    acknowledge_task,
    acknowledge_wish,
    react_to_task,
)
from covend.core.effects.drafting import subject_key
from covend.core.effects.marker import Marker, find
from covend.core.model import Command, DeliveryId, EffectKind, SubjectType
from tests.core.effects.effect_samples import COMMIT, ISSUE, KEY, NOON, PULL, task

SAID = Command(verb="retry", text="", actor="mara", comment_id=12, place="issue_comment")
IN_REVIEW = replace(SAID, place="review")


def wish(command: Command = SAID, **changed: Any) -> CommandWish:
    sample = CommandWish(
        delivery=DeliveryId("d"),
        command=command,
        is_wanted=False,
        is_bot=False,
        installation_id=1,
        repository_id=42,
        repository="acme/till",
        repository_key="42",
        subject_type=SubjectType.PULL_REQUEST,
        subject_number=7,
        reason="new",
        created_at=NOON,
    )
    return replace(sample, **changed)


@pytest.mark.parametrize("place", ["issue_comment", "review_comment"])
def test_a_command_is_acknowledged_by_a_reaction_to_its_comment(place: str) -> None:
    (draft,) = acknowledge_wish(wish(replace(SAID, place=place)), Reaction.SEEN, key=KEY)
    assert draft.kind is EffectKind.REACTION
    assert draft.slot == f"reaction/{place}/12/eyes"
    assert draft.target == "acme/till#7"
    assert draft.request == {
        "repository": "acme/till",
        "on": "pull_request",
        "place": place,
        "comment_id": 12,
        "body": {"content": "eyes"},
    }


def test_words_are_a_comment_of_their_own_with_a_marker() -> None:
    reaction, reply = acknowledge_wish(wish(), Reaction.DONE, key=KEY, words="All is well.")
    assert (reaction.kind, reply.kind) == (EffectKind.REACTION, EffectKind.COMMENT)
    assert reply.slot == "reply/issue_comment/12"
    assert reply.subject == reaction.subject
    text = reply.request["body"]["body"]
    assert text.startswith("All is well.\n")
    assert find(text, KEY) == Marker(slot=reply.slot, task="d")
    assert (reply.request["number"], reply.request["on"]) == (7, "pull_request")


def test_an_answer_waits_for_no_review_of_its_subject() -> None:
    (draft,) = acknowledge_wish(wish(), Reaction.SEEN, key=KEY)
    assert draft.subject != subject_key(task())


@pytest.mark.parametrize(
    ("reaction", "sign"),
    [
        (Reaction.SEEN, "👀"),
        (Reaction.DONE, "👍"),
        (Reaction.REFUSED, "👎"),
        (Reaction.PUZZLED, "😕"),
    ],
)
def test_in_a_review_a_short_comment_says_the_same(reaction: Reaction, sign: str) -> None:
    (draft,) = acknowledge_wish(wish(IN_REVIEW), reaction, key=KEY)
    assert (draft.kind, draft.slot) == (EffectKind.COMMENT, "reply/review/12")
    assert draft.request["body"]["body"].startswith(f"{sign} `retry`\n")


def test_in_a_review_words_are_enough() -> None:
    (draft,) = acknowledge_wish(wish(IN_REVIEW), Reaction.DONE, key=KEY, words="Here.")
    assert draft.request["body"]["body"].startswith("Here.\n")


@pytest.mark.parametrize(
    "changed",
    [
        {"repository": None},
        {"subject_number": None},
        {"subject_type": SubjectType.COMMIT},
        {"subject_type": SubjectType.NONE},
    ],
)
def test_where_there_is_no_place_nothing_is_said(changed: dict[str, Any]) -> None:
    assert acknowledge_wish(wish(**changed), Reaction.DONE, key=KEY, words="x") == ()


def test_a_task_refuses_the_command_that_it_was_made_by() -> None:
    for subject in (PULL, ISSUE):
        (draft,) = acknowledge_task(
            task(command=SAID, subject=subject, repository_key="42"), Reaction.REFUSED, key=KEY
        )
        (same, *_) = acknowledge_wish(wish(), Reaction.REFUSED, key=KEY)
        assert (draft.slot, draft.subject) == (same.slot, same.subject)
        assert draft.request["on"] == subject.type


@pytest.mark.parametrize("changed", [{"command": None}, {"subject": COMMIT, "command": SAID}])
def test_a_task_without_a_command_has_nothing_to_acknowledge(changed: dict[str, Any]) -> None:
    assert acknowledge_task(task(**changed), Reaction.REFUSED, key=KEY) == ()


def test_an_answer_to_a_command_in_a_thread_stays_in_the_thread() -> None:
    said = replace(SAID, place="review_comment")
    _, reply = acknowledge_wish(wish(said), Reaction.DONE, key=KEY, words="All is well.")
    assert (reply.slot, reply.request["thread"]) == ("reply/review_comment/12", 12)
    _, reply = acknowledge_wish(wish(), Reaction.DONE, key=KEY, words="All is well.")
    assert "thread" not in reply.request


def test_a_task_that_nobody_commanded_is_reacted_to_on_its_pull_request_or_issue() -> None:
    (draft,) = react_to_task(task(), Reaction.SEEN, key=KEY)
    assert (draft.kind, draft.slot) == (EffectKind.REACTION, "reaction/42/pull/7/eyes")
    assert draft.subject != subject_key(task())
    assert draft.request == {
        "repository": "acme/till",
        "on": "pull_request",
        "place": "subject",
        "number": 7,
        "body": {"content": "eyes"},
    }
    (draft,) = react_to_task(task(subject=ISSUE), Reaction.DONE, key=KEY)
    assert (draft.request["on"], draft.request["number"]) == ("issue", 9)


def test_a_commanded_task_is_reacted_to_where_its_command_was_acknowledged() -> None:
    (draft,) = react_to_task(task(command=SAID, repository_key="42"), Reaction.SEEN, key=KEY)
    (same,) = acknowledge_wish(wish(), Reaction.SEEN, key=KEY)
    assert (draft.slot, draft.subject, draft.request) == (same.slot, same.subject, same.request)


@pytest.mark.parametrize("changed", [{"subject": COMMIT}, {"repository": None}])
def test_a_task_without_a_place_is_reacted_to_nowhere(changed: dict[str, Any]) -> None:
    assert react_to_task(task(**changed), Reaction.SEEN, key=KEY) == ()
