"""The order of the gates, pauses, keys, and who takes over where an agent cannot be had."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from covend.core.bounds import Budgets, Rate, Safeguards
from covend.core.safeguards.gate import questions
from covend.core.safeguards.shapes import (
    EVERYTHING,
    FOREVER,
    RECHECK_MS,
    Candidate,
    Decision,
    Hold,
    Pass,
    Scope,
    SpendingId,
    Spent,
    Switch,
    Terms,
    Waiting,
)
from covend.core.settings import Policy
from tests.core.safeguards.samples import (
    HOST,
    NOW,
    World,
    a_policy,
    a_task,
    an_agent,
    guard,
    guarded,
)

CODEX = an_agent("codex")
SUPPRESSED = "crash_loop/agent:{}@acme/till"


def reason_of(decision: Decision) -> Waiting | None:
    return decision.reason if isinstance(decision, Hold) else None


def test_a_task_that_nothing_holds_passes_and_changes_nothing() -> None:
    assert World().judge(a_task()) == Pass()


@pytest.mark.parametrize(
    ("safeguard", "scope"),
    [
        ("drain/all", EVERYTHING),
        ("pause/all", EVERYTHING),
        ("pause/rule:review", Scope(rule="review")),
        ("pause/agent:claude", Scope(agent="claude")),
        (
            "pause/repository:acme/till",
            Scope(repository_key="17", repository="acme/till"),
        ),
    ],
)
def test_a_pause_holds_its_scope_until_it_is_lifted(safeguard: str, scope: Scope) -> None:
    world = World()
    world.put(guard(safeguard, "paused"))
    assert world.judge(a_task()) == Hold(
        reason=Waiting.PAUSED, until=FOREVER, scope=scope, by=safeguard
    )


@pytest.mark.parametrize(
    "safeguard",
    ["pause/rule:fix", "pause/agent:codex", "pause/repository:acme/other", "pause/agent:review"],
)
def test_a_pause_of_something_else_holds_nothing(safeguard: str) -> None:
    world = World()
    world.put(guard(safeguard, "paused"))
    assert world.judge(a_task()) == Pass()


def test_a_pause_with_a_moment_ends_by_itself() -> None:
    world = World()
    world.put(guard("pause/all", "paused", NOW + 5000))
    held = world.judge(a_task())
    assert isinstance(held, Hold)
    assert held.until == NOW + 5000
    world.now += 5000
    assert world.judge(a_task()) == Pass()


def test_a_task_whose_key_runs_waits_and_is_looked_at_again() -> None:
    world, task = World(is_key_busy=True), a_task()
    held = world.judge(task)
    assert isinstance(held, Hold)
    assert (held.reason, held.until) == (Waiting.KEY_BUSY, NOW + RECHECK_MS)
    assert held.scope == Scope(key=task.key)


def test_the_gates_stand_in_one_order() -> None:
    world = World(
        is_key_busy=True,
        terms=Terms(
            concurrency=4,
            host=HOST,
            usd_per_day=1.0,
            safeguards=Safeguards(rate=(Rate(per=("rule",), max_count=1, window_s=60),)),
        ),
    )
    world.spent[SpendingId(scope="all", day=NOW // 86_400_000)] = Spent(usd=2.0)
    world.starts.append((a_task(), NOW))
    shut = [
        guard("drain/all", "draining"),
        guard("pause/all", "paused"),
        guard("loop/acme/till#7", "blocked"),
        guard(SUPPRESSED.format("claude"), "suppressed", NOW + 1000),
        guard("circuit/agent:claude", "open", NOW + 1000),
        guard(f"circuit/host:{HOST}", "open", NOW + 1000),
    ]
    world.put(*shut)
    seen = []
    while isinstance(held := world.judge(a_task()), Hold):
        seen.append(held.by)
        _lift(world, held)
    assert seen == [
        "drain/all",
        "pause/all",
        "key/review:17:t1",
        "loop/acme/till#7",
        SUPPRESSED.format("claude"),
        "circuit/agent:claude",
        f"circuit/host:{HOST}",
        "budget/all",
        "rate/rule=review",
    ]
    assert isinstance(held, Pass)


def _lift(world: World, held: Hold) -> None:
    match held.reason:
        case Waiting.KEY_BUSY:
            world.is_key_busy = False
        case Waiting.BUDGET:
            world.spent.clear()
        case Waiting.RATE_LIMITED:
            world.starts.clear()
        case _:
            del world.guards[held.by]


def test_a_fallback_that_is_out_of_order_is_passed_over() -> None:
    world = World()
    names = ("paused", "suppressed", "open", "probed", "spent", "healthy")
    world.put(
        guard(SUPPRESSED.format("claude"), "suppressed", NOW + 1000),
        guard("pause/agent:paused", "paused"),
        guard(SUPPRESSED.format("suppressed"), "suppressed", NOW + 1000),
        guard("circuit/agent:open", "open", NOW - 1),
        guard("circuit/agent:probed", "half_open", probe="gone"),
    )
    world.spent[SpendingId(scope="agent:spent@acme/till#7")] = Spent(usd=1.0)
    agents = [an_agent(each) for each in names]
    agents[4] = replace(agents[4], budgets=Budgets(usd_per_subject=1.0))
    policy = a_policy(*agents)
    assert world.judge(a_task(fallbacks=names), policy) == Switch(
        agent="healthy", reason="suppressed"
    )
    decision = world.judge(a_task(fallbacks=names[:-1]), policy)
    assert reason_of(decision) is Waiting.SUPPRESSED


def test_only_what_the_task_has_left_to_try_takes_over() -> None:
    world = World()
    world.put(guard(SUPPRESSED.format("codex"), "suppressed", NOW + 1000))
    policy = a_policy(an_agent("claude"), agent=CODEX)
    assert reason_of(world.judge(a_task(agent="codex"), policy)) is Waiting.SUPPRESSED
    unknown = a_task(agent="codex", fallbacks=("nobody",))
    assert reason_of(world.judge(unknown, policy)) is Waiting.SUPPRESSED


def test_what_no_agent_can_do_now_waits_until_the_first_of_them_may() -> None:
    world = World()
    world.put(
        guard(SUPPRESSED.format("claude"), "suppressed", NOW + 9000),
        guard("circuit/agent:codex", "open", NOW + 4000),
    )
    held = world.judge(a_task(fallbacks=("codex",)), a_policy(CODEX))
    assert isinstance(held, Hold)
    assert (held.by, held.until) == (SUPPRESSED.format("claude"), NOW + 4000)
    assert held.scope == Scope(rule="review", agent="claude", repository_key="17")


def test_a_paused_agent_is_not_replaced() -> None:
    world = World()
    world.put(guard("pause/agent:claude", "paused"))
    held = world.judge(a_task(fallbacks=("codex",)), a_policy(CODEX))
    assert reason_of(held) is Waiting.PAUSED


def test_every_safeguard_is_asked_for_once() -> None:
    candidate = Candidate(task=a_task(fallbacks=("codex",)), policy=a_policy(CODEX))
    asked = questions(candidate, Terms(concurrency=1, host=HOST), NOW)
    assert asked.guards == (
        "drain/all",
        "pause/all",
        "pause/rule:review",
        "pause/agent:claude",
        "pause/repository:acme/till",
        "loop/acme/till#7",
        SUPPRESSED.format("claude"),
        "circuit/agent:claude",
        "pause/agent:codex",
        SUPPRESSED.format("codex"),
        "circuit/agent:codex",
        f"circuit/host:{HOST}",
    )
    assert (asked.rates, asked.spending) == ((), ())


@pytest.mark.parametrize(
    "policy", [a_policy(), a_policy(CODEX), a_policy(budgets=Budgets(usd_per_attempt=1.0))]
)
@pytest.mark.parametrize("changes", [{"repository": None}, {"actor": None}, {}])
def test_what_is_held_uses_up_no_allowance(policy: Policy, changes: dict[str, Any]) -> None:
    world = guarded(rate=(Rate(per=("rule",), max_count=1, window_s=60),))
    world.put(guard("pause/all", "paused"))
    for _ in range(3):
        assert isinstance(world.claim(a_task(**changes), policy), Hold)
    world.guards.clear()
    assert isinstance(world.claim(a_task(**changes), policy), Pass)
