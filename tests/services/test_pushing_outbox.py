"""The outbox publishes an agent's commits once, and not where their head has moved."""

from __future__ import annotations

import pytest

from covend.core.model import EffectKind
from covend.core.states import EffectState
from covend.demo.github import Fault
from covend.edges.github.surfaces import SURFACES
from covend.services.sending import FIRST_LOOK_MS, SECOND_LOOK_MS
from tests.services.committing import Committed
from tests.services.house import House

PUSH = ("POST", "*/git-receive-pack")
CREATE = ("POST", "*/pulls")
PULL_REQUEST = EffectKind.PULL_REQUEST


@pytest.fixture
async def done(house: House) -> Committed:
    return await Committed.make(house)


@pytest.fixture
def outbox(done: Committed) -> House:
    done.house.surfaces = {**SURFACES, PULL_REQUEST: done.surface}
    return done.house


async def test_the_outbox_publishes_it(outbox: House, done: Committed) -> None:
    await outbox.publish()
    effect = await outbox.effect(PULL_REQUEST)
    (pull,) = done.opened
    assert (effect.state, effect.remote_id) == (EffectState.DONE, str(pull.number))


@pytest.mark.parametrize("step", [PUSH, CREATE])
async def test_the_outbox_looks_for_what_got_no_answer(
    outbox: House, done: Committed, step: tuple[str, str]
) -> None:
    outbox.github.faults.add(*step, Fault.ERROR_500_APPLIED)
    await outbox.publish()
    for pause_ms in (FIRST_LOOK_MS, SECOND_LOOK_MS):
        outbox.clock.turn(s=pause_ms / 1000)
        await outbox.publish()
    assert await outbox.states() == [EffectState.DONE]
    assert (len(done.opened), done.tip) == (1, done.sha)


async def test_what_was_done_on_an_older_head_is_not_pushed(outbox: House, done: Committed) -> None:
    outbox.till.git.push(7, {"new.txt": "new"}, "Go on")
    await outbox.publish()
    outbox.clock.turn(s=FIRST_LOOK_MS / 1000)
    await outbox.publish()
    effect = await outbox.effect(PULL_REQUEST)
    assert (effect.state, done.tip, done.opened) == (EffectState.WITHHELD, None, [])
