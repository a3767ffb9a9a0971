"""What is counted of the past, and that no look reads more than it is about."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from covend.core.ending import Ending, Result
from covend.core.insight import BUCKET_MS, Hour
from covend.core.model import (
    Claim,
    ClaimToken,
    Conclusion,
    EffectDraft,
    EffectId,
    EffectKind,
    TaskId,
    Usage,
)
from covend.core.rules.verdicts import ClauseResult, Routing, Verdict
from covend.core.safeguards.shapes import Safeguard, SafeguardKind, Spent
from covend.core.states import DeliveryState, EffectState, Outcome, TaskState
from covend.store import insight as insights
from covend.store.insight import StoredInsight
from covend.store.protocol import Settlement
from tests.store.arrivals import NOW, Database, arrival, draft, task_id, terms

MINUTE = 60_000
HOUR_S = 3_600.0
NOTHING = Usage()
COMMENT = EffectDraft(kind=EffectKind.COMMENT, slot="s", subject="p", target="t", request={})


@pytest.fixture
def insight(database: Database) -> StoredInsight:
    return StoredInsight(database.connection)


async def arrive(database: Database, now: int, rule: str = "review") -> TaskId:
    accepted = await database.deliveries.accept(arrival(draft(rule=rule), now=now))
    return accepted.tasks[0]


async def claim(database: Database, at: int) -> Claim:
    token = ClaimToken(task_id(at))
    taken = await database.tasks.claim(node="n", token=token, now=at, lease_s=90, terms=terms())
    assert taken.claim is not None
    return taken.claim


async def end(
    database: Database,
    begun: Claim,
    at: int,
    *,
    outcome: Outcome = Outcome.SUCCEEDED,
    usage: Usage = NOTHING,
    code: str | None = None,
    effect: EffectId | None = None,
) -> None:
    is_good = outcome is Outcome.SUCCEEDED
    result = Result(conclusion=Conclusion.SUCCESS, summary="", usage=usage)
    settlement = Settlement(
        target=TaskState.COMPLETED if is_good else TaskState.FAILED,
        reason=outcome.value,
        ending=Ending(outcome=outcome, result=result, error_code=code),
        effects=((effect, replace(COMMENT, slot=effect, subject=effect)),) if effect else (),
    )
    await database.tasks.settle(begun, settlement, at)


async def work(database: Database, at: int, took_s: float, **how: Any) -> TaskId:
    """Let a task in and be done with at once."""
    await arrive(database, at)
    begun = await claim(database, at)
    await end(database, begun, at + round(took_s * 1000), **how)
    return begun.task.id


# --- the last hour --------------------------------------------------------------------------------


def placed(hour: Hour, at: int) -> Any:
    return next(each for each in hour.buckets if each.since_at <= at < each.since_at + BUCKET_MS)


async def test_an_empty_store_has_an_hour_of_nothing(insight: StoredInsight) -> None:
    hour = await insight.last_hour(NOW)
    assert len(hour.buckets) == 12
    assert hour.buckets[-1].since_at <= NOW < hour.buckets[-1].since_at + BUCKET_MS
    assert not hour.is_cut
    assert {each.deliveries for each in hour.buckets} == {0}


async def test_the_hour_counts_what_came_and_ended_in_its_own_five_minutes(
    database: Database, insight: StoredInsight
) -> None:
    await work(database, NOW, took_s=400)
    await work(database, NOW + MINUTE, took_s=500, outcome=Outcome.TIMED_OUT)
    hour = await insight.last_hour(NOW + 20 * MINUTE)
    assert sum(each.deliveries for each in hour.buckets) == 2
    assert placed(hour, NOW).deliveries >= 1
    assert placed(hour, NOW + 400_000).ended[TaskState.COMPLETED] == 1
    assert placed(hour, NOW + 400_000).outcomes[Outcome.SUCCEEDED] == 1
    assert placed(hour, NOW + 560_000).ended[TaskState.FAILED] == 1
    assert placed(hour, NOW + 560_000).outcomes[Outcome.TIMED_OUT] == 1
    assert sum(sum(each.ended.values()) for each in hour.buckets) == 2


async def test_what_is_older_than_the_hour_is_not_in_it_whatever_gaps_its_numbers_have(
    database: Database, insight: StoredInsight
) -> None:
    for minute in range(0, 180, 6):
        await work(database, NOW + minute * MINUTE, took_s=1)
    writer = database.connection._writer  # noqa: SLF001  as retention deletes
    writer.execute("DELETE FROM deliveries WHERE number % 3 = 0")
    now = NOW + 179 * MINUTE
    hour = await insight.last_hour(now)
    since = hour.buckets[0].since_at
    (left,) = writer.execute("SELECT count(*) FROM deliveries WHERE received_at >= ?", (since,))
    assert sum(each.deliveries for each in hour.buckets) == left[0]
    (ended,) = writer.execute(
        "SELECT count(*) FROM timeline WHERE target = 'completed' AND at >= ?", (since,)
    )
    assert sum(each.ended[TaskState.COMPLETED] for each in hour.buckets) == ended[0]


async def test_an_attempt_counts_where_it_ended_however_long_it_took(
    database: Database, insight: StoredInsight
) -> None:
    await work(database, NOW, took_s=5 * HOUR_S)
    hour = await insight.last_hour(NOW + 5 * 60 * MINUTE + 1)
    assert hour.buckets[-1].outcomes == {Outcome.SUCCEEDED: 1}


async def test_an_hour_with_more_than_is_counted_says_so(
    database: Database, insight: StoredInsight, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(4):
        await arrive(database, NOW)
    assert not (await insight.last_hour(NOW)).is_cut
    monkeypatch.setattr(insights, "ROWS_MAX", 3)
    hour = await insight.last_hour(NOW)
    assert hour.is_cut
    assert hour.buckets[-1].deliveries == 3


# --- agents ---------------------------------------------------------------------------------------


async def test_an_agent_is_judged_by_what_it_could_help(
    database: Database, insight: StoredInsight
) -> None:
    for outcome in (Outcome.SUCCEEDED, Outcome.SUCCEEDED, Outcome.FAILED, Outcome.TIMED_OUT):
        await work(database, NOW, took_s=1, outcome=outcome)
    for outcome in (Outcome.CANCELLED, Outcome.LOST, Outcome.INTERRUPTED):
        await work(database, NOW, took_s=1, outcome=outcome)
    [echo] = await insight.agents(NOW + MINUTE, HOUR_S)
    assert (echo.agent, echo.attempts, echo.succeeded, echo.failed) == ("echo", 7, 2, 2)
    assert echo.success_share == 0.5


async def test_durations_are_told_by_their_nearest_rank(
    database: Database, insight: StoredInsight
) -> None:
    for second in range(20, 0, -1):
        await work(database, NOW, took_s=second)
    await work(database, NOW, took_s=9_000, outcome=Outcome.CANCELLED)
    [echo] = await insight.agents(NOW + MINUTE, HOUR_S)
    assert (echo.p50_s, echo.p95_s) == (10.0, 19.0)


async def test_one_duration_is_all_of_its_shares(
    database: Database, insight: StoredInsight
) -> None:
    await work(database, NOW, took_s=4)
    [echo] = await insight.agents(NOW + MINUTE, HOUR_S)
    assert (echo.p50_s, echo.p95_s) == (4.0, 4.0)


async def test_an_agent_tells_its_cost_its_newest_failure_and_what_it_is_at(
    database: Database, insight: StoredInsight
) -> None:
    usage = Usage(input_tokens=7, output_tokens=3, cost_usd=0.25)
    await work(database, NOW, took_s=5, outcome=Outcome.FAILED, code="agent_exit", usage=usage)
    failed = await work(database, NOW + MINUTE, took_s=5, outcome=Outcome.FAILED, code="idle")
    await work(database, NOW + 2 * MINUTE, took_s=5, usage=usage)
    await arrive(database, NOW + 3 * MINUTE)
    await claim(database, NOW + 3 * MINUTE)
    [echo] = await insight.agents(NOW + 4 * MINUTE, HOUR_S)
    assert (echo.cost_usd, echo.input_tokens, echo.output_tokens) == (0.5, 14, 6)
    assert echo.running == 1
    assert echo.trouble is not None
    assert (echo.trouble.code, echo.trouble.task) == ("idle", failed)
    assert echo.trouble.at == NOW + MINUTE + 5_000


async def test_an_agent_that_is_held_is_told_although_it_did_nothing(
    database: Database, insight: StoredInsight
) -> None:
    def guard(scope: str, until: int | None, kind: SafeguardKind) -> Safeguard:
        return Safeguard(
            id=f"{kind}/{scope}",
            kind=kind,
            scope=scope,
            state="suppressed",
            reason="r",
            until=until,
            values={},
        )

    crash = SafeguardKind.CRASH_LOOP
    await database.guards.put(guard("agent:claude@acme/r1", NOW + MINUTE, crash), NOW)
    await database.guards.put(guard("agent:over@acme/r1", NOW - 1, crash), NOW)
    await database.guards.put(guard("agent:codex", None, SafeguardKind.CIRCUIT), NOW)
    await database.guards.put(guard("rule:agent:x", None, SafeguardKind.PAUSE), NOW)
    told = {each.agent: [one.id for one in each.guards] for each in await insight.agents(NOW, 1)}
    assert told == {"claude": ["crash_loop/agent:claude@acme/r1"], "codex": ["circuit/agent:codex"]}


async def test_what_began_before_the_window_is_not_counted(
    database: Database, insight: StoredInsight
) -> None:
    await work(database, NOW, took_s=1)
    assert await insight.agents(NOW + 61 * MINUTE, HOUR_S) == []
    assert await insight.rules(NOW + 61 * MINUTE, HOUR_S) == []


# --- rules ----------------------------------------------------------------------------------------


async def test_a_rule_tells_its_hits_by_state_and_the_last_of_them(
    database: Database, insight: StoredInsight
) -> None:
    await work(database, NOW, took_s=1)
    await arrive(database, NOW + 2 * MINUTE)
    await arrive(database, NOW + MINUTE, rule="fix")
    fix, review = await insight.rules(NOW + 3 * MINUTE, HOUR_S)
    assert (fix.rule, fix.hits, fix.first_effect_s) == ("fix", 1, None)
    assert review.tasks == {TaskState.COMPLETED: 1, TaskState.QUEUED: 1}
    assert (review.hits, review.last_hit_at) == (2, NOW + 2 * MINUTE)


async def test_a_rule_tells_the_median_until_something_was_visible(
    database: Database, insight: StoredInsight
) -> None:
    for second in (30, 10, 90):
        effect = EffectId(task_id(NOW))
        await work(database, NOW, took_s=5, effect=effect)
        assert await database.effects.begin(effect, NOW + 6_000)
        await database.effects.finish(
            effect, remote_id="1", remote_url=None, now=NOW + second * 1000
        )
    await work(database, NOW, took_s=5, effect=EffectId(task_id(NOW)))
    [review] = await insight.rules(NOW + 3 * MINUTE, HOUR_S)
    assert review.first_effect_s == 30.0


async def test_refusals_are_counted_by_clause_and_only_of_rules_that_listen(
    database: Database, insight: StoredInsight
) -> None:
    on = ClauseResult(name="on", satisfied=True)
    draft_said = ClauseResult(name="draft", satisfied=False)
    verdicts = (
        Verdict(rule="review", matched=False, reason="draft", clauses=(on, draft_said)),
        Verdict(
            rule="fix",
            matched=False,
            reason="event_not_wanted",
            clauses=(ClauseResult(name="on", satisfied=False),),
        ),
        Verdict(rule="triage", matched=None, reason="needs_lookup", clauses=(on, on)),
    )
    ignored = Routing(state=DeliveryState.IGNORED, reason="no_match", verdicts=verdicts)
    for _ in range(2):
        came = arrival(now=NOW)
        await database.deliveries.accept(type(came)(**{**_fields(came), "routing": ignored}))
    [review] = await insight.rules(NOW, HOUR_S)
    assert (review.rule, review.refusals, review.hits) == ("review", {"draft": 2}, 0)


def _fields(record: Any) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__struct_fields__}


# --- the outbox, and money ------------------------------------------------------------------------


async def test_the_outbox_tells_what_is_open_and_what_has_failed_of_late(
    database: Database, insight: StoredInsight
) -> None:
    first, second = EffectId(task_id(NOW)), EffectId(task_id(NOW))
    await work(database, NOW, took_s=5, effect=first)
    await work(database, NOW + MINUTE, took_s=5, effect=second)
    [pending] = await insight.outbox(NOW + 2 * MINUTE, HOUR_S)
    assert (pending.state, pending.count, pending.oldest_at) == (
        EffectState.PENDING,
        2,
        NOW + 5_000,
    )
    assert await database.effects.begin(first, NOW + MINUTE)
    await database.effects.fail(first, error="422", now=NOW + MINUTE)
    told = {each.state: each.count for each in await insight.outbox(NOW + 2 * MINUTE, HOUR_S)}
    assert told == {EffectState.PENDING: 1, EffectState.FAILED: 1}
    later = await insight.outbox(NOW + 180 * MINUTE, HOUR_S)
    assert {each.state for each in later} == {EffectState.PENDING}


async def test_money_is_of_today_by_repository_agent_and_rule(
    database: Database, insight: StoredInsight
) -> None:
    usage = Usage(input_tokens=40, output_tokens=2, cost_usd=0.5)
    await work(database, NOW, took_s=1, usage=usage)
    await work(database, NOW, took_s=1, usage=usage)
    money = await insight.money(NOW + MINUTE)
    assert money.everything == Spent(usd=1.0, tokens=84)
    assert money.repositories == {"acme/r1": Spent(usd=1.0, tokens=84)}
    assert money.agents == {"echo": Spent(usd=1.0, tokens=84)}
    assert money.rules == {"review": Spent(usd=1.0, tokens=84)}
    tomorrow = await insight.money(NOW + 24 * 60 * MINUTE)
    assert (tomorrow.everything, tomorrow.agents) == (Spent(), {})


# --- how much is read -----------------------------------------------------------------------------

PARAMETERS = {
    "since": 1,
    "started_after": 1,
    "width": 1,
    "limit": 5,
    "first": "0",
    "number": 1,
    "day": 1,
}
BY_NUMBER = "USING INTEGER PRIMARY KEY (rowid>?)"


@pytest.mark.parametrize(
    ("query", "steps"),
    [
        ("count_arrivals", [f"SEARCH d {BY_NUMBER}"]),
        ("count_moves", [f"SEARCH t {BY_NUMBER}"]),
        ("newest_arrival_and_move", ["SEARCH d", "SEARCH t"]),
        ("find_arrival_from", [f"SEARCH d {BY_NUMBER}"]),
        ("find_move_from", [f"SEARCH t {BY_NUMBER}"]),
        ("count_outcomes", ["SEARCH a USING INDEX attempts_by_start (started_at>?)"]),
        ("sum_agents", ["SEARCH a USING INDEX attempts_by_start (started_at>?)"]),
        ("list_troubles", ["SEARCH a USING INDEX attempts_by_start (started_at>?)"]),
        ("count_running_by_agent", ["SCAN t USING INDEX tasks_running"]),
        ("list_agents_guards", ["SEARCH g USING PRIMARY KEY (id>? AND id<?)"]),
        ("count_tasks_by_rule", ["SEARCH t USING INDEX sqlite_autoindex_tasks_1 (id>?)"]),
        (
            "list_paces_of_rules",
            [
                "SEARCH t USING INDEX sqlite_autoindex_tasks_1 (id>?)",
                "SEARCH e USING INDEX effects_by_task (task_id=?)",
            ],
        ),
        ("count_refusals", ["SCAN d"]),
        ("count_outbox", ["SEARCH e USING INDEX effects_open (state=?)"]),
        ("count_failed_effects", ["SEARCH e USING INDEX sqlite_autoindex_effects_1 (id>?)"]),
        ("list_spending_of_day", ["SEARCH s USING INDEX spending_by_day (day=?)"]),
        (
            "list_cost_of_attempts",
            [
                "SEARCH a USING INDEX attempts_by_start (started_at>?)",
                "SEARCH t USING INDEX sqlite_autoindex_tasks_1 (id=?)",
            ],
        ),
    ],
)
async def test_each_look_is_a_range_of_what_is_stored(
    database: Database, query: str, steps: list[str]
) -> None:
    plan = _plan(database, query)
    for step in steps:
        assert step in plan, plan
    scanned = {line for line in plan if re.match(r"SCAN [adegst]( |$)", line)}
    # What runs is few, and the newest of the deliveries are taken from the end.
    assert scanned <= {"SCAN t USING INDEX tasks_running", "SCAN d"}, plan
    assert ("SCAN d" in scanned) == (query == "count_refusals")


def _plan(database: Database, query: str) -> list[str]:
    text = database.connection._queries[query].text  # noqa: SLF001  what it is really asked
    rows = database.connection._writer.execute(f"EXPLAIN QUERY PLAN {text}", PARAMETERS)  # noqa: SLF001
    return [row["detail"] for row in rows]
