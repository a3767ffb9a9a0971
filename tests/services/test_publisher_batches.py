"""The annotations of a check come in parts: none is added twice, none without those before it, and
the check ends whatever became of them.
"""

from __future__ import annotations

import pytest

from covend.core.ending import Ending, Finding, Result
from covend.core.errors import ConflictError
from covend.core.model import Effect
from covend.core.states import EffectState, Outcome
from covend.edges.github.client import GitHubClient, Sent
from covend.edges.github.errors import Refused
from covend.edges.github.surfaces import SURFACES, Surface
from covend.services.concluding import SETTLED_S, Concluding
from covend.services.resending import Resending
from covend.services.sending import NO_PART
from covend.store.concluding import StoredLeftOpen
from tests.services.house import CHECK, House, a_rule, an_agent

FAILED = EffectState.FAILED


async def found_much(house: House) -> None:
    """A check in progress, of which three batches of annotations are about to be sent."""
    await house.adopt(a_rule(publish=(CHECK,)), an_agent())
    claim = await house.claimed()
    await house.announce(claim)
    await house.publish()
    findings = tuple(Finding(path="README.md", line=n + 1, body="x") for n in range(120))
    await house.settle(claim, Ending(outcome=Outcome.SUCCEEDED, result=Result(findings=findings)))


async def first_refused(house: House) -> list[Effect]:
    """The one that concludes the check was refused; give all three as they are then."""
    await found_much(house)
    house.surfaces = {CHECK: Surface(send=refuse_the_first, look_up=SURFACES[CHECK].look_up)}
    await house.publish()
    house.surfaces = SURFACES
    return list(await house.outbox())[1:]


async def refuse_the_first(client: GitHubClient, effect: Effect, previous: Sent | None) -> Sent:
    if not effect.request["is_added"]:
        raise Refused("not now", status=403)
    return await SURFACES[CHECK].send(client, effect, previous)


def resending(house: House) -> Resending:
    return Resending(effects=house.effects, clock=house.clock, wakeups=house.wakeups)


def lines(house: House) -> list[int]:
    (run,) = house.github.state.check_runs
    return [each["end_line"] for each in run.annotations]


def concluding(house: House) -> Concluding:
    return Concluding(
        left_open=StoredLeftOpen(house.connection),
        tasks=house.tasks,
        settlements=house.settlements,
        clock=house.clock,
        wakeups=house.wakeups,
    )


async def test_nothing_is_added_to_a_check_whose_part_before_was_not_published(
    house: House,
) -> None:
    """How many annotations are there says which parts have arrived: a gap would be misread, and a
    part whose answer was lost be added twice.
    """
    parts = await first_refused(house)
    assert [each.state for each in parts] == [FAILED] * 3
    assert parts[1].error == NO_PART
    assert lines(house) == []


async def test_parts_are_sent_again_from_the_first_on(house: House) -> None:
    """The first was refused for ever, as if a later part had taken its place."""
    parts = await first_refused(house)
    for part in parts:
        await resending(house).retry(part.id)
        await house.publish()
    assert lines(house) == list(range(1, 121))
    (run,) = house.github.state.check_runs
    assert run.conclusion == "success"


async def test_the_first_part_can_be_asked_for_while_others_wait_behind_it(house: House) -> None:
    parts = await first_refused(house)
    for part in reversed(parts):
        await resending(house).retry(part.id)
    await house.publish()
    assert lines(house) == list(range(1, 121))


async def test_a_check_whose_first_part_failed_is_concluded_all_the_same(house: House) -> None:
    """A later part has no status: it hid that the check was still in progress."""
    parts = await first_refused(house)
    house.clock.turn(s=SETTLED_S + 1)
    assert await concluding(house).conclude_all() == 1
    await house.publish()
    (run,) = house.github.state.check_runs
    assert (run.status, run.conclusion) == ("completed", "success")
    with pytest.raises(ConflictError, match="newer"):
        await resending(house).retry(parts[0].id)


async def test_a_part_that_was_added_without_the_first_hides_no_check_in_progress(
    house: House,
) -> None:
    """As earlier versions of covend have left it."""
    parts = await first_refused(house)
    now = house.clock.now()
    await house.effects.ask_again(parts[2].id, now)
    await house.effects.begin(parts[2].id, now)
    await house.effects.finish(parts[2].id, remote_id="1", remote_url=None, now=now)
    house.clock.turn(s=SETTLED_S + 1)
    assert await concluding(house).conclude_all() == 1
