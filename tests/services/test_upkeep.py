"""What goes by its age and what stays: nothing open, nothing still to be shown, and nothing that a
later text, a duplicate or a rate needs.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any
from uuid import uuid4

import anyio
import pytest

from covend.core.bounds import Rate, Safeguards
from covend.core.errors import StoreError
from covend.core.intake import Refused, fold
from covend.core.model import Claim, Task
from covend.core.retention import KeptSince, Kind, Passed
from covend.core.settings import Retention
from covend.core.states import EffectState, TaskState
from covend.core.units import DAY
from covend.demo import payloads
from covend.services import upkeep
from covend.services.live import log_path
from covend.services.upkeep import Upkeep, longest_window
from covend.store.retention import StoredRetention
from tests.services.house import COMMENT, House, a_rule, an_agent
from tests.services.rooms import WEBHOOK_SECRET
from tests.telemetry.book import Book

KEPT = Retention(deliveries_s=30 * DAY, completed_s=20 * DAY, failed_s=90 * DAY, logs_s=14 * DAY)
WITHIN_S = 20.0


@pytest.fixture(autouse=True)
def _no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "REST_S", 0)


def an_upkeep(house: House, **changes: Any) -> Upkeep:
    return Upkeep(
        retention=StoredRetention(house.connection),
        kept=replace(KEPT, **changes),
        rates_s=lambda: longest_window(house.terms),
        logs=house.folder / "logs",
        clock=house.clock,
    )


def count(house: House, table: str) -> int:
    ((found,),) = house.ask(f"SELECT count(*) FROM {table}")
    return int(found)


async def adopt(house: House, **changes: Any) -> None:
    await house.adopt(a_rule(**changes), an_agent())


async def ended(house: House, target: TaskState = TaskState.COMPLETED, **scene: Any) -> Claim:
    """End a task, and publish all of it."""
    claim = await house.settled(target=target, **scene)
    await house.publish()
    return claim


def tasks_in(house: House) -> set[str]:
    return {row[0] for row in house.ask("SELECT id FROM tasks")}


def deliveries_in(house: House) -> set[str]:
    return {row[0] for row in house.ask("SELECT id FROM deliveries")}


async def test_what_has_ended_goes_with_all_that_belongs_to_it(house: House) -> None:
    await adopt(house)
    await ended(house)
    house.clock.turn(s=31 * DAY)
    await an_upkeep(house).round()
    tables = ("tasks", "attempts", "timeline", "effects", "deliveries", "delivery_tasks")
    assert {table: count(house, table) for table in tables} == dict.fromkeys(tables, 0)


async def test_what_is_younger_stays(house: House) -> None:
    await adopt(house)
    claim = await ended(house)
    house.clock.turn(s=19 * DAY)
    await an_upkeep(house).round()
    assert tasks_in(house) == {claim.task.id}
    assert deliveries_in(house) == {claim.task.delivery}


async def test_a_task_is_told_when_its_delivery_is_gone(house: House) -> None:
    await adopt(house)
    claim = await ended(house)
    house.clock.turn(s=5 * DAY)
    await an_upkeep(house, deliveries_s=4 * DAY).round()
    assert deliveries_in(house) == set()
    story = await house.story(claim.task.id)
    assert story.task.delivery == claim.task.delivery
    assert story.timeline[-1].target is TaskState.COMPLETED


async def test_a_delivery_is_told_when_its_task_is_gone(house: House) -> None:
    await adopt(house)
    claim = await ended(house)
    house.clock.turn(s=21 * DAY)
    await an_upkeep(house).round()
    assert tasks_in(house) == set()
    assert claim.task.delivery is not None
    stored = await house.deliveries.find(claim.task.delivery)
    assert stored is not None
    assert stored.delivery.tasks == (claim.task.id,)


async def test_what_failed_is_kept_for_longer(house: House) -> None:
    await adopt(house)
    claim = await ended(house, TaskState.FAILED)
    house.clock.turn(s=89 * DAY)
    await an_upkeep(house).round()
    assert tasks_in(house) == {claim.task.id}
    house.clock.turn(s=2 * DAY)
    await an_upkeep(house).round()
    assert tasks_in(house) == set()


async def test_open_work_keeps_itself_and_its_delivery(house: House) -> None:
    await adopt(house)
    task = await house.queued()
    house.clock.turn(s=365 * DAY)
    await an_upkeep(house).round()
    assert tasks_in(house) == {task.id}
    assert deliveries_in(house) == {task.delivery}


@pytest.mark.parametrize("state", ["pending", "sending", "unknown"])
async def test_what_is_still_to_be_shown_keeps_its_task(house: House, state: str) -> None:
    await adopt(house)
    claim = await house.settled()
    for step in {"pending": (), "sending": ("sending",), "unknown": ("sending", "unknown")}[state]:
        house.meddle("UPDATE effects SET state = :state, sent_at = 1", state=step)
    house.clock.turn(s=365 * DAY)
    await an_upkeep(house).round()
    assert tasks_in(house) == {claim.task.id}


async def test_what_could_not_be_shown_keeps_its_task_as_long_as_a_failure(house: House) -> None:
    await adopt(house)
    claim = await ended(house)
    house.meddle(
        "INSERT INTO effects (id, task_id, kind, slot, subject, target, request, state,"
        " not_before_at, created_at) VALUES"
        " ('f', :task, 'check', 's', 's', 't', x'7b7d', 'pending', 0, 0)",
        task=claim.task.id,
    )
    for state in (EffectState.SENDING, EffectState.FAILED):
        house.meddle("UPDATE effects SET state = :state WHERE id = 'f'", state=state)
    house.clock.turn(s=21 * DAY)
    await an_upkeep(house).round()
    assert tasks_in(house) == {claim.task.id}
    house.clock.turn(s=70 * DAY)
    await an_upkeep(house).round()
    assert tasks_in(house) == set()


async def test_a_task_that_is_asked_for_again_meanwhile_stays(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await adopt(house)
    claim = await ended(house, TaskState.FAILED)
    house.clock.turn(s=91 * DAY)
    reads = house.connection.read

    async def read_and_retry(script: Any) -> Any:
        found = await reads(script)
        if found:
            house.meddle(
                "UPDATE tasks SET state = 'queued', finished_at = NULL WHERE state = 'failed'"
            )
        return found

    monkeypatch.setattr(house.connection, "read", read_and_retry)
    await an_upkeep(house).round()
    monkeypatch.undo()
    story = await house.story(claim.task.id)
    assert story.task.state is TaskState.QUEUED
    assert story.timeline
    assert story.attempts


async def test_a_duplicate_is_known_as_long_as_its_delivery_is_kept(house: House) -> None:
    await adopt(house)
    scene = house.github.scene(house.till, 7, serial=99, sender=payloads.AUTHOR)
    body = payloads.encode(payloads.SAMPLES["pull_request.opened"](scene))
    headers = payloads.signed(body, WEBHOOK_SECRET, "pull_request", str(uuid4()))

    async def send() -> bool:
        accepted = await house.intake().receive(fold(headers.items()), body)
        assert not isinstance(accepted, Refused)
        return accepted.duplicate

    assert not await send()
    await house.ripen()
    await house.settle(await house.claim())
    await house.publish()
    house.clock.turn(s=29 * DAY)
    await an_upkeep(house).round()
    assert tasks_in(house) == set()
    assert await send()


async def test_the_next_text_is_put_in_the_place_of_a_deleted_one(house: House) -> None:
    await adopt(house, publish=(COMMENT,))
    await ended(house)
    (comment,) = house.github.state.comments
    house.clock.turn(s=60 * DAY)
    await an_upkeep(house).round()
    assert count(house, "tasks") == 0
    await house.deliver("issue_comment.created")
    house.meddle("DELETE FROM deliveries")
    await ended(house)
    assert [each.id for each in house.github.state.comments] == [comment.id]


async def test_a_place_is_forgotten_after_a_year(house: House) -> None:
    await adopt(house, publish=(COMMENT,))
    await ended(house)
    house.clock.turn(s=60 * DAY)
    await an_upkeep(house).round()
    assert count(house, "effects") == 1
    house.clock.turn(s=366 * DAY)
    await an_upkeep(house).round()
    assert count(house, "effects") == 0


async def test_what_still_counts_against_a_rate_stays_also_one_that_a_reload_has_brought(
    house: House,
) -> None:
    await adopt(house)
    claim = await ended(house)
    keep = an_upkeep(house, completed_s=DAY)
    rate = Rate(per=("rule",), max_count=9, window_s=3 * DAY)
    house.terms = replace(house.terms, safeguards=Safeguards(rate=(rate,)))
    for left in ({claim.task.id}, set()):
        house.clock.turn(s=2 * DAY)
        await keep.round()
        assert tasks_in(house) == left


async def test_more_than_one_step_is_walked(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "AT_ONCE", 2)
    await adopt(house)
    stays = await house.queued()
    for number in range(5):
        await house.deliver("issue_comment.created", text=f"No. {number}")
    assert count(house, "deliveries") == 6
    house.clock.turn(s=31 * DAY)
    young = await house.deliver("issue_comment.created", text="Young.")
    await an_upkeep(house).round()
    assert deliveries_in(house) == {stays.delivery, young.delivery}


async def test_wishes_that_were_attended_to_go(house: House) -> None:
    house.meddle(
        "INSERT INTO reruns (delivery_id, repository_key, head_sha, actor, state, not_before_at,"
        " created_at, done_at) VALUES ('a', '1', 'x', 'y', 'done', 0, 0, 1),"
        " ('b', '1', 'x', 'y', 'received', 0, 0, NULL)"
    )
    house.meddle(
        "INSERT INTO commands (delivery_id, verb, command, is_wanted, repository_key, subject_type,"
        " is_bot, state, not_before_at, created_at, done_at, place, comment_id) VALUES"
        " ('a', 'v', '{}', 1, '1', 'issue', 0, 'done', 0, 0, 1, 'p', 1),"
        " ('b', 'v', '{}', 1, '1', 'issue', 0, 'received', 0, 0, NULL, 'p', 2)"
    )
    house.meddle("INSERT INTO closings VALUES ('1', 1, 1), ('1', 2, :now)", now=house.clock.now())
    await an_upkeep(house).round()
    assert house.ask("SELECT delivery_id FROM reruns") == [("b",)]
    assert house.ask("SELECT delivery_id FROM commands") == [("b",)]
    assert house.ask("SELECT number FROM closings") == [(2,)]


async def test_the_audit_is_kept_as_long_as_a_failure(house: House) -> None:
    now = house.clock.now()
    for at in (now - round(91 * DAY * 1000), now - round(89 * DAY * 1000)):
        house.meddle(
            "INSERT INTO audit (at, who, way, verb, details) VALUES (:at, 'o', 'api', 'v', '{}')",
            at=at,
        )
    await an_upkeep(house).round()
    assert house.ask("SELECT number FROM audit") == [(2,)]


async def test_of_cursors_only_what_nobody_reads_any_more_goes(house: House) -> None:
    names = ["reconcile/begun", "reconcile/app", "forgotten/3", "schedule/weekly"]
    for name in names:
        house.meddle("INSERT INTO cursors VALUES (:name, '1', 1)", name=name)
    await an_upkeep(house).round()
    left = {row[0] for row in house.ask("SELECT name FROM cursors")}
    assert left == {"reconcile/begun", "schedule/weekly"}


async def test_what_was_forgotten_stays_so_while_the_log_of_github_tells_of_it(
    house: House,
) -> None:
    house.meddle("INSERT INTO cursors VALUES ('forgotten/3', '1', :now)", now=house.clock.now())
    for days, left in ((2, 1), (2, 0)):
        house.clock.turn(s=days * DAY)
        await an_upkeep(house, failed_s=DAY).round()
        assert count(house, "cursors") == left


async def test_of_turns_the_newest_stay_and_those_of_whoever_waits(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("covend.store.retention.TURNS_MAX", 2)
    await adopt(house)
    task: Task = await house.queued()
    waits = str(task.repository_id)
    for number, key in enumerate([waits, "a", "b", "c"], start=1):
        house.meddle("INSERT INTO turns VALUES (:key, :turn)", key=key, turn=number)
    await an_upkeep(house).round()
    assert {row[0] for row in house.ask("SELECT repository_key FROM turns")} == {waits, "b", "c"}


# --- logs -----------------------------------------------------------------------------------------


def a_log(house: House, task: str, attempt: int = 1, *, age_s: float) -> None:
    path = log_path(house.folder / "logs", task, attempt)  # type: ignore[arg-type]
    path.parent.mkdir(exist_ok=True)
    path.write_text("[]")
    written = house.clock.wall() / 1000 - age_s
    os.utime(path, (written, written))


def logs_in(house: House) -> set[str]:
    return {path.name for path in (house.folder / "logs").iterdir()}


async def test_old_logs_go_and_not_that_of_an_attempt_at_work(house: House) -> None:
    await adopt(house)
    claim = await house.claimed()
    a_log(house, claim.task.id, age_s=15 * DAY)
    a_log(house, "01old", age_s=15 * DAY)
    a_log(house, "01young", age_s=13 * DAY)
    await an_upkeep(house).round()
    assert logs_in(house) == {f"{claim.task.id}-1.jsonl", "01young-1.jsonl"}


async def test_a_log_goes_with_its_task(house: House) -> None:
    await adopt(house)
    claim = await ended(house)
    a_log(house, claim.task.id, age_s=0)
    house.clock.turn(s=21 * DAY)
    await an_upkeep(house).round()
    assert logs_in(house) == set()


async def test_what_fails_keeps_nothing_else_from_going(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await adopt(house)
    await ended(house)
    house.clock.turn(s=31 * DAY)
    whole = StoredRetention.delete_some

    async def fail_first(
        self: StoredRetention, kind: Kind, since: KeptSince, *, after: str, limit: int
    ) -> Passed:
        if kind is Kind.COMPLETED:
            raise StoreError("the disk is full")
        return await whole(self, kind, since, after=after, limit=limit)

    monkeypatch.setattr(StoredRetention, "delete_some", fail_first)
    book = Book(monkeypatch)
    await an_upkeep(house).round()
    failed, done = book.lines()
    assert (failed["level"], failed["what"]) == ("error", "completed")
    assert done["deliveries"] == 1
    assert count(house, "tasks") == 1


async def test_the_first_round_is_at_the_start_and_another_follows(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "EVERY_S", 0)
    rounds, enough = 0, anyio.Event()

    async def count_round(self: Upkeep) -> None:
        nonlocal rounds
        rounds += 1
        if rounds == 2:
            enough.set()

    monkeypatch.setattr(Upkeep, "round", count_round)
    with anyio.fail_after(WITHIN_S):
        async with anyio.create_task_group() as group:
            group.start_soon(an_upkeep(house).run)
            await enough.wait()
            group.cancel_scope.cancel()
