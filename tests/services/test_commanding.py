"""What is said to covend itself is done once, for those alone who may ask, and acknowledged where
it was said.
"""

from __future__ import annotations

from typing import Any

import pytest

from covend.core.effects.marker import find
from covend.core.errors import ConflictError
from covend.core.model import EffectKind, Task
from covend.core.states import EffectState, TaskState
from covend.demo.github import FOREVER, Fault
from covend.demo.records import Account
from covend.services.commanding import GIVE_UP_MS
from covend.services.operations import OPERATOR, Operations
from tests.services.house import CHECK, House, a_rule, an_agent
from tests.services.talk import BY, STRANGER, Talk, failed, held, state_of

REVIEW, INLINE = "pull_request_review.submitted", "pull_request_review_comment.created"
BOT = Account(login="renew[bot]", id=78, kind="Bot")


@pytest.fixture
async def talk(house: House) -> Talk:
    await house.adopt(a_rule(publish=(CHECK,)), an_agent())
    return Talk(house)


# --- what a rule listens to -----------------------------------------------------------------------


async def test_what_a_rule_listens_to_is_seen_and_left_to_its_task(house: House) -> None:
    talk = Talk(house)
    await house.adopt(a_rule(name="ask", on=("command.review",)), an_agent())
    assert await talk.hear("@covend-demo review") == ("done", "routed")
    assert (talk.reactions(), talk.answers()) == (["eyes"], [])
    assert house.posted("/permission", "GET") == []


async def test_a_rule_may_listen_to_a_verb_of_covends_own(house: House) -> None:
    talk = Talk(house)
    await house.adopt(a_rule(name="ask", on=("command.retry",)), an_agent())
    assert await talk.hear("@covend-demo retry") == ("done", "routed")
    assert talk.desk.asked == []


# --- who is heard ---------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["retry", "status", "pause", "help", "frobnicate"])
@pytest.mark.parametrize("role", ["read", "triage", None])
async def test_a_stranger_is_refused_without_a_word(
    verb: str, role: str | None, talk: Talk
) -> None:
    talk.house.github.add_account(STRANGER)
    if role is not None:
        talk.house.till.roles[STRANGER.login] = role
    assert await talk.hear(f"/covend {verb}", sender=STRANGER) == ("refused", "not_permitted")
    assert (talk.reactions(), talk.answers(), talk.desk.asked) == (["-1"], [], [])


async def test_a_person_whom_github_does_not_know_is_refused(talk: Talk) -> None:
    assert await talk.hear("/covend help", sender=STRANGER) == ("refused", "permission_unknown")
    assert (talk.reactions(), talk.answers()) == (["-1"], [])


async def test_a_bot_is_never_heard_whatever_it_may(talk: Talk) -> None:
    talk.house.github.add_account(BOT)
    talk.house.till.roles[BOT.login] = "admin"
    assert await talk.hear("/covend resume", sender=BOT) == ("refused", "bot")
    assert talk.house.posted("/permission", "GET") == []
    assert (talk.reactions(), talk.desk.asked) == (["-1"], [])


@pytest.mark.parametrize(
    ("role", "verb", "reason"),
    [
        ("write", "help", "done"),
        ("write", "pause", "not_permitted"),
        ("write", "resume", "not_permitted"),
        ("maintain", "pause", "done"),
        ("admin", "resume", "done"),
    ],
)
async def test_a_repository_is_paused_by_its_keepers_alone(
    role: str, verb: str, reason: str, talk: Talk
) -> None:
    talk.house.github.add_account(STRANGER)
    talk.house.till.roles[STRANGER.login] = role
    assert (await talk.hear(f"/covend {verb}", sender=STRANGER))[1] == reason


@pytest.mark.parametrize("fault", [Fault.ERROR_500, Fault.RESET, Fault.RATE_LIMITED_429])
async def test_while_nobody_can_be_asked_a_command_waits(fault: Fault, talk: Talk) -> None:
    talk.house.github.faults.add("GET", "*/permission", fault, FOREVER)
    delivery = await talk.say("/covend help")
    await talk.attend()
    state, reason = talk.state(delivery)
    assert (state, reason.partition(":")[0]) == ("received", "look_up")

    asked = len(talk.house.github.requests)
    await talk.attend()
    assert len(talk.house.github.requests) == asked

    talk.house.github.faults.clear()
    talk.house.clock.turn(s=3600)
    await talk.attend()
    assert talk.state(delivery) == ("done", "done")


async def test_after_a_day_nobody_was_asked_and_it_is_refused(talk: Talk) -> None:
    talk.house.github.faults.add("GET", "*/permission", Fault.ERROR_500, FOREVER)
    delivery = await talk.say("/covend pause")
    talk.house.clock.turn(s=GIVE_UP_MS / 1000 + 1)
    await talk.attend()
    assert talk.state(delivery) == ("refused", "look_up_failed")
    assert talk.desk.asked == []


# --- what is done ---------------------------------------------------------------------------------


async def test_retry_queues_again_what_has_failed(talk: Talk) -> None:
    task = await failed(talk.house)
    assert await talk.hear("/covend retry") == ("done", "done")
    assert talk.desk.asked == [("retry", task.id, BY)]
    assert await state_of(talk.house, task) is TaskState.QUEUED
    assert (talk.reactions(), talk.answers()) == (["+1"], [])


async def test_another_rules_name_retries_nothing_and_says_so(talk: Talk) -> None:
    await failed(talk.house)
    assert await talk.hear("/covend retry fix") == ("done", "nothing_to_do")
    assert talk.desk.asked == []
    (answer,) = talk.answers()
    assert answer.startswith("Nothing to retry of a rule `fix` here.")
    assert talk.reactions() == ["confused"]


async def test_cancel_ends_what_is_open_on_this_subject_alone(talk: Talk) -> None:
    other = await talk.house.task(number=talk.house.open_pull().number)
    task = await talk.house.task()
    assert await talk.hear("/covend cancel review") == ("done", "done")
    assert talk.desk.asked == [("cancel", task.id, BY)]
    assert await state_of(talk.house, other) is TaskState.QUEUED


async def test_approve_lets_run_what_waits_for_it(talk: Talk) -> None:
    task = await held(talk.house)
    assert (task.state, task.reason) == (TaskState.RECEIVED, "approval")
    assert await talk.hear("/covend approve") == ("done", "done")
    approved = (await talk.house.story(task.id)).task
    assert (approved.state, approved.approved_by) == (TaskState.QUEUED, BY)


@pytest.mark.parametrize("verb", ["pause", "resume"])
async def test_a_pause_is_of_this_repository(verb: str, talk: Talk) -> None:
    for _ in range(2):
        assert await talk.hear(f"/covend {verb}") == ("done", "done")
    assert talk.desk.asked == [(verb, "repository:acme/till", BY)] * 2
    assert talk.reactions() == ["+1", "+1"]


async def test_what_an_operator_has_paused_no_comment_lifts(talk: Talk) -> None:
    await talk.desk.pause("repository:acme/till", by=OPERATOR)
    assert await talk.hear("/covend resume") == ("refused", "paused_by_operator")
    (answer,) = talk.answers()
    assert "`covend resume` lifts it" in answer
    assert talk.reactions() == ["-1"]


async def test_status_is_a_comment_of_its_own(talk: Talk) -> None:
    await failed(talk.house)
    await talk.hear("/covend status")
    (answer,) = talk.answers()
    assert "| `review` | failed |" in answer
    marker = find(answer, talk.house.publishing.key)
    assert marker is not None
    assert marker.slot.startswith("reply/issue_comment/")
    assert talk.reactions() == ["+1"]


async def test_help_names_what_rules_listen_to(talk: Talk) -> None:
    await talk.hear("/covend help")
    (answer,) = talk.answers()
    assert "`approve [rule]`" in answer
    assert "`review`: " in answer


@pytest.mark.parametrize("verb", ["frobnicate", "fix"])
async def test_an_unknown_verb_gets_one_short_answer(verb: str, talk: Talk) -> None:
    assert await talk.hear(f"@covend-demo {verb} it") == ("done", "unknown_verb")
    (answer,) = talk.answers()
    assert answer.startswith(f"Nobody here listens to `{verb}`.")
    assert talk.reactions() == ["confused"]


@pytest.mark.parametrize("verb", ["retry", "pause"])
async def test_what_an_operation_refuses_is_told(
    verb: str, talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object, **__: object) -> None:
        raise ConflictError("It keeps moving.")

    await failed(talk.house)
    monkeypatch.setattr(Operations, verb, refuse)
    assert await talk.hear(f"/covend {verb}") == ("done", "nothing_to_do")
    assert "It keeps moving." in talk.answers()[0]


async def test_a_task_that_keeps_moving_keeps_no_other_from_its_end(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    house, cancel = talk.house, Operations.cancel
    await house.adopt(a_rule(name="audit"), an_agent())
    both = (await house.deliver()).tasks

    async def refuse_the_first(desk: Operations, task: str, *given: Any, **named: Any) -> Task:
        if len(talk.desk.asked) == 1:
            raise ConflictError
        return await cancel(desk, task, *given, **named)

    monkeypatch.setattr(Operations, "cancel", refuse_the_first)
    assert await talk.hear("/covend cancel") == ("done", "done")
    states = {(await house.story(task)).task.state for task in both}
    assert states == {TaskState.QUEUED, TaskState.CANCELLED}


# --- where it was said ----------------------------------------------------------------------------


async def test_a_line_of_a_diff_is_reacted_to(talk: Talk) -> None:
    await talk.hear("/covend pause", event=INLINE)
    (given,) = talk.house.github.state.reactions
    assert (given.subject, given.content) == ("review_comment", "+1")


async def test_in_a_review_a_short_comment_stands_for_the_reaction(talk: Talk) -> None:
    assert await talk.hear("/covend pause", event=REVIEW) == ("done", "done")
    (answer,) = talk.answers()
    assert answer.startswith("👍 `pause`\n")
    assert talk.reactions() == []


async def test_an_answer_belongs_to_no_task_and_is_sent_all_the_same(talk: Talk) -> None:
    await talk.hear("/covend help")
    outbox = await talk.house.outbox()
    assert [(each.kind, each.task, each.state) for each in outbox] == [
        (EffectKind.REACTION, None, EffectState.DONE),
        (EffectKind.COMMENT, None, EffectState.DONE),
    ]


async def test_a_reaction_that_is_not_permitted_is_tried_once(talk: Talk) -> None:
    talk.house.github.state.permissions["pull_requests"] = "read"
    await talk.hear("/covend pause")
    reaction = await talk.house.effect(EffectKind.REACTION)
    assert (reaction.state, reaction.tries) == (EffectState.FAILED, 1)
    assert "pull_requests=write" in (reaction.error or "")
    talk.house.clock.turn(s=3600)
    await talk.house.publish()
    assert (await talk.house.effect(EffectKind.REACTION)).tries == 1
