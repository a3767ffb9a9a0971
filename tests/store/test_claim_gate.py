"""What becomes of the head of the queue by what the gate says of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from covend.core.model import Claim
from covend.core.policy import policy_of
from covend.core.safeguards.shapes import (
    EVERYTHING,
    FOREVER,
    Pass,
    Questions,
    Safeguard,
    SafeguardKind,
    Scope,
    SpendingId,
    Spent,
    Switch,
    Waiting,
)
from covend.core.settings import Agent, Rule
from covend.core.states import TaskState
from covend.store.claiming import ROUNDS_MAX
from tests.store.arrivals import NOW, Database
from tests.store.hand_gate import HandGate, fill, held, queued, take, taken, waiting

TWO = policy_of(
    Rule(name="review", on=("pull_request.opened",), agent="echo", prompt="Review."),
    Agent(name="echo", command=("echo",), fallback=("second",)),
    (Agent(name="second", command=("second",)), Agent(name="third", command=("third",))),
)


async def test_what_is_held_waits_with_its_whole_scope_by_one_statement(
    database: Database,
) -> None:
    mine = [await queued(database, rule="slow") for _ in range(20)]
    others = [await queued(database, rule="quick") for _ in range(2)]
    gate = HandGate(
        lambda candidate, _: (
            held(Scope(rule="slow"), NOW + 500, Waiting.RATE_LIMITED)
            if candidate.task.rule == "slow"
            else Pass()
        )
    )
    statements: list[str] = []
    writer = database.connection._writer  # noqa: SLF001  looked at
    writer.set_trace_callback(statements.append)
    found = await take(database, gate)
    writer.set_trace_callback(None)
    assert found.claim is not None
    assert found.claim.task.id in others
    assert [hold.scope for hold in found.held] == [Scope(rule="slow")]
    updates = {text for text in statements if text.startswith("UPDATE tasks INDEXED BY")}
    assert len(updates) == 1, updates  # it is told again for each trigger
    assert {await waiting(database, task) for task in mine} == {("rate_limited", NOW + 500)}


async def test_a_store_that_is_paused_answers_after_one_look(database: Database) -> None:
    ids = fill(database, [(f"r{n % 7}", "echo", n % 3, NOW) for n in range(500)])
    gate = HandGate(lambda _c, _f: held(EVERYTHING))
    found = await take(database, gate)
    assert (found.claim, len(found.held), len(gate.seen)) == (None, 1, 1)
    assert (await take(database, gate)).held == ()
    assert await waiting(database, ids[0]) == ("paused", FOREVER)
    assert await database.tasks.next_due_at(TaskState.QUEUED, NOW) is None


async def test_what_waits_for_a_later_moment_is_not_held_before_it(database: Database) -> None:
    (later,) = fill(database, [("a", "echo", 0, NOW + 50)])
    (due,) = fill(database, [("a", "echo", 0, NOW)])
    await take(database, HandGate(lambda _c, _f: held(EVERYTHING)))
    assert await waiting(database, due) == ("paused", FOREVER)
    assert await waiting(database, later) == ("new", NOW + 50)
    assert await database.tasks.next_due_at(TaskState.QUEUED, NOW) == NOW + 50


@pytest.mark.parametrize(
    "scope",
    [
        Scope(rule="other"),
        Scope(agent="other"),
        Scope(actor="other"),
        Scope(key="other"),
        Scope(repository_key="1", rule="other"),
        Scope(subject_number=0),
        Scope(installation_id=1),
    ],
)
async def test_what_a_hold_does_not_name_goes_on(database: Database, scope: Scope) -> None:
    first, second = await queued(database), await queued(database)
    gate = HandGate(
        lambda candidate, _: held(scope) if candidate.task.id == first else Pass(),
    )
    assert (await taken(database, gate)).task.id == second
    assert await waiting(database, first) == ("paused", FOREVER)


async def test_a_hold_that_is_over_already_is_not_met_again_in_the_same_look(
    database: Database,
) -> None:
    task = await queued(database)
    found = await take(database, HandGate(lambda _c, _f: held(EVERYTHING, NOW - 1)))
    assert (len(found.held), found.is_more) == (1, False)
    assert await waiting(database, task) == ("paused", NOW + 1)


async def test_a_look_is_cut_short_where_too_much_is_held_one_by_one(database: Database) -> None:
    fill(database, [(f"r{n}", "echo", 0, NOW) for n in range(ROUNDS_MAX + 3)])
    gate = HandGate(lambda candidate, _: held(Scope(repository_key=candidate.task.repository_key)))
    first, second = await take(database, gate), await take(database, gate)
    assert (len(first.held), first.is_more) == (ROUNDS_MAX, True)
    assert (len(second.held), second.is_more) == (3, False)


async def test_a_task_goes_to_the_agent_that_can_be_had_with_all_its_tries(
    database: Database,
) -> None:
    await database.deliveries.save_policy(TWO, NOW)
    task = await queued(database, policy=TWO.sha256, fallbacks=("second", "third"))
    database.connection._writer.execute(  # noqa: SLF001  by hand, past every query
        "UPDATE tasks SET failures = 2, infrastructure_failures = 1, is_afresh = 1"
    )
    switch = Switch(agent="second", reason="circuit_open")
    gate = HandGate(lambda c, _: switch if c.policy.agent.name == "echo" else Pass())
    found = await take(database, gate)
    assert found.claim is not None
    assert (found.claim.task.agent, found.claim.task.fallbacks) == ("second", ("third",))
    assert (found.claim.task.failures, found.claim.task.is_afresh) == (0, False)
    assert found.claim.task.infrastructure_failures == 1
    assert found.switched == ((task, "echo", switch),)
    story = await database.tasks.story(task)
    assert story is not None
    assert [move.reason for move in story.timeline][1] == "circuit_open: echo -> second"
    assert story.attempts[0].agent == "second"


async def test_the_candidate_is_shown_with_its_present_agent_at_work(database: Database) -> None:
    await database.deliveries.save_policy(TWO, NOW)
    await queued(database, policy=TWO.sha256, agent="third", fallbacks=())
    gate = HandGate()
    await taken(database, gate)
    ((candidate, _),) = gate.seen
    assert candidate.policy.agent.command == ("third",)
    assert candidate.policy.fallbacks == ()


async def test_a_policy_is_read_once(database: Database) -> None:
    for _ in range(3):
        await queued(database)
    statements: list[str] = []
    database.connection._writer.set_trace_callback(statements.append)  # noqa: SLF001  looked at
    for _ in range(3):
        await taken(database)
    assert len([text for text in statements if "FROM policies" in text]) == 1


async def test_a_task_whose_policy_cannot_be_read_holds_up_nobody_and_no_pause(
    database: Database,
) -> None:
    writer = database.connection._writer  # noqa: SLF001  by hand, past every query
    broken = await queued(database)
    writer.execute("INSERT INTO policies (sha256, body, created_at) VALUES ('b', x'7b7d', 0)")
    writer.execute("UPDATE tasks SET policy = 'b' WHERE id = ?", (broken,))
    gate = HandGate(lambda _c, _f: held(EVERYTHING))
    assert len((await take(database, gate)).held) == 1
    writer.execute("UPDATE tasks SET not_before_at = 0")
    assert (await taken(database, HandGate())).task.id == broken


async def test_the_gate_is_told_all_that_it_asks_for(database: Database) -> None:
    runs = await taken_of(database)
    guard = Safeguard(
        id="circuit/agent:echo",
        kind=SafeguardKind.CIRCUIT,
        scope="agent:echo",
        state="open",
        reason="r",
        until=None,
        values={"probe": runs.task.id},
    )
    await database.guards.put(guard, NOW)
    budget, other = SpendingId(scope="all", day=3), SpendingId(scope="none")
    writer = database.connection._writer  # noqa: SLF001  by hand, past every query
    writer.execute("INSERT INTO spending (scope, day, usd, tokens) VALUES ('all', 3, 1.5, 7)")
    gate = HandGate(
        asked=Questions(guards=(guard.id, "pause/all"), spending=(budget, other)),
    )
    await queued(database)
    await taken(database, gate)
    facts = gate.seen[0][1]
    assert facts.guards == {guard.id: replace(guard, created_at=NOW, updated_at=NOW)}
    assert facts.running == {runs.task.id}
    assert facts.spent == {budget: Spent(usd=1.5, tokens=7)}
    assert (facts.now, facts.is_key_busy) == (NOW, False)


async def taken_of(database: Database) -> Claim:
    await queued(database)
    return await taken(database, HandGate())


async def test_what_a_decision_writes_is_kept(database: Database) -> None:
    guard = Safeguard(
        id="rate/rule=review",
        kind=SafeguardKind.RATE,
        scope="rule=review",
        state="holding",
        reason="r",
        until=NOW + 9,
        values={"max": 1},
    )
    probe = replace(guard, id="circuit/agent:echo", kind=SafeguardKind.CIRCUIT)
    hold = replace(held(Scope(rule="slow")), writes=(guard,))
    await queued(database, rule="slow")
    await queued(database)
    await taken(
        database, HandGate(lambda c, _: hold if c.task.rule == "slow" else Pass(writes=(probe,)))
    )
    assert [each.id for each in await database.guards.list()] == [probe.id, guard.id]
