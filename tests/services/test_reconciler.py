"""What GitHub could not deliver comes in: all of it, once, in its order, whatever gets in
between.
"""

from __future__ import annotations

import json
from uuid import uuid4

import anyio
import pytest

from covend.core.errors import DrainingError
from covend.core.model import DeliveryId
from covend.demo import payloads
from covend.demo.github.faults import Fault
from covend.services.looks import LookState
from covend.store.deliveries import StoredDeliveries
from covend.store.protocol import Accepted, Arrival
from tests.services.house import House, a_rule, an_agent
from tests.services.reconciling import DAY_S, Desk, Written, read_log
from tests.telemetry.test_metrics import samples

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


# --- all of it, once ------------------------------------------------------------------------------


async def test_of_fifteen_in_the_log_the_ten_unknown_ones_come_in_once(desk: Desk) -> None:
    entries = [desk.lost(ago_s=900 - 60 * n) for n in range(15)]
    for entry in entries[::3]:
        await desk.arrived(entry)
    look = await desk.look()
    unknown = [entry.guid for entry in entries if entry not in entries[::3]]
    assert desk.ids() == unknown
    assert (look.listed, look.known, look.fetched, look.kept) == (15, 5, 10, 10)
    assert (look.is_complete, look.failed, look.unknown_delivered) == (True, 0, 0)
    again = await desk.look()
    assert (again.kept, again.fetched, len(desk.kept())) == (0, 0, 15)
    assert samples(desk.house.metrics, "reconciled_deliveries_total") == {(): 10}


async def test_what_comes_in_so_starts_work_and_is_read_like_any_delivery(desk: Desk) -> None:
    entry = desk.lost()
    await desk.look()
    stored = await desk.house.deliveries.find(DeliveryId(entry.guid))
    assert stored is not None
    assert (stored.delivery.via, stored.delivery.state) == ("reconcile", "routed")
    assert (stored.delivery.event, stored.delivery.repository) == ("pull_request", "acme/till")
    assert json.loads(stored.body) == entry.payload
    assert stored.headers["x-github-hook-id"] == str(payloads.signing.HOOK_ID)
    assert "x-hub-signature-256" not in stored.headers
    (task,) = stored.delivery.tasks
    assert (await desk.house.story(task)).task.rule == "review"


async def test_a_form_is_kept_as_the_json_that_was_in_it(desk: Desk) -> None:
    entry = desk.lost()
    entry.headers["Content-Type"] = "application/x-www-form-urlencoded"
    await desk.look()
    assert desk.kept() == [(entry.guid, "reconcile", "routed")]


async def test_two_days_of_downtime_and_more_than_a_hundred_pages(desk: Desk) -> None:
    lost, known = [], []
    of_known = desk.webhook("push")
    for n in range(10_150):
        ago_s = 2 * DAY_S - 17 * n
        if n % 1_200 == 0:
            lost.append(desk.lost(ago_s=ago_s))
        else:
            known.append(str(uuid4()))
            desk.delivered(of_known, guid=known[-1], ago_s=ago_s)
    desk.pretend(known)
    look = await desk.look()
    pages = [each for each in desk.house.github.requests if each.path == LIST]
    assert len(pages) > 100
    assert desk.ids() == [entry.guid for entry in lost]
    assert (look.kept, look.known, look.is_complete) == (len(lost), len(known), True)
    again = await desk.look()
    assert (again.kept, again.is_complete, again.listed < 200) == (0, True, True)


async def test_tries_of_one_delivery_are_one(desk: Desk) -> None:
    guid = str(uuid4())
    for ago_s in (300, 200, 100):
        desk.lost(ago_s=ago_s, guid=guid)
    look = await desk.look()
    assert (look.listed, look.fetched, look.kept) == (3, 1, 1)
    assert desk.ids() == [guid]


async def test_what_asks_for_nothing_is_kept_as_ignored(desk: Desk) -> None:
    own = desk.house.github.state.app.bot
    desk.lost(sender=own)
    desk.lost("push")
    look = await desk.look()
    assert (look.kept, look.ignored) == (2, 2)
    assert [row[2] for row in desk.kept()] == ["ignored", "ignored"]


# --- in its order ---------------------------------------------------------------------------------


async def test_the_oldest_comes_in_first(desk: Desk) -> None:
    entries = [desk.lost("push", ago_s=ago_s) for ago_s in (50, 4_000, 200, 90_000)]
    await desk.look()
    by_age = sorted(entries, key=lambda entry: entry.delivered_at)
    assert desk.ids() == [entry.guid for entry in by_age]


async def test_a_head_that_was_pushed_later_supersedes_also_when_both_were_missed(
    desk: Desk,
) -> None:
    desk.lost("pull_request.opened", ago_s=500)
    desk.house.till.git.push(7, {"README.md": "Once more.\n"}, "Once more")
    desk.lost("pull_request.synchronize", ago_s=400)
    await desk.look()
    states = desk.house.ask("SELECT state FROM tasks ORDER BY id")
    assert states == [("superseded",), ("queued",)]


async def test_more_than_fits_into_memory_comes_in_all_the_same(desk: Desk) -> None:
    entries = [desk.lost("push", ago_s=900 - n) for n in range(10)]
    look = await desk.look(missed_max=3)
    assert desk.ids() == [entry.guid for entry in entries]
    assert (look.listed, look.known, look.kept, look.is_complete) == (10, 0, 10, True)


# --- whatever gets in between ---------------------------------------------------------------------


async def test_a_look_that_was_cut_off_goes_on_where_it_was(desk: Desk) -> None:
    entries = [desk.lost("push", ago_s=2 * DAY_S - 3_600 * n) for n in range(12)]
    held = desk.house.github.faults.add("GET", f"{LIST}/{entries[5].id}", Fault.HELD)
    async with desk.running(every_s=0) as reconciler:
        look = reconciler.ask()
        await held.reached.wait()
        assert look.state is LookState.FETCHING
    held.release()
    assert desk.ids() == [entry.guid for entry in entries[:5]]
    after = await desk.look()
    assert desk.ids() == [entry.guid for entry in entries]
    assert (after.kept, after.is_complete) == (7, True)
    assert after.listed == 8  # what lies well behind is not even listed again


async def test_a_webhook_that_comes_in_the_same_instant_is_the_same_delivery(desk: Desk) -> None:
    entry = desk.lost()
    held = desk.house.github.faults.add("GET", ONE, Fault.HELD)
    async with desk.running(every_s=0) as reconciler:
        look = reconciler.ask()
        await held.reached.wait()
        came = await desk.arrived(entry)
        held.release()
        await look.ended.wait()
    assert desk.kept() == [(entry.guid, "webhook", "routed")]
    assert (look.kept, look.known, look.unknown_delivered) == (0, 1, 0)
    again = await desk.arrived(entry)
    assert (again.duplicate, again.tasks) == (True, came.tasks)
    assert desk.house.ask("SELECT count(*) FROM tasks") == [(1,)]


async def test_a_webhook_that_comes_after_it_is_a_repetition(desk: Desk) -> None:
    entry = desk.lost()
    await desk.look()
    assert (await desk.arrived(entry)).duplicate
    assert desk.house.ask("SELECT count(*) FROM tasks") == [(1,)]


async def test_two_looks_at_once_take_in_each_once(desk: Desk) -> None:
    entries = [desk.lost("push", ago_s=900 - n) for n in range(10)]
    async with desk.running(every_s=0) as one, desk.running(every_s=0) as other:
        looks = [one.ask(), other.ask()]
        for look in looks:
            await look.ended.wait()
    assert desk.ids() == [entry.guid for entry in entries]
    assert sum(look.kept for look in looks) == 10


async def test_whoever_asks_twice_waits_for_one_look_that_reaches_back_far_enough(
    desk: Desk,
) -> None:
    desk.lost()
    reconciler = desk.reconciler(every_s=0)
    first, second = reconciler.ask(3_600), reconciler.ask(DAY_S)
    assert first is second
    assert first.since == desk.house.clock.now() - DAY_S * 1000


async def test_a_limit_ends_the_look_until_then(desk: Desk) -> None:
    entries = [desk.lost("push", ago_s=900 - n) for n in range(4)]
    path = f"{LIST}/{entries[2].id}"
    desk.house.github.faults.add("GET", path, Fault.RATE_LIMITED_429, seconds=120)
    look = await desk.look()
    assert look.stopped is not None
    assert look.stopped.retry_at == desk.house.clock.now() + 120_000
    assert desk.ids() == [entry.guid for entry in entries[:2]]
    early = await desk.look()
    assert (early.fetched, early.is_complete) == (0, False)
    desk.house.clock.turn(s=121)
    assert (await desk.look()).is_complete
    assert desk.ids() == [entry.guid for entry in entries]


async def test_a_github_that_fails_ends_the_look_and_the_next_one_goes_on(desk: Desk) -> None:
    entries = [desk.lost("push", ago_s=900 - n) for n in range(3)]
    desk.house.github.faults.add("GET", f"{LIST}/{entries[1].id}", Fault.ERROR_500)
    look = await desk.look()
    assert (look.kept, look.is_complete) == (1, False)
    assert (await desk.look()).is_complete
    assert desk.ids() == [entry.guid for entry in entries]


async def test_what_github_lists_and_does_not_show_is_passed_over_and_asked_for_again(
    desk: Desk,
) -> None:
    entries = [desk.lost("push", ago_s=900 - n) for n in range(3)]
    log, gone = desk.house.github.state.deliveries, entries[1]
    held = desk.house.github.faults.add("GET", f"{LIST}/{gone.id}", Fault.HELD)
    async with desk.running(every_s=0) as reconciler:
        look = reconciler.ask()
        await held.reached.wait()
        log.remove(gone)
        held.release()
        await look.ended.wait()
    assert (look.kept, look.failed, look.is_complete) == (2, 1, True)
    log.append(gone)
    assert (await desk.look()).kept == 1


async def test_a_payload_that_github_does_not_keep_stops_no_other(
    desk: Desk, written: Written
) -> None:
    entries = [desk.lost("push", ago_s=900 - n) for n in range(3)]
    spoilt = desk.house.github.state.deliveries
    object.__setattr__(spoilt[0], "guid", "no-guid")
    look = await desk.look()
    assert (look.kept, look.failed, look.is_complete) == (2, 1, True)
    assert desk.ids() == [entry.guid for entry in entries[1:]]
    (line,) = [each for each in written() if each["level"] == "error"]
    assert (line["delivery"], line["code"]) == ("no-guid", "unusable_delivery")


async def test_what_cannot_be_had_keeps_nothing_out_that_does_not_fit_into_memory(
    desk: Desk,
) -> None:
    entries = [desk.lost("push", ago_s=900 - n) for n in range(3)]
    object.__setattr__(desk.house.github.state.deliveries[0], "guid", "no-guid")
    with anyio.fail_after(10):
        look = await desk.look(missed_max=1)
    assert (look.kept, look.failed, look.is_complete) == (2, 1, True)
    assert desk.ids() == [entry.guid for entry in entries[1:]]


async def test_what_covend_itself_fails_at_stops_no_other(desk: Desk, written: Written) -> None:
    entries = [desk.lost("push", ago_s=900 - n) for n in range(3)]

    class Brittle(StoredDeliveries):
        async def accept(self, arrival: Arrival) -> Accepted:
            if arrival.envelope.delivery == entries[0].guid:
                raise ZeroDivisionError
            return await super().accept(arrival)

    look = await desk.look(deliveries=Brittle(desk.house.connection, queue_max=100))
    assert (look.kept, look.failed, look.is_complete) == (2, 1, True)
    assert [each["message"] for each in written() if each["level"] == "error"] == [
        "a missed delivery cannot be taken in"
    ]


async def test_a_full_queue_ends_the_look_and_the_rest_comes_in_later(desk: Desk) -> None:
    desk.lost(ago_s=900)
    other = desk.house.open_pull()
    desk.lost(ago_s=800, number=other.number)
    narrow = StoredDeliveries(desk.house.connection, queue_max=1)
    look = await desk.look(deliveries=narrow)
    assert look.stopped is not None
    assert (look.stopped.code, look.kept) == ("queue_full", 1)
    assert (await desk.look()).kept == 1


async def test_nothing_is_looked_for_while_covend_drains(desk: Desk) -> None:
    desk.lost()
    desk.house.is_open = False
    async with desk.running() as reconciler:
        await anyio.wait_all_tasks_blocked()
        assert reconciler.looks() == ()
        with pytest.raises(DrainingError):
            reconciler.ask()


async def test_a_drain_ends_the_look_and_the_rest_comes_in_later(desk: Desk) -> None:
    entries = [desk.lost("push", ago_s=900 - n) for n in range(3)]
    held = desk.house.github.faults.add("GET", f"{LIST}/{entries[0].id}", Fault.HELD)
    async with desk.running(every_s=0) as reconciler:
        look = reconciler.ask()
        await held.reached.wait()
        desk.house.is_open = False
        held.release()
        await look.ended.wait()
    assert look.stopped is not None
    assert (look.stopped.code, look.kept) == ("draining", 1)
    desk.house.is_open = True
    await desk.look()
    assert desk.ids() == [entry.guid for entry in entries]


# --- what GitHub calls delivered ------------------------------------------------------------------


async def test_what_github_calls_delivered_and_is_not_here_comes_in_and_is_an_alarm(
    desk: Desk, written: Written
) -> None:
    desk.lost("push", ago_s=300)
    guid = str(uuid4())
    desk.lost("push", ago_s=200, status=502, guid=guid)
    desk.lost("push", ago_s=100, status=202, guid=guid)
    look = await desk.look()
    assert (look.kept, look.unknown_delivered) == (2, 1)
    assert samples(desk.house.metrics, "reconcile_unknown_delivered_total") == {(): 1}
    (line,) = [each for each in written() if each["level"] == "error"]
    assert line["delivery"] == guid
