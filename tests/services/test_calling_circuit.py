"""A receiver that fails rests: what is to be sent to it waits, and uses up no try."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from covend.core.bounds import Circuit
from covend.core.safeguards.shapes import Safeguard
from covend.core.states import EffectState
from tests.receivers import RESET, Answer, Receiver, receiving
from tests.services.calls import Calls
from tests.services.house import House

DONE, PENDING = EffectState.DONE, EffectState.PENDING
NAME = "circuit/callback:bridge"
CIRCUIT = Circuit(failures=3, window_s=300, open_s=60)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
def calls(house: House, receiver: Receiver) -> Calls:
    return Calls(house=house, in_force={"bridge": receiver.callback()}, circuit=CIRCUIT)


async def guard(calls: Calls) -> Safeguard:
    found = await calls.guards.find(NAME)
    assert found is not None
    return found


async def opened(calls: Calls, receiver: Receiver) -> None:
    """Let five ends be told, of which three fail: then it is open."""
    receiver.answers = [Answer(status=503), RESET, Answer(status=500)]
    for _ in range(5):
        await calls.ended()
    assert await calls.call() == 3
    assert (await guard(calls)).state == "open"


async def test_after_so_many_failures_its_calls_wait_and_use_no_try(
    calls: Calls, receiver: Receiver
) -> None:
    await opened(calls, receiver)
    calls.house.clock.turn(s=59)
    assert await calls.call() == 0
    assert [each.tries for each in await calls.effects()] == [1, 1, 1, 0, 0]
    assert {each.state for each in await calls.effects()} == {PENDING}
    assert "3 failures" in (await guard(calls)).reason


async def test_one_probe_that_succeeds_lets_all_go(calls: Calls, receiver: Receiver) -> None:
    await opened(calls, receiver)
    calls.house.clock.turn(s=60)
    assert await calls.call() == 5
    assert {each.state for each in await calls.effects()} == {DONE}
    assert await calls.guards.find(NAME) is None


async def test_a_probe_that_fails_opens_it_again(calls: Calls, receiver: Receiver) -> None:
    await opened(calls, receiver)
    receiver.answers = [Answer(status=500)]
    calls.house.clock.turn(s=60)
    assert await calls.call() == 1
    assert (await guard(calls)).state == "open"
    assert sum(each.tries for each in await calls.effects()) == 4


async def test_it_is_open_over_a_restart(calls: Calls, receiver: Receiver) -> None:
    await opened(calls, receiver)
    calls.one = calls.calling()
    calls.house.clock.turn(s=59)
    assert await calls.call() == 0
    calls.house.clock.turn(s=1)
    assert await calls.call() == 5


async def test_a_probe_that_a_crash_has_cut_off_is_followed_by_another(
    calls: Calls, receiver: Receiver
) -> None:
    await opened(calls, receiver)
    calls.house.meddle(
        "UPDATE safeguards SET state = 'half_open', until_at = NULL,"
        """ details = '{"probe": "01lost"}' WHERE id = :id""",
        id=NAME,
    )
    calls.one = calls.calling()
    calls.house.clock.turn(s=5 * 1.2)
    assert await calls.call() == 5


async def test_an_operator_resets_it(calls: Calls, receiver: Receiver) -> None:
    await opened(calls, receiver)
    await calls.guards.reset(NAME, calls.house.clock.now())
    assert await calls.call() == 2
    calls.house.clock.turn(s=5 * 1.2)
    assert await calls.call() == 3


async def test_another_receiver_is_called_all_the_while(calls: Calls, receiver: Receiver) -> None:
    async with receiving() as other:
        calls.in_force["other"] = other.callback("other")
        receiver.answers = [Answer(status=500)] * 3
        for _ in range(5):
            await calls.ended()
        await calls.call()
        assert (len(receiver.seen), len(other.seen)) == (3, 5)
        assert [each.id for each in await calls.guards.list()] == [NAME]


async def test_refusals_open_nothing(calls: Calls, receiver: Receiver) -> None:
    receiver.answers = [Answer(status=404)] * 5
    for _ in range(5):
        await calls.ended()
    assert await calls.call() == 5
    assert await calls.guards.list() == []


async def test_that_it_has_tripped_is_counted(calls: Calls, receiver: Receiver) -> None:
    await opened(calls, receiver)
    child = calls.house.metrics.safeguard_trips.labels("circuit")
    assert child._value.get() == 1  # noqa: SLF001  the client has no other way
