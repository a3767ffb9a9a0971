"""What GitHub holds up it holds up alone, and what it was down for is published once, in order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anyio

from covend.core.states import EffectState
from covend.demo.github import FOREVER, Fault
from covend.edges.github.client import GitHubClient
from covend.services.publisher import PLACES_MAX
from covend.services.sending import TRIES_MAX
from covend.services.side_by_side import SideBySide
from covend.services.wakeups import Wakeup
from tests.services.house import AT_ONCE, CHECK, COMMENT, REVIEW, House, a_rule, an_agent

SEVEN_S = 7
TEN_MINUTES_S = 600
STEP_S = 20
OTHER = 2
"""An installation on the same account, as far as the stand-in can tell."""
NOUNS = {"check-runs": CHECK, "issues": COMMENT, "pulls": REVIEW}


class OneToken:
    """Gives what the one installation of the stand-in has to any other as well."""

    def __init__(self, house: House) -> None:
        self._auth, self._installation = house.client.auth, house.github.state.installation_id

    def __getattr__(self, name: str) -> Any:
        return getattr(self._auth, name)

    async def token_for(
        self, _installation: int | None, repository: str, permissions: Mapping[str, str]
    ) -> str:
        return await self._auth.token_for(self._installation, repository, permissions)


def know_another_installation(house: House) -> None:
    auth: Any = OneToken(house)
    house.client = GitHubClient(
        house.session,
        house.github.api_url,
        auth,
        house.clock.now,
        lambda *_: None,
        write_gap_ms=0,
    )


async def reviewed(house: House, number: int = 7, *, installation: int | None = None) -> None:
    """A review and the check's end wait, of an installation."""
    known = [each.id for each in await house.outbox()]
    await house.settled(number=number)
    for each in await house.outbox():
        if installation is not None and each.id not in known:
            house.meddle(
                "UPDATE effects SET installation_id = :to WHERE id = :id",
                to=installation,
                id=each.id,
            )


async def states_of(house: House, target: str) -> list[EffectState]:
    return [each.state for each in await house.outbox() if each.target == target]


async def test_a_limited_installation_is_not_asked_and_another_flows_on(house: House) -> None:
    """Each of its effects met the limit by itself, one request after the other."""
    mine, more, other = house.open_pull(), house.open_pull(), house.open_pull()
    await house.adopt(a_rule(), an_agent())
    know_another_installation(house)
    house.github.faults.add("POST", "*/pulls/7/reviews", Fault.RATE_LIMITED_429, seconds=SEVEN_S)
    await reviewed(house)
    await house.publish()
    for each in (mine, more):
        await reviewed(house, each.number)
    await reviewed(house, other.number, installation=OTHER)
    asked = len(house.github.requests)
    for _ in range(SEVEN_S):
        await house.publish()
        paths = [each.path for each in house.github.requests[asked:]]
        of_others = (f"/pulls/{other.number}", "/check-runs", "/access_tokens")
        assert [path for path in paths if not any(part in path for part in of_others)] == []
        assert len(house.github.state.check_runs) <= 1
        house.clock.turn(s=0.999)
    assert await states_of(house, f"acme/till#{other.number}") == [EffectState.DONE] * 2
    waiting = [each for each in await house.outbox() if each.state is EffectState.PENDING]
    assert {each.not_before_at for each in waiting} == {waiting[0].not_before_at}
    assert {each.tries for each in waiting} == {0}

    house.clock.turn(s=1)
    await house.publish()
    assert set(await house.states()) == {EffectState.DONE}
    assert len(house.github.state.reviews) == len(house.github.state.check_runs) == 4


async def test_no_limit_however_often_it_is_met_fails_an_effect(house: House) -> None:
    """After fifty it was given up, although it had never been tried."""
    await house.adopt(a_rule(publish=(REVIEW,)), an_agent())
    await house.settled()
    times = TRIES_MAX + 1
    house.github.faults.add("POST", "*/reviews", Fault.SECONDARY_403, times, seconds=60)
    for _ in range(times):
        await house.publish()
        house.clock.turn(s=60)
    waits = await house.effect()
    assert (waits.state, waits.tries) == (EffectState.PENDING, 0)
    await house.publish()
    assert await house.states() == [EffectState.DONE]
    assert len(house.github.state.reviews) == 1


async def test_a_look_up_that_meets_a_limit_waits_and_counts_nothing(house: House) -> None:
    await house.adopt(a_rule(publish=(REVIEW,)), an_agent())
    await house.settled()
    house.github.faults.add("POST", "*/reviews", Fault.ANSWER_LOST)
    await house.publish()
    house.github.faults.add("GET", "*/reviews", Fault.RATE_LIMITED_429, seconds=SEVEN_S)
    house.clock.turn(s=60)
    await house.publish()
    effect = await house.effect()
    assert (effect.state, effect.tries) == (EffectState.UNKNOWN, 1)
    assert effect.not_before_at == house.clock.now() + 1000 * SEVEN_S
    house.clock.turn(s=SEVEN_S)
    await house.publish()
    assert await house.states() == [EffectState.DONE]


async def test_the_crowd_of_one_installation_leaves_places_for_another(house: House) -> None:
    """Its effects came first, and kept all the places while they waited for each other."""
    await house.adopt(a_rule(publish=(REVIEW,)), an_agent())
    know_another_installation(house)
    pulls = [house.open_pull() for _ in range(AT_ONCE + 1)]
    for pull in pulls:
        await reviewed(house, pull.number)
    await reviewed(house, installation=OTHER)
    house.github.faults.add("POST", "*/pulls/7/reviews", Fault.SLOW, seconds=0)
    held = house.github.faults.add("POST", "*/reviews", Fault.HELD, FOREVER)
    async with anyio.create_task_group() as group:
        sends = SideBySide(group, at_once=AT_ONCE, bell=Wakeup())
        assert await house.publisher().publish_due(sends) == PLACES_MAX + 1
        await house.github.wait_for(lambda: house.github.state.reviews, within_s=10)
        assert [each.number for each in house.github.state.reviews] == [7]
        held.release()
    await house.publish()
    assert len(house.github.state.reviews) == len(pulls) + 1


async def test_after_ten_minutes_without_github_all_is_published_once_and_in_order(
    house: House,
) -> None:
    other = house.open_pull()
    await house.adopt(a_rule(publish=(CHECK, COMMENT, REVIEW)), an_agent())
    faults = house.github.faults
    faults.add("POST", "*/pulls/7/reviews", Fault.ANSWER_LOST)
    down = faults.add("*", "*", Fault.RESET, FOREVER)
    for number in (7, other.number):
        claim = await house.claimed(number=number)
        await house.announce(claim)
        await house.settle(claim)
    await house.publish()
    for _ in range(TEN_MINUTES_S // STEP_S):
        house.clock.turn(s=STEP_S)
        await house.publish()
    assert {EffectState.DONE, EffectState.FAILED}.isdisjoint(await house.states())

    down.times = 0
    asked = len(house.github.requests)
    for _ in range(TEN_MINUTES_S // STEP_S):
        house.clock.turn(s=STEP_S)
        await house.publish()
    assert set(await house.states()) == {EffectState.DONE}
    state = house.github.state
    assert [len(each) for each in (state.reviews, state.comments, state.check_runs)] == [2, 2, 2]
    assert {run.conclusion for run in state.check_runs} == {"success"}
    by_target: dict[str, list[str]] = {}
    for each in sorted(await house.outbox(), key=lambda each: each.done_at or 0):
        by_target.setdefault(each.target, []).append(each.kind)
    assert list(by_target.values()) == [[CHECK, REVIEW, COMMENT, CHECK]] * 2
    written = [
        NOUNS[each.path.split("/")[4]]
        for each in house.github.requests[asked:]
        if each.method in {"POST", "PATCH"} and each.path.startswith("/repos/")
    ]
    # Once each, and the review whose answer was lost is found.
    assert sorted(written) == sorted([CHECK, COMMENT, CHECK, CHECK, REVIEW, COMMENT, CHECK, REVIEW])
