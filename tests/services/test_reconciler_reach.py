"""How far back GitHub's log is looked through, when, and whose log it is."""

from __future__ import annotations

import anyio
import pytest

from covend.core.secret import Secret
from covend.core.settings import GitHub
from covend.demo import payloads
from covend.demo.github import Fault
from covend.demo.github.auth import Credential, Kind
from covend.edges.github.auth import open_auth
from covend.edges.github.client import GitHubClient
from covend.services.reconciler import Reconciler
from covend.store.installing import StoredInstallations
from tests.edges.github.github_world import until
from tests.services.house import House, a_rule, an_agent
from tests.services.reconciling import DAY_S, Desk, Written, read_log

LIST = "/app/hook/deliveries"
ONE = "/app/hook/deliveries/*"
HOOK = 77


@pytest.fixture
async def desk(house: House) -> Desk:
    await house.adopt(a_rule(on=("pull_request.opened", "pull_request.synchronize")), an_agent())
    return Desk(house=house)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Written:
    return read_log(monkeypatch)


# --- how far back ---------------------------------------------------------------------------------


async def test_what_is_older_than_the_retention_is_not_taken_in_again(desk: Desk) -> None:
    desk.lost("push", ago_s=DAY_S)
    young = desk.lost("push", ago_s=DAY_S / 2)
    await desk.look(retention_s=DAY_S)
    assert desk.ids() == [young.guid]


async def test_what_somebody_has_asked_to_forget_is_not_taken_in_again(desk: Desk) -> None:
    house = desk.house
    installations = StoredInstallations(house.connection)
    await desk.arrived(desk.lost("installation.created", ago_s=500))
    await desk.look()
    assert await installations.ask_to_forget(1, house.clock.now())
    house.meddle("DELETE FROM deliveries")
    house.clock.turn(s=60)
    later = desk.lost("push", ago_s=30)
    assert (await desk.look(3 * DAY_S)).is_complete
    assert desk.ids() == [later.guid]


async def test_since_reaches_back_behind_the_last_look(desk: Desk) -> None:
    desk.lost("push", ago_s=10)
    await desk.look()
    early = desk.lost("push", ago_s=2 * DAY_S)
    await desk.look()
    assert early.guid not in desk.ids()
    look = await desk.look(3 * DAY_S)
    assert early.guid in desk.ids()
    assert look.listed == 2


async def test_a_fresh_store_misses_nothing_of_the_time_before_it(house: House) -> None:
    await house.adopt(a_rule(on=("push",)), an_agent())
    desk = Desk(house=house, began_ago_s=None)
    early = desk.lost("push", ago_s=2 * 3600)
    just_before = desk.lost("push", ago_s=60)
    await desk.look()
    assert desk.ids() == [just_before.guid]
    await desk.look(3 * DAY_S)
    assert early.guid in desk.ids()


async def test_a_store_began_when_covend_first_ran_on_it_and_not_when_it_first_looked(
    house: House,
) -> None:
    desk = Desk(house=house, began_ago_s=None)
    async with desk.running(every_s=0):
        await until(lambda: bool(house.ask("SELECT name FROM cursors")))
    await house.adopt(a_rule(on=("push",)), an_agent())
    house.clock.turn(s=DAY_S)
    since_then = desk.lost("push", ago_s=DAY_S / 2)
    await desk.look()
    assert desk.ids() == [since_then.guid]


async def test_an_entry_from_the_future_hides_nothing_that_comes_after_it(desk: Desk) -> None:
    desk.lost("push", ago_s=-2 * DAY_S)
    await desk.look()
    later = desk.lost("push", ago_s=5)
    await desk.look()
    assert later.guid in desk.ids()


async def stopped_at_the_second(desk: Desk) -> list[str]:
    """Three webhooks were missed long before the last look; the second cannot be had right now."""
    desk.lost("push", ago_s=5)
    await desk.look()
    early = [desk.lost("push", ago_s=DAY_S - number) for number in range(3)]
    desk.house.github.faults.add("GET", f"{LIST}/{early[1].id}", Fault.ERROR_500)
    return [each.guid for each in early]


async def test_the_next_look_goes_on_where_one_that_reached_far_back_was_stopped(
    desk: Desk,
) -> None:
    early = await stopped_at_the_second(desk)
    assert not (await desk.look(2 * DAY_S)).is_complete
    assert (await desk.look()).is_complete
    assert desk.ids()[1:] == early


async def test_what_was_asked_for_goes_on_by_itself_also_where_nothing_else_is_looked_for(
    desk: Desk,
) -> None:
    early = await stopped_at_the_second(desk)
    async with desk.running(every_s=0) as reconciler:
        await reconciler.ask(2 * DAY_S).ended.wait()
        desk.house.wakeups.reconcile.wake()
        await until(lambda: desk.ids()[1:] == early)
        await reconciler.looks()[0].ended.wait()
        desk.house.wakeups.reconcile.wake()
        await anyio.wait_all_tasks_blocked()
        assert len(reconciler.looks()) == 2


async def test_a_short_since_leaves_no_gap_behind_it(desk: Desk) -> None:
    early = desk.lost("push", ago_s=DAY_S)
    await desk.look(60)
    assert early.guid in desk.ids()


async def test_it_looks_at_start_and_by_its_bell(desk: Desk) -> None:
    first = desk.lost("push")
    async with desk.running() as reconciler:
        await ended(desk, reconciler, 1)
        assert desk.ids() == [first.guid]
        second = desk.lost("push", ago_s=5)
        desk.house.wakeups.reconcile.wake()
        await ended(desk, reconciler, 2)
        assert desk.ids() == [first.guid, second.guid]


async def ended(desk: Desk, reconciler: Reconciler, count: int) -> None:
    """Wait for the end of so many looks; each begins with a request."""
    of_list = lambda: sum(each.path == LIST for each in desk.house.github.requests) >= count  # noqa: E731
    await desk.house.github.wait_for(of_list)
    await reconciler.looks()[0].ended.wait()
    assert len(reconciler.looks()) == count


async def test_where_it_is_off_it_looks_only_when_asked(desk: Desk) -> None:
    entry = desk.lost("push")
    async with desk.running(every_s=0) as reconciler:
        await anyio.wait_all_tasks_blocked()
        assert reconciler.looks() == ()
        await reconciler.ask().ended.wait()
    assert desk.ids() == [entry.guid]


# --- with a plain token ---------------------------------------------------------------------------


def with_token(desk: Desk, **permissions: str) -> None:
    """Let covend be somebody with a token that may do this in repositories, or all of it."""
    house, token = desk.house, "ghp_of_a_person"
    house.github.state.tokens[token] = Credential(
        kind=Kind.USER,
        account=payloads.AUTHOR,
        token=token,
        permissions=permissions or None,
    )
    settings = GitHub(token=Secret(token), api_url=house.github.api_url)
    now = house.clock.now
    auth = open_auth(settings, house.session, now, lambda *_: None, wall=now)
    api_url = house.github.api_url
    house.client = GitHubClient(house.session, api_url, auth, now, lambda *_: None)


async def test_without_an_app_the_deliveries_tell_whose_log_to_read(desk: Desk) -> None:
    with_token(desk)
    known = desk.lost("push", hook=HOOK, ago_s=500)
    nothing = await desk.look()
    assert (nothing.logs, nothing.is_complete) == (0, True)
    await desk.arrived(known)
    missed = desk.lost("push", hook=HOOK, ago_s=400)
    desk.lost("push", ago_s=300)
    look = await desk.look()
    assert (look.logs, look.listed, look.known) == (1, 2, 1)
    assert desk.ids() == [missed.guid]


async def test_a_hook_is_not_forgotten_when_its_deliveries_are(desk: Desk) -> None:
    with_token(desk)
    await desk.arrived(desk.lost("push", hook=HOOK))
    await desk.look()
    desk.house.meddle("DELETE FROM deliveries")
    assert (await desk.look()).logs == 1


async def test_a_token_that_may_not_is_told_once(desk: Desk, written: Written) -> None:
    with_token(desk, metadata="read")
    await desk.arrived(desk.lost("push", hook=HOOK))
    async with desk.running(every_s=0) as reconciler:
        for _ in range(3):
            look = reconciler.ask()
            await look.ended.wait()
    assert look.stopped is not None
    assert look.stopped.code == "not_permitted"
    assert "admin:repo_hook" in desk.readiness.notes["reconcile"]
    warnings = [each for each in written() if each["level"] == "warning"]
    assert [each["message"] for each in warnings] == ["what GitHub could not deliver is not found"]
    assert "acme/till" in str(warnings[0]["why"])
    with_token(desk)
    await desk.look()
    assert "reconcile" not in desk.readiness.notes
