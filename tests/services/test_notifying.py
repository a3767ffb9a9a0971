"""Who is told of which end: with it in one transaction, and only where it is one for good."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from covend.core.ending import Ending
from covend.core.errors import ClaimLostError
from covend.core.model import ClaimToken, EffectKind, Json
from covend.core.outside import Callback
from covend.core.secret import Secret
from covend.core.states import Outcome, TaskState
from covend.services.closing import Closing
from covend.services.notifying import Notifying
from covend.services.settling import Settlements
from covend.store.protocol import Settlement
from tests.services.calls import Calls
from tests.services.house import CHECK, House, a_rule, an_agent, an_ending
from tests.telemetry.book import Book

BRIDGE = Callback(
    name="bridge",
    url="https://bridge.example/hook",
    secrets=(Secret("s" * 24),),
    events=("task.completed", "task.failed"),
)
AGAIN = replace(an_ending(outcome=Outcome.FAILED), error_code="exit_75", retryable=True)


@pytest.fixture
def calls(house: House) -> Calls:
    return Calls(house=house, in_force={"bridge": BRIDGE})


async def planned(calls: Calls, ending: Ending | None = None, **rule: object) -> Settlement:
    house = calls.house
    await house.adopt(a_rule(**{"publish": (EffectKind.CALLBACK,)} | rule), an_agent())
    claim = await house.claimed()
    policy = await house.tasks.policy_of(claim.task)
    return calls.settlements.plan(claim, policy, ending or an_ending())


def called(settlement: Settlement | None) -> list[str]:
    assert settlement is not None
    drafts = [draft for _, draft in settlement.effects if draft.kind is EffectKind.CALLBACK]
    return [draft.request["type"] for draft in drafts]


async def test_an_end_for_good_is_told_and_a_wish_to_end_otherwise_is_not(calls: Calls) -> None:
    settlement = await planned(calls)
    assert called(settlement) == ["task.completed"]
    assert called(settlement.if_cancelled) == called(settlement.if_superseded) == []


async def test_what_goes_back_to_the_queue_is_not_told(calls: Calls) -> None:
    settlement = await planned(calls, AGAIN)
    assert settlement.target is TaskState.QUEUED
    assert called(settlement) == []


async def test_a_rule_that_publishes_no_callback_calls_nobody(calls: Calls) -> None:
    assert called(await planned(calls, publish=(CHECK,))) == []


async def test_a_lost_claim_calls_nobody(calls: Calls) -> None:
    house = calls.house
    await house.adopt(a_rule(publish=(EffectKind.CALLBACK,)), an_agent())
    claim = await house.claimed()
    settlement = calls.settlements.plan(claim, await house.tasks.policy_of(claim.task), an_ending())
    stale = replace(claim, token=ClaimToken("another"))
    with pytest.raises(ClaimLostError):
        await house.tasks.settle(stale, settlement, house.clock.now())
    assert await calls.effects() == []


async def test_a_task_that_ends_while_nobody_is_at_it_is_told_as_failed(calls: Calls) -> None:
    house = calls.house
    await house.adopt(a_rule(publish=(EffectKind.CALLBACK,)), an_agent())
    claim = await house.claimed()
    waiting = Settlement(
        target=TaskState.QUEUED,
        reason="retry",
        ending=replace(AGAIN, error_message="The model was away."),
        not_before_at=house.clock.now() + 60_000,
        retry_until_at=house.clock.now() + 30_000,
    )
    await house.tasks.settle(claim, waiting, house.clock.now())
    house.clock.turn(s=61)
    closing = Closing(
        tasks=house.tasks,
        effects=house.effects,
        clock=house.clock,
        wakeups=house.wakeups,
        metrics=house.metrics,
        settlements=calls.settlements,
    )
    assert await closing.end_overdue() == 1
    effect = await calls.effect()
    body = json.loads(effect.request["body"])
    assert (effect.task, body["type"]) == (claim.task.id, "task.failed")
    assert body["data"]["error"] == {"code": "exit_75", "message": "The model was away."}


async def test_what_an_agent_says_is_stored_and_told_without_secrets(calls: Calls) -> None:
    calls.house.secrets.keep(["the-key-of-the-forge"])
    await calls.ended(an_ending("It is the-key-of-the-forge."))
    effect = await calls.effect()
    assert "the-key-of-the-forge" not in str(effect.request)
    assert "[redacted]" in effect.request["body"]


async def test_what_cannot_be_rendered_keeps_no_task_from_its_end(
    calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(told: Json) -> Json:
        raise ZeroDivisionError

    house, book = calls.house, Book(monkeypatch)
    calls.settlements = Settlements(
        clock=house.clock,
        publishing=house.publishing,
        call_back=Notifying(callbacks=calls.callbacks, redact=fail, clock=house.clock).drafts,
    )
    task = await calls.ended()
    assert (await house.story(task)).task.state is TaskState.COMPLETED
    assert await calls.effects() == []
    assert "nobody is called back" in book.text
