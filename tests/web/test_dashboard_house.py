"""The pages of effects, agents and safeguards, and what all of the house have in common."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest

from covend.core.model import EffectId
from covend.core.safeguards.shapes import Safeguard, SafeguardKind
from covend.core.states import EffectState
from covend.web.routes import TABLE
from tests.store.arrivals import NOW
from tests.web.browsing import Browser, forms, words
from tests.web.desk import READERS_TOKEN, Desk
from tests.web.test_dashboard_deliveries import HOSTILE

PAGES = ("/effects", "/agents", "/safeguards", "/rules", "/doctor", "/audit")


async def fail(desk: Desk, error: str = "422: no") -> EffectId:
    """Leave an effect that has failed."""
    await desk.arrive()
    await desk.complete(await desk.claim())
    [effect], _ = await desk.effects.page(limit=1)
    assert await desk.effects.begin(effect.id, NOW + 6_000)
    await desk.effects.fail(effect.id, error=error, now=NOW + 7_000)
    return effect.id


async def suppress(desk: Desk, scope: str = "agent:echo@acme/r1", **changes: Any) -> Safeguard:
    values = {
        "id": f"crash_loop/{scope}",
        "kind": SafeguardKind.CRASH_LOOP,
        "scope": scope,
        "state": "suppressed",
        "reason": "3 failures in 15 min",
        "until": NOW + 600_000,
        "values": {"failures": 3, "why": HOSTILE},
    }
    return await desk.guards.put(Safeguard(**{**values, **changes}), NOW)


@pytest.mark.parametrize("path", PAGES)
async def test_an_empty_house_has_all_its_pages(desk: Desk, path: str) -> None:
    async with Browser(desk) as browser:
        page = await browser.see(path)
    assert f'<a href="{path}" aria-current="page">' in page


@pytest.mark.parametrize("path", PAGES)
async def test_who_may_only_look_sees_all_and_can_change_nothing(desk: Desk, path: str) -> None:
    await fail(desk)
    await suppress(desk)
    async with Browser(desk, READERS_TOKEN) as browser:
        page = await browser.see(path)
    assert set(forms(page)) <= {"/logout", "/rules/explain#explain"}


@pytest.mark.parametrize(
    "path",
    ["/effects/1/retry", "/safeguards/reset", "/pause", "/resume", "/drain"],
)
async def test_a_change_needs_a_form_of_our_own_and_the_right_to_it(
    desk: Desk, database: sqlite3.Connection, path: str
) -> None:
    before = list(database.iterdump())
    async with Browser(desk) as browser:
        assert (await browser.ask(path, "POST", {"csrf": "0" * 64})).status == 403
    async with Browser(desk, READERS_TOKEN) as reader:
        page = await reader.see("/rules")
        csrf = page.partition('name="csrf" value="')[2][:64]
        assert (await reader.ask(path, "POST", {"csrf": csrf})).status == 403
    assert list(database.iterdump()) == before


# --- effects --------------------------------------------------------------------------------------


async def test_effects_tell_their_tries_and_what_was_answered(desk: Desk) -> None:
    await fail(desk, f"422: {HOSTILE}")
    async with Browser(desk) as browser:
        page = await browser.see("/effects")
    told = words(page)
    assert "failed comment acme/r1#1" in told
    assert "422: <script>" in told
    assert "1 failed in 24 h" in told
    assert "<script>window" not in page


@pytest.mark.parametrize(
    ("query", "is_there"),
    [
        ("state=failed", True),
        ("state=done", False),
        ("kind=comment", True),
        ("kind=check", False),
        ("task=none", False),
    ],
)
async def test_effects_can_be_narrowed(desk: Desk, query: str, is_there: bool) -> None:
    await fail(desk)
    async with Browser(desk) as browser:
        assert ("acme/r1#1" in await browser.see(f"/effects?{query}")) == is_there


async def test_a_failed_effect_is_sent_again_by_its_form(desk: Desk) -> None:
    effect = await fail(desk)
    async with Browser(desk) as browser:
        assert f"/effects/{effect}/retry" in forms(await browser.see("/effects"))
        page = await browser.send(f"/effects/{effect}/retry")
        again = await browser.send(f"/effects/{effect}/retry")
    assert "The comment for acme/r1#1 is sent again." in words(page)
    assert "it is sent without being asked for" in words(again)
    found = await desk.effects.find(effect)
    assert found is not None
    assert found.state is EffectState.PENDING


@pytest.mark.parametrize(
    ("url", "is_link"),
    [("https://github.test/acme/r1/pull/1#c", True), ("javascript:alert(1)", False)],
)
async def test_only_the_web_is_linked_to(desk: Desk, url: str, is_link: bool) -> None:
    await desk.arrive()
    await desk.complete(await desk.claim())
    [effect], _ = await desk.effects.page(limit=1)
    assert await desk.effects.begin(effect.id, NOW + 6_000)
    await desk.effects.finish(effect.id, remote_id="9", remote_url=url, now=NOW + 7_000)
    async with Browser(desk) as browser:
        page = await browser.see("/effects")
    assert (f'href="{url}"' in page) == is_link
    assert "acme/r1#1" in page


# --- agents ---------------------------------------------------------------------------------------


async def test_agents_tell_what_they_came_to_and_what_holds_them(desk: Desk) -> None:
    await desk.arrive()
    await desk.complete(await desk.claim())
    await suppress(desk)
    async with Browser(desk) as browser:
        told = words(await browser.see("/agents"))
        week = words(await browser.see("/agents?window=7d"))
        assert "window must be one of" in words(await browser.see("/agents?window=9y", 400))
    assert "echo command suppressed echo@acme/r1 in 9 min" in told
    assert "100 %" in told
    assert told.count("4.0 s") >= 2
    assert "$0.25 7 in 0 out" in told
    assert "echo" in week


async def test_money_is_told_against_what_may_be_spent(desk: Desk) -> None:
    await desk.arrive()
    await desk.complete(await desk.claim())
    async with Browser(desk) as browser:
        told = words(await browser.see("/agents"))
    assert "everything $0.25 of $50.00 7 tokens" in told
    assert "acme/r1 $0.25 7 tokens" in told
    assert "agent echo $0.25" in told
    assert "rule review $0.25" in told


async def test_an_agent_that_did_nothing_is_there_because_it_is_configured(desk: Desk) -> None:
    async with Browser(desk) as browser:
        assert "echo command idle 0" in words(await browser.see("/agents"))


async def test_every_form_that_changes_something_writes_one_row_of_the_audit(desk: Desk) -> None:
    routes = [each for each in desk.app[TABLE].values() if each.is_page and each.verb]
    assert len(routes) >= 10
    async with Browser(desk) as browser:
        for number, route in enumerate(routes, start=1):
            await browser.send(route.path.replace("{id}", "x"))
            told = (await desk.get("audit?limit=1"))["items"][0]
            assert (told["number"], told["verb"]) == (number, route.verb)
            assert (told["via"], told["outcome"] is None) == ("dashboard", False)
            assert "csrf" not in told["details"]


# --- safeguards -----------------------------------------------------------------------------------


async def test_safeguards_say_what_they_hold_and_what_lets_it_go(desk: Desk) -> None:
    await suppress(desk)
    async with Browser(desk) as browser:
        page = await browser.see("/safeguards")
    told = words(page)
    assert "agent echo rests in acme/r1: 3 failures in 15 min" in told
    assert "covend unblock crash_loop/agent:echo@acme/r1" in told
    assert "failures 3" in told
    assert "in 9 min" in told
    assert "<script>window" not in page


async def test_what_has_let_go_by_itself_is_not_there(desk: Desk) -> None:
    await suppress(desk, until=NOW + 59_000)
    async with Browser(desk) as browser:
        assert "Nothing holds" in words(await browser.see("/safeguards"))


async def test_a_safeguard_is_put_at_rest_by_its_form(desk: Desk) -> None:
    guard = await suppress(desk)
    async with Browser(desk) as browser:
        page = await browser.send("/safeguards/reset", id=guard.id)
        again = await browser.send("/safeguards/reset", id=guard.id)
    assert f"{guard.id} is at rest" in words(page)
    assert "Nothing holds" in words(page)
    assert 'role="alert"' in again
    assert await desk.guards.list() == []


async def test_a_pause_is_made_and_lifted_with_its_reason_and_who_asked(desk: Desk) -> None:
    async with Browser(desk) as browser:
        paused = words(await browser.send("/pause", scope="all", reason="the release"))
        resumed = words(await browser.send("/resume", scope="all"))
        again = words(await browser.send("/resume", scope="all"))
        audit = words(await browser.see("/audit"))
    assert "Paused: everything. What runs goes on." in paused
    assert "operator: the release" in paused
    assert "Resumed: everything." in resumed
    assert "Nothing was paused" in again
    assert "operator pause all reason: the release" in audit


async def test_a_repository_is_paused_by_its_name(desk: Desk) -> None:
    await desk.arrive()
    async with Browser(desk) as browser:
        page = await browser.send("/pause", scope="all", repository=" acme/r1 ")
        await browser.send("/resume", scope="rule:review")
    told = [(each["verb"], each["target"]) for each in (await desk.get("audit"))["items"]]
    assert told == [("resume", "rule:review"), ("pause", "repository:acme/r1")]
    assert "Paused: repository acme/r1." in words(page)
    [guard] = await desk.guards.list()
    assert guard.id == "pause/repository:acme/r1"


@pytest.mark.parametrize(
    "fields",
    [
        {"scope": "nonsense"},
        {"repository": "acme/" + "x" * 300},
        {"scope": "all", "reason": "y" * 501},
    ],
    ids=["scope", "repository", "reason"],
)
async def test_a_pause_that_cannot_be_is_told_and_holds_nothing(
    desk: Desk, fields: dict[str, str]
) -> None:
    async with Browser(desk) as browser:
        assert 'role="alert"' in await browser.send("/pause", **fields)
        assert words(await browser.see("/audit")).count("operator pause") == 1
    assert await desk.guards.list() == []


async def test_a_drain_is_told_to_the_daemon(desk: Desk) -> None:
    async with Browser(desk) as browser:
        page = words(await browser.send("/drain", reason="moving house"))
    assert "Draining: nothing is taken in" in page
    assert "moving house" in page
    assert desk.drains == [True]
