"""Receivers are told of a task's end: the same bytes on every try, until they have it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from email.utils import format_datetime

import aiohttp
import anyio
import pytest

from covend.core.effects.delivering import SCHEDULE_S, TRIES_MAX, Code, Reply, Unheard
from covend.core.errors import ConflictError
from covend.core.model import EffectId, Moment
from covend.core.outside import Callback
from covend.core.safeguards.shapes import Lesson
from covend.core.states import EffectState, Outcome
from covend.edges.callbacks import sender
from covend.services.resending import Resending
from covend.store.guards import StoredGuards
from covend.store.protocol import LessonOf
from tests.receivers import RESET, SILENT, Answer, Receiver, receiving
from tests.services.calls import Calls
from tests.services.house import House, an_ending

DONE, FAILED, PENDING = EffectState.DONE, EffectState.FAILED, EffectState.PENDING
TRIES = TRIES_MAX["task.completed"]
WITHIN_S = 10.0
LONGEST = 1.2
"""No wait is longer than this part of its step."""


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
def calls(house: House, receiver: Receiver) -> Calls:
    return Calls(house=house, in_force={"bridge": receiver.callback()})


async def test_a_completed_task_is_told_once(calls: Calls, receiver: Receiver) -> None:
    task = await calls.ended(an_ending("All is well."))
    assert await calls.call() == 1
    (seen,) = receiver.seen
    body = json.loads(seen.body)
    assert (body["type"], body["data"]["id"]) == ("task.completed", task)
    assert body["data"]["summary"] == "All is well."
    effect = await calls.effect()
    assert (effect.state, effect.tries, effect.error) == (DONE, 1, None)
    assert seen.headers["webhook-id"] == effect.id
    assert calls.counted() == {("bridge", "sent", "none"): 1}
    text = calls.house.metrics.render().decode()
    assert 'covend_phase_seconds_count{phase="callback",result="sent"} 1.0' in text
    assert 'covend_effects_total{kind="callback",result="sent"} 1.0' in text


async def test_what_a_receiver_has_is_not_sent_again_on_request(calls: Calls) -> None:
    await calls.ended()
    await calls.call()
    house, effect = calls.house, await calls.effect()
    again = Resending(effects=house.effects, clock=house.clock, wakeups=house.wakeups)
    with pytest.raises(ConflictError, match="done: its receiver has it"):
        await again.retry(effect.id)


async def test_a_task_that_failed_is_told_as_that(calls: Calls, receiver: Receiver) -> None:
    await calls.ended(an_ending("No.", outcome=Outcome.FAILED))
    await calls.call()
    (seen,) = receiver.seen
    assert json.loads(seen.body)["type"] == "task.failed"


async def test_the_body_is_the_same_on_every_try_and_the_moment_is_not(
    calls: Calls, receiver: Receiver
) -> None:
    """Also where a secret becomes known meanwhile, and whatever the receiver answers."""
    receiver.answers = [Answer(status=status) for status in (500, 408, 425, 429, 502, 503)] + [
        RESET,
    ]
    await calls.ended(an_ending("Grüße from the tøwer."))
    for seconds in (*SCHEDULE_S, 0):
        assert await calls.call() == 1
        calls.house.secrets.keep(["tøwer"])
        calls.house.clock.turn(s=seconds * LONGEST)
    assert len(receiver.seen) == TRIES
    assert len({seen.body for seen in receiver.seen}) == 1
    assert len({seen.headers["webhook-id"] for seen in receiver.seen}) == 1
    assert len({seen.headers["webhook-timestamp"] for seen in receiver.seen}) == TRIES
    assert len({seen.headers["webhook-signature"] for seen in receiver.seen}) == TRIES
    effect = await calls.effect()
    assert (effect.state, effect.tries) == (DONE, TRIES)
    assert effect.request["body"].encode() == receiver.seen[0].body


async def test_the_waits_are_those_of_the_schedule(calls: Calls, receiver: Receiver) -> None:
    receiver.answers = [Answer(status=500)] * len(SCHEDULE_S)
    await calls.ended()
    for seconds in SCHEDULE_S:
        assert await calls.call() == 1
        wait_s = ((await calls.effect()).not_before_at - calls.house.clock.now()) / 1000
        assert 0.8 * seconds <= wait_s <= LONGEST * seconds
        calls.house.clock.turn(s=wait_s - 0.001)
        assert await calls.call() == 0
        calls.house.clock.turn(s=0.001)
    assert await calls.call() == 1
    assert (await calls.effect()).state is DONE


def in_20_minutes(house: House) -> str:
    house.clock.turn(s=1200)
    text = format_datetime(house.clock.moment(), usegmt=True)
    house.clock.turn(s=-1200)
    return text


@pytest.mark.parametrize(
    ("answer", "state", "code", "is_counted_for_circuit"),
    [
        (Answer(status=200), DONE, None, False),
        (Answer(status=204), DONE, None, False),
        (Answer(status=301, headers={"Location": "/"}), FAILED, Code.REDIRECT, False),
        (Answer(status=307, headers={"Location": "/"}), FAILED, Code.REDIRECT, False),
        (Answer(status=400), FAILED, Code.REFUSED, False),
        (Answer(status=401), FAILED, Code.REFUSED, False),
        (Answer(status=404), FAILED, Code.REFUSED, False),
        (Answer(status=408), PENDING, Code.TIMEOUT, True),
        (Answer(status=409), FAILED, Code.CONFLICT, False),
        (Answer(status=409, headers={"Idempotent-Replayed": "true"}), DONE, None, False),
        (Answer(status=409, body=b'{"id": "{id}"}'), DONE, None, False),
        (Answer(status=409, body=b'{"error": {"code": "duplicate"}}'), DONE, None, False),
        (Answer(status=410), FAILED, Code.GONE, False),
        (Answer(status=425), PENDING, Code.TOO_EARLY, True),
        (Answer(status=429, headers={"Retry-After": "1200"}), PENDING, Code.RATE_LIMITED, True),
        (Answer(status=429, headers={"Retry-After": "{date}"}), PENDING, Code.RATE_LIMITED, True),
        (Answer(status=500), PENDING, Code.SERVER_ERROR, True),
        (Answer(status=503, headers={"Retry-After": "1200"}), PENDING, Code.SERVER_ERROR, True),
        (RESET, PENDING, Code.NO_ANSWER, True),
        (SILENT, PENDING, Code.TIMEOUT, True),
    ],
)
async def test_every_answer_has_its_consequence(
    calls: Calls,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    answer: Answer,
    state: EffectState,
    code: Code | None,
    is_counted_for_circuit: bool,
) -> None:
    if answer is SILENT:
        monkeypatch.setattr(sender, "_TIMEOUT", aiohttp.ClientTimeout(total=0.1))
    date = in_20_minutes(calls.house)
    headers = {name: text.replace("{date}", date) for name, text in answer.headers.items()}
    receiver.answers = [
        Answer(
            status=answer.status,
            headers=headers,
            body=answer.body,
            resets=answer.resets,
            is_silent=answer.is_silent,
        )
    ]
    await calls.ended()
    assert await calls.call() == 1
    effect = await calls.effect()
    assert (effect.state, effect.tries) == (state, 1)
    assert (effect.error or "").partition(":")[0] == (code or "")
    if "Retry-After" in headers:
        wait_s = (effect.not_before_at - calls.house.clock.now()) / 1000
        assert 1199 <= wait_s <= 1200
    assert bool(await calls.guards.list()) == is_counted_for_circuit
    calls.house.clock.turn(s=1200)
    assert await calls.call() == (1 if state is PENDING else 0)


async def test_what_is_exhausted_is_failed_counted_and_can_be_sent_again(
    calls: Calls, receiver: Receiver
) -> None:
    receiver.answers = [Answer(status=500)] * TRIES
    await calls.ended()
    for seconds in (*SCHEDULE_S, 0):
        assert await calls.call() == 1
        calls.house.clock.turn(s=seconds * LONGEST)
    failed = await calls.effect()
    assert failed.state is FAILED
    assert f"given up after {TRIES} tries" in (failed.error or "")
    assert calls.house.metrics.callback_exhausted._value.get() == 1  # noqa: SLF001
    calls.house.clock.turn(s=100 * 3600)
    assert await calls.call() == 0

    assert await calls.house.effects.ask_again(failed.id, now=calls.house.clock.now())
    assert await calls.call() == 1
    assert (await calls.effect()).state is DONE
    assert receiver.seen[-1].body == receiver.seen[0].body
    assert receiver.seen[-1].headers["webhook-id"] == failed.id


async def test_a_final_refusal_is_not_counted_as_exhausted(
    calls: Calls, receiver: Receiver
) -> None:
    receiver.answers = [Answer(status=404)]
    await calls.ended()
    await calls.call()
    assert (await calls.effect()).state is FAILED
    assert calls.house.metrics.callback_exhausted._value.get() == 0  # noqa: SLF001


async def test_a_callback_that_is_gone_from_the_settings_says_so(
    calls: Calls, receiver: Receiver
) -> None:
    await calls.ended()
    calls.in_force.clear()
    await calls.call()
    failed = await calls.effect()
    assert failed.state is FAILED
    assert "callback_removed: there is no [callbacks.bridge]" in (failed.error or "")
    assert receiver.seen == []
    assert calls.counted() == {("other", "failed", "callback_removed"): 1}


async def test_the_address_in_force_is_called_not_that_of_the_end(calls: Calls) -> None:
    await calls.ended()
    async with receiving() as moved:
        calls.in_force["bridge"] = moved.callback()
        await calls.call()
        assert len(moved.seen) == 1


async def test_calls_of_one_receiver_come_in_the_order_of_the_ends(
    calls: Calls, receiver: Receiver
) -> None:
    tasks = [await calls.ended() for _ in range(3)]
    await calls.call()
    assert [json.loads(seen.body)["data"]["id"] for seen in receiver.seen] == tasks


async def test_what_waits_to_be_tried_again_holds_up_no_other(
    calls: Calls, receiver: Receiver
) -> None:
    receiver.answers = [Answer(status=500)]
    await calls.ended()
    await calls.ended()
    assert await calls.call() == 2
    assert [each.state for each in await calls.effects()] == [PENDING, DONE]


async def test_a_receiver_that_hangs_delays_no_other(calls: Calls, receiver: Receiver) -> None:
    receiver.answers = [SILENT]
    async with receiving() as other:
        calls.in_force["other"] = other.callback("other")
        for _ in range(3):
            await calls.ended()
        async with anyio.create_task_group() as group:
            group.start_soon(calls.one.run)
            await receiver.arrived(1, within_s=WITHIN_S)
            await other.arrived(3, within_s=WITHIN_S)
            assert len(receiver.seen) == 1
            group.cancel_scope.cancel()


async def test_what_was_cut_off_is_sent_again_under_its_id(
    calls: Calls, receiver: Receiver
) -> None:
    receiver.answers = [SILENT]
    await calls.ended()
    async with anyio.create_task_group() as group:
        group.start_soon(calls.one.run)
        await receiver.arrived(1, within_s=WITHIN_S)
        group.cancel_scope.cancel()
    assert (await calls.effect()).state is EffectState.SENDING

    calls.one = calls.calling()
    assert await calls.one.return_forgotten() == 1
    assert await calls.call() == 1
    effect = await calls.effect()
    assert (effect.state, effect.tries) == (DONE, 2)
    first, second = receiver.seen
    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"]


async def test_what_a_start_has_doubted_is_not_looked_up_but_sent_again(
    calls: Calls, receiver: Receiver
) -> None:
    await calls.ended()
    effect = await calls.effect()
    await calls.house.effects.begin(effect.id, calls.house.clock.now())
    await calls.house.effects.doubt_all_sending(calls.house.clock.now() + 8_000)
    assert await calls.one.return_forgotten() == 1
    assert await calls.call() == 1
    assert (await calls.effect()).state is DONE


async def test_a_drain_waits_for_what_is_under_way(calls: Calls, receiver: Receiver) -> None:
    receiver.answers = [SILENT]
    await calls.ended()
    async with anyio.create_task_group() as group:
        group.start_soon(calls.one.run)
        await receiver.arrived(1, within_s=WITHIN_S)
        calls.one.drain()
        receiver.closed.set()
        await calls.one.drained(WITHIN_S)
    assert (await calls.effect()).state is DONE


async def test_a_drain_waits_no_longer_than_it_may(calls: Calls, receiver: Receiver) -> None:
    receiver.answers = [SILENT]
    await calls.ended()
    async with anyio.create_task_group() as group:
        group.start_soon(calls.one.run)
        await receiver.arrived(1, within_s=WITHIN_S)
        calls.one.drain()
        await calls.one.drained(0.05)
        assert (await calls.effect()).state is EffectState.SENDING
        group.cancel_scope.cancel()


class Broken(StoredGuards):
    """Guards that covend itself fails at."""

    async def learn(self, lesson: LessonOf, now: Moment) -> Lesson:
        raise ZeroDivisionError


async def test_a_fault_before_anything_has_left_uses_no_try(
    calls: Calls, receiver: Receiver
) -> None:
    await calls.ended()
    calls.guards = Broken(calls.house.connection)
    calls.one = calls.calling()
    assert await calls.call() == 1
    effect = await calls.effect()
    assert (effect.state, effect.tries) == (PENDING, 0)
    assert effect.not_before_at > calls.house.clock.now() + 60_000
    assert receiver.seen == []


async def test_a_fault_of_covend_itself_puts_off_one_call_alone(
    calls: Calls, receiver: Receiver
) -> None:
    async def fail_once(callback: Callback, effect: EffectId, body: str) -> Reply:
        if callback.name == "bridge":
            raise ZeroDivisionError
        return Unheard(code=Code.NO_ANSWER, message="x")

    calls.in_force["other"] = receiver.callback("other")
    await calls.ended()
    calls.one = calls.calling(fail_once)
    await calls.call()
    bridge, _ = await calls.effects()
    assert bridge.state is PENDING
    assert "covend itself failed" in (bridge.error or "")
    assert bridge.not_before_at > calls.house.clock.now() + 60_000
