"""No effect is sent for ever, and none is forgotten: whatever fails beside GitHub, or always."""

from __future__ import annotations

from typing import Any

import anyio

from covend.core.errors import StoreError
from covend.core.model import Effect
from covend.core.states import EffectState
from covend.demo.github import FOREVER, Fault
from covend.edges.github.surfaces import SURFACES, Surface
from covend.services.sending import FIRST_LOOK_MS, SECOND_LOOK_MS, TRIES_MAX
from covend.services.side_by_side import SideBySide
from covend.services.wakeups import Wakeup
from covend.store.effects import StoredEffects
from tests.services.house import AT_ONCE, CHECK, REVIEW, House, a_rule, an_agent

FIVE_MINUTES_S = 300
WITHIN_S = 10.0


async def waiting(house: House, **scene: Any) -> None:
    """A review that waits in the outbox."""
    await house.adopt(a_rule(publish=(REVIEW,)), an_agent())
    await house.settled(**scene)


async def hours_later(house: House) -> None:
    """Publish whenever something is due, as often as an effect may be tried."""
    for _ in range(TRIES_MAX + 10):
        await house.publish()
        house.clock.turn(s=FIVE_MINUTES_S)


class Unreadable(StoredEffects):
    """A store that fails at the place of the visible thing."""

    async def slot(self, slot: str) -> Effect | None:
        raise StoreError(slot)


async def test_a_store_that_fails_before_the_request_leaves_the_effect_where_it_is(
    house: House,
) -> None:
    """It was marked as under way already, and nobody looked at it until the next start."""
    await waiting(house)
    async with anyio.create_task_group() as group:
        sends = SideBySide(group, at_once=AT_ONCE, bell=Wakeup())
        await house.publisher(Unreadable(house.connection)).publish_due(sends)
    assert await house.states() == [EffectState.PENDING]
    await house.publish()
    assert await house.states() == [EffectState.DONE]


async def test_a_fault_of_covend_while_it_sends_is_looked_up(house: House) -> None:
    await waiting(house)
    real = SURFACES[REVIEW]

    async def send(*told: Any) -> Any:
        await real.send(*told)
        raise RuntimeError("a fault of covend's own")

    house.surfaces = {**SURFACES, REVIEW: Surface(send=send, look_up=real.look_up)}
    await house.publish()
    assert await house.states() == [EffectState.UNKNOWN]
    house.clock.turn(s=FIRST_LOOK_MS / 1000)
    await house.publish()
    assert await house.states() == [EffectState.DONE]
    assert len(house.posted("/reviews")) == 1


async def test_a_fault_of_covend_while_it_looks_is_no_look(house: House) -> None:
    await waiting(house)
    house.github.faults.add("POST", "*/reviews", Fault.ANSWER_LOST)
    await house.publish()

    async def look_up(*_: Any) -> Any:
        raise RuntimeError("a fault of covend's own")

    house.surfaces = {**SURFACES, REVIEW: Surface(send=SURFACES[REVIEW].send, look_up=look_up)}
    house.clock.turn(s=SECOND_LOOK_MS / 1000)
    await house.publish()
    effect = await house.effect()
    assert (effect.state, effect.tries) == (EffectState.UNKNOWN, 2)
    assert effect.not_before_at > house.clock.now()


async def test_what_nobody_is_at_any_more_is_doubted(house: House) -> None:
    """It stayed `sending` until the next start, and held up its subject."""
    await waiting(house)
    await house.effects.begin((await house.effect()).id, house.clock.now())
    async with anyio.create_task_group() as group:
        sends = SideBySide(group, at_once=AT_ONCE, bell=Wakeup())
        assert await house.publisher().doubt_forgotten(sends) == 1
    assert await house.states() == [EffectState.UNKNOWN]
    for seconds in (FIRST_LOOK_MS / 1000, (SECOND_LOOK_MS - FIRST_LOOK_MS) / 1000):
        house.clock.turn(s=seconds)
        await house.publish()
    assert await house.states() == [EffectState.DONE]


async def test_what_is_under_way_is_not_doubted(house: House) -> None:
    await waiting(house)
    held = house.github.faults.add("POST", "*/reviews", Fault.HELD)
    publisher = house.publisher()
    async with anyio.create_task_group() as group:
        sends = SideBySide(group, at_once=AT_ONCE, bell=Wakeup())
        await publisher.publish_due(sends)
        await held.reached.wait()
        assert await publisher.doubt_forgotten(sends) == 0
        held.release()
    assert await house.states() == [EffectState.DONE]


async def test_a_publisher_that_runs_sweeps_up(house: House) -> None:
    await waiting(house)
    effect = await house.effect()
    await house.effects.begin(effect.id, house.clock.now())
    publisher = house.publisher()
    publisher.drain()
    await publisher.run()
    assert await house.states() == [EffectState.UNKNOWN]


async def test_what_github_never_takes_is_given_up(house: House) -> None:
    """It was sent for ever, and held up every later effect of its subject."""
    await house.adopt(a_rule(publish=(CHECK, REVIEW)), an_agent())
    await house.settled()
    house.github.faults.add("POST", "*/reviews", Fault.ERROR_500, FOREVER)
    await hours_later(house)
    given_up = await house.effect()
    assert given_up.state is EffectState.FAILED
    assert "however often it was sent" in (given_up.error or "")
    assert len(house.posted("/reviews")) <= TRIES_MAX
    assert (await house.effect(CHECK)).state is EffectState.DONE


async def test_what_can_never_be_looked_up_is_given_up(house: House) -> None:
    await waiting(house)
    house.github.faults.add("POST", "*/reviews", Fault.ANSWER_LOST)
    house.github.faults.add("GET", "*/reviews", Fault.ERROR_500, FOREVER)
    await hours_later(house)
    given_up = await house.effect()
    assert given_up.state is EffectState.FAILED
    assert "visible or not" in (given_up.error or "")
    assert len(house.posted("/reviews")) == 1


class Faulty(StoredEffects):
    """A store of some slots of which covend makes a wrong use."""

    def __init__(self, house: House, slots: list[str]) -> None:
        super().__init__(house.connection)
        self._slots = slots

    async def slot(self, slot: str) -> Effect | None:
        if slot in self._slots:
            raise RuntimeError("a fault of covend's own")
        return await super().slot(slot)


async def test_faults_of_covend_put_off_their_own_effects_alone(house: House) -> None:
    """Eight of them kept all places, for a minute each, one round after the other."""
    for _ in range(AT_ONCE):
        await waiting(house, number=house.open_pull().number)
    slots = [each.slot for each in await house.outbox()]
    await waiting(house)
    publisher = house.publisher(Faulty(house, slots))
    async with anyio.create_task_group() as group:
        group.start_soon(publisher.run)
        await house.github.wait_for(lambda: house.github.state.reviews, within_s=WITHIN_S)
        publisher.drain()
    *put_off, last = await house.outbox()
    assert last.state is EffectState.DONE
    assert {each.state for each in put_off} == {EffectState.PENDING}
    assert min(each.not_before_at for each in put_off) > house.clock.now()
