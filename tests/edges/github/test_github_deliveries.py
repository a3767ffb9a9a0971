"""GitHub's log of webhooks: its pages, single deliveries, and what it leaves of the hour."""

from __future__ import annotations

from typing import Any

import pytest

from covend.core.reconciling import Hook
from covend.demo import payloads
from covend.demo.github.deliveries import write_down
from covend.edges.github.deliveries import DeliveryLog, app_log, hook_log
from covend.edges.github.errors import BadAnswer, NotFound, RateLimited
from tests.edges.github.github_world import World
from tests.edges.github.scripted import Reply, ScriptedGitHub

GUID = "58474f00-b361-11eb-836d-0e4f3503ccbe"
HOOK = Hook(id=77, repository="acme/till")


def of_app(world: World) -> DeliveryLog:
    return app_log(world.client(), world.clock.now)


def write(world: World, count: int, hook: int | None = None) -> list[int]:
    """Let GitHub send so many webhooks; give their ids in the log, newest first."""
    scene = world.github.scene(world.till, 7, serial=1)
    payload = payloads.SAMPLES["push"](scene)
    ids = []
    for _ in range(count):
        headers = payloads.signed(payloads.encode(payload), "secret", "push", GUID.upper())
        entry = write_down(world.github.state, payload, headers, hook=hook)
        ids.append(entry.id)
    return ids[::-1]


async def test_the_apps_log_is_read_page_by_page(world: World) -> None:
    ids = write(world, 203)
    log = of_app(world)
    found: list[int] = []
    page = await log.page()
    found += [entry.id for entry in page.entries]
    while page.following is not None:
        page = await log.page(page.following)
        found += [entry.id for entry in page.entries]
    assert found == ids
    assert len(world.asked("GET", "/app/hook/deliveries")) == 3


async def test_an_entry_tells_id_moment_and_answer(world: World) -> None:
    (number,) = write(world, 1)
    (entry,) = (await of_app(world).page()).entries
    assert (entry.id, entry.guid, entry.status_code) == (number, GUID, 502)
    assert entry.delivered_at == world.clock.now() // 1000 * 1000


async def test_one_delivery_is_shown_with_headers_and_payload(world: World) -> None:
    (number,) = write(world, 1)
    logged = await of_app(world).show(number)
    assert (logged.event, logged.headers["X-GitHub-Event"]) == ("push", "push")
    assert logged.payload is not None
    assert logged.payload["repository"]["full_name"] == "acme/till"
    with pytest.raises(NotFound):
        await of_app(world).show(number + 1)


async def test_a_repositorys_log_is_its_own(world: World) -> None:
    write(world, 1)
    (number,) = write(world, 1, hook=HOOK.id)
    log = hook_log(world.client_with_token(), HOOK, world.clock.now)
    assert [entry.id for entry in (await log.page()).entries] == [number]
    assert (await log.show(number)).event == "push"


# --- what GitHub does not say so ------------------------------------------------------------------


def scripted_log(scripted: ScriptedGitHub) -> DeliveryLog:
    return hook_log(scripted.client, HOOK, scripted.clock.now)


def item(**changes: Any) -> dict[str, Any]:
    plain = {"id": 1, "guid": GUID, "delivered_at": "2026-09-21T14:13:20Z", "status_code": 200}
    return plain | changes


@pytest.mark.parametrize(
    "changes", [{"id": None}, {"guid": 5}, {"delivered_at": "soon"}, {"delivered_at": None}]
)
async def test_an_entry_that_cannot_be_placed_is_an_error(
    scripted: ScriptedGitHub, changes: dict[str, Any]
) -> None:
    scripted.reply(Reply(data=[item(**changes)]))
    with pytest.raises(BadAnswer):
        await scripted_log(scripted).page()


@pytest.mark.parametrize("request_part", [None, {}, {"headers": None, "payload": None}])
async def test_what_is_not_kept_any_more_has_no_payload(
    scripted: ScriptedGitHub, request_part: Any
) -> None:
    scripted.reply(Reply(data=item(event="push", request=request_part)))
    logged = await scripted_log(scripted).show(1)
    assert (logged.payload, dict(logged.headers)) == (None, {})


# --- what is left of the hour ---------------------------------------------------------------------


@pytest.mark.parametrize(("remaining", "goes_on"), [(1_001, True), (1_000, False)])
async def test_the_last_fifth_of_the_hour_is_left_to_others(
    scripted: ScriptedGitHub, remaining: int, goes_on: bool
) -> None:
    log = scripted_log(scripted)
    reset_at = scripted.clock.now() // 1000 + 900
    headers = {
        "X-RateLimit-Limit": "5000",
        "X-RateLimit-Remaining": str(remaining),
        "X-RateLimit-Reset": str(reset_at),
    }
    scripted.reply(Reply(data=[item()], headers=headers))
    assert len((await log.page()).entries) == 1
    if goes_on:
        scripted.reply(Reply(data=[]))
        await log.page()
        return
    with pytest.raises(RateLimited) as raised:
        await log.page()
    assert raised.value.retry_at == reset_at * 1000
