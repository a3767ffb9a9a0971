from __future__ import annotations

import asyncio
import math
from pathlib import Path
from typing import Any, Literal

import pytest
from prometheus_client.parser import text_string_to_metric_families

from covend.core.errors import CovendError, StoreBusyError
from covend.core.model import DeliveryId
from covend.core.safeguards.shapes import Safeguard, SafeguardKind
from covend.core.states import EffectState, TaskState
from covend.store.deliveries import StoredDeliveries
from covend.store.protocol import Gauges, StoredDelivery
from covend.store.sqlite.connection import SqliteConnection
from covend.store.upkeep import StoredUpkeep
from covend.web.api import system
from tests.store.arrivals import NOW
from tests.telemetry.book import Book
from tests.web.desk import Desk, open_desk

FAMILIES = """
    deliveries_total delivery_ack_seconds tasks tasks_total queue_oldest_seconds claim_wait_seconds
    attempts_total phase_seconds phase_timeouts_total effects effects_total outbox_oldest_seconds
    safeguard_trips_total circuit_state fallbacks_total callbacks_total callback_exhausted_total
    leases_lost_total recovered_tasks_total processes_killed_total orphans_reaped_total
    github_requests_total github_rate_remaining cost_usd_total tokens_total store_commit_seconds
    store_batch_size wal_bytes build_info
"""


def values(text: str, name: str) -> dict[str, float]:
    """The samples of one metric by the value of their one label."""
    return {
        "".join(sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    }


# --- readiness ------------------------------------------------------------------------------------


async def test_a_ready_covend_says_so_with_its_notes(desk: Desk) -> None:
    desk.readiness.notes["sqlite"] = "3.51.3"
    answer = await desk.ask("/readyz", headers={})
    assert answer.status == 200
    assert answer.data["ready"] is True
    assert (answer.data["state"], answer.data["sqlite"]) == ("ready", "3.51.3")


@pytest.mark.parametrize("state", ["starting", "draining"])
async def test_while_it_starts_or_drains_it_is_not_ready(
    desk: Desk, state: Literal["starting", "draining"]
) -> None:
    desk.readiness.state = state
    answer = await desk.ask("/readyz")
    assert (answer.status, answer.data["state"], answer.data["store"]) == (503, state, "ok")


async def test_while_paused_it_is_ready_and_says_what_rests(desk: Desk) -> None:
    for scope in (b"all", b"rule:review"):
        await desk.ask("/api/v1/pause", "POST", body=b'{"scope": "%s"}' % scope)
    answer = await desk.ask("/readyz", headers={})
    assert (answer.status, answer.data["ready"], answer.data["state"]) == (200, True, "ready")
    assert answer.data["paused"] == ["all", "rule:review"]


async def test_while_drained_it_is_not_ready_until_it_is_resumed(desk: Desk) -> None:
    await desk.ask("/api/v1/drain", "POST")
    answer = await desk.ask("/readyz")
    assert (answer.status, answer.data["state"]) == (503, "draining")
    await desk.ask("/api/v1/resume", "POST")
    answer = await desk.ask("/readyz")
    assert (answer.status, answer.data["paused"]) == (200, [])


class Broken(StoredUpkeep):
    """A store that cannot be read."""

    async def ping(self) -> None:
        raise StoreBusyError

    async def gauges(self, now: int) -> Gauges:
        raise StoreBusyError


class Hanging(StoredUpkeep):
    """A store that never answers."""

    async def ping(self) -> None:
        await asyncio.Event().wait()

    async def gauges(self, now: int) -> Gauges:
        await asyncio.Event().wait()
        raise AssertionError


@pytest.mark.parametrize("kind", [Broken, Hanging])
async def test_a_store_that_does_not_answer_is_not_ready_but_still_has_metrics(
    connection: SqliteConnection,
    tmp_path: Path,
    kind: type[StoredUpkeep],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(system, "STORE_WAIT_S", 0.05)
    upkeep = kind(connection, tmp_path / "wal")
    async with open_desk(connection, tmp_path, upkeep=upkeep) as desk:
        desk.metrics.leases_lost.inc()
        ready, metrics = await desk.ask("/readyz"), await desk.ask("/metrics")
    assert (ready.status, ready.data["store"]) == (503, "unavailable")
    assert metrics.status == 200
    assert values(metrics.text, "covend_leases_lost_total") == {"": 1}
    assert math.isnan(values(metrics.text, "covend_tasks")["queued"])
    assert math.isnan(values(metrics.text, "covend_wal_bytes")[""])


# --- sizes ----------------------------------------------------------------------------------------


async def test_metrics_show_every_documented_family_that_there_is(desk: Desk) -> None:
    text = (await desk.ask("/metrics", headers={})).text
    helped = [line.split()[2] for line in text.splitlines() if line.startswith("# HELP ")]
    assert {f"covend_{name}" for name in FAMILIES.split()} <= set(helped)
    assert len(helped) == len(set(helped))


async def test_metrics_show_the_store_as_it_is(desk: Desk) -> None:
    await desk.arrive()
    await desk.complete(await desk.claim())
    await desk.arrive(now=NOW + 10_000)
    text = (await desk.ask("/metrics")).text
    tasks = values(text, "covend_tasks")
    assert tasks.keys() == set(TaskState)
    assert {state: count for state, count in tasks.items() if count} == {
        "completed": 1,
        "queued": 1,
    }
    assert values(text, "covend_effects").keys() == set(EffectState)
    assert values(text, "covend_effects")["pending"] == 1
    assert values(text, "covend_queue_oldest_seconds") == {"": 50}
    assert values(text, "covend_outbox_oldest_seconds") == {"": 55}
    assert values(text, "covend_wal_bytes")[""] > 0


async def test_stats_say_the_same_as_json(desk: Desk) -> None:
    await desk.arrive()
    stats = await desk.get("stats")
    assert stats["tasks"] == {state: int(state == "queued") for state in TaskState}
    assert stats["effects"] == dict.fromkeys(EffectState, 0)
    assert stats["queue_oldest_seconds"] == 60
    assert stats["oldest_queued"] == "2026-09-21T14:13:20.000Z"
    assert stats["outbox_oldest_seconds"] == 0


async def test_stats_say_how_much_of_everything_there_is_left(desk: Desk) -> None:
    before = await desk.get("stats")
    assert before["slots"] == {"used": 0, "total": 100}
    spent = {"today_usd": 0.0, "cap_usd": 50.0, "today_tokens": 0, "cap_tokens": None}
    assert before["money"] == spent
    assert before["github"] == {
        "remaining": 4_321,
        "limit": 5_000,
        "reset_at": "2026-09-21T14:23:20.000Z",
    }
    assert (before["holding"], before["oldest_queued"]) == (0, None)
    assert before["uptime_s"] >= 0
    await desk.arrive()
    claim = await desk.claim()
    assert (await desk.get("stats"))["slots"]["used"] == 1
    await desk.complete(claim)
    await desk.ask("/api/v1/pause", "POST")
    after = await desk.get("stats")
    assert (after["slots"]["used"], after["holding"], after["oldest_queued"]) == (0, 1, None)
    assert after["money"] == {**spent, "today_usd": 0.25, "today_tokens": 7}


async def test_of_safeguards_only_those_that_hold_now_are_counted(desk: Desk) -> None:
    for scope, kind, state, until in (
        ("agent:a", SafeguardKind.CIRCUIT, "open", NOW + 120_000),
        ("agent:b", SafeguardKind.CIRCUIT, "closed", None),
        ("rule:c", SafeguardKind.RATE, "holding", NOW + 1),
        ("acme/r1#1", SafeguardKind.LOOP, "counting", None),
    ):
        guard = Safeguard(
            id=f"{kind}/{scope}",
            kind=kind,
            scope=scope,
            state=state,
            reason="network",
            until=until,
            values={},
        )
        await desk.guards.put(guard, NOW)
    assert (await desk.get("stats"))["holding"] == 1


@pytest.mark.parametrize(
    ("until", "words"),
    [(NOW + 60_001, "rests until one task gets through"), (NOW + 60_000, "the next task tries it")],
)
async def test_an_open_circuit_says_whether_it_is_tried_next(
    desk: Desk, until: int, words: str
) -> None:
    guard = Safeguard(
        id="circuit/agent:claude",
        kind=SafeguardKind.CIRCUIT,
        scope="agent:claude",
        state="open",
        reason="network",
        until=until,
        values={},
    )
    await desk.guards.put(guard, NOW)
    (told,) = (await desk.get("safeguards"))["items"]
    assert (told["state"], words in told["explanation"]) == ("open", True)


# --- errors ---------------------------------------------------------------------------------------


class Raising(StoredDeliveries):
    """A store with a fault."""

    error: Exception

    async def find(self, delivery: DeliveryId) -> StoredDelivery | None:
        raise self.error


async def ask_a_fault(connection: SqliteConnection, folder: Path, error: Exception) -> Any:
    raising = Raising(connection, queue_max=1)
    raising.error = error
    async with open_desk(connection, folder, deliveries=raising) as desk:
        return await desk.ask("/api/v1/deliveries/1")


@pytest.mark.parametrize("error", [RuntimeError("the secret is 42"), CovendError("is 42")])
async def test_a_fault_is_logged_whole_and_told_without_details(
    connection: SqliteConnection,
    tmp_path: Path,
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    book = Book(monkeypatch)
    answer = await ask_a_fault(connection, tmp_path, error)
    assert (answer.status, answer.data["error"]["code"]) == (500, "internal")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "42" not in answer.text
    [line] = [line for line in book.lines() if line["level"] == "error"]
    assert line["path"] == "/api/v1/deliveries/1"
    assert str(error) in line["traceback"]


async def test_a_busy_store_asks_to_come_again(
    connection: SqliteConnection, tmp_path: Path
) -> None:
    answer = await ask_a_fault(connection, tmp_path, StoreBusyError("/var/lib is 42"))
    assert (answer.status, answer.data["error"]["code"]) == (503, "store_busy")
    assert int(answer.headers["Retry-After"]) > 0
    assert "42" not in answer.text


async def test_each_circuit_tells_its_state_until_it_is_reset(desk: Desk) -> None:
    for scope, state in (("agent:claude", "open"), ("host:github.test", "half_open")):
        guard = Safeguard(
            id=f"circuit/{scope}",
            kind=SafeguardKind.CIRCUIT,
            scope=scope,
            state=state,
            reason="network",
            until=None,
            values={},
        )
        await desk.guards.put(guard, NOW)
    text = (await desk.ask("/metrics")).text
    assert values(text, "covend_circuit_state") == {"agent:claude": 2, "host:github.test": 1}
    await desk.guards.reset("circuit/agent:claude", NOW)
    text = (await desk.ask("/metrics")).text
    assert values(text, "covend_circuit_state") == {"host:github.test": 1}
