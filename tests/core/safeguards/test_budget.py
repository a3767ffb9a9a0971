"""Budgets: what is spent holds, until midnight or until somebody resets it; what is left bounds an
attempt.
"""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covend.core.bounds import Budgets
from covend.core.model import Subject
from covend.core.safeguards.budget import UNBOUND_TOKENS
from covend.core.safeguards.shapes import (
    EVERYTHING,
    FOREVER,
    Hold,
    Pass,
    Scope,
    SpendingId,
    Spent,
    Terms,
    Waiting,
)
from covend.core.safeguards.spending import (
    DAY_MS,
    day_of,
    everything,
    forgiven_by,
    ids_at,
    next_day_at,
    safeguard_of,
)
from tests.core.safeguards.samples import NOW, World, a_policy, a_task, an_agent

TODAY = NOW // DAY_MS
MIDNIGHT = (TODAY + 1) * DAY_MS
ALL = SpendingId(scope="all", day=TODAY)
REPOSITORY = SpendingId(scope="repository:acme/till", day=TODAY)
RULE = SpendingId(scope="rule:review@acme/till#7")
AGENT = SpendingId(scope="agent:claude@acme/till#7")


def bounded(**terms: Any) -> World:
    return World(terms=Terms(concurrency=4, **terms))


def test_the_cost_of_an_attempt_counts_for_the_day_the_repository_and_its_subject() -> None:
    assert ids_at(a_task(), NOW) == (ALL, REPOSITORY, RULE, AGENT)


def test_what_has_no_subject_or_no_repository_spends_of_what_it_has() -> None:
    assert ids_at(a_task(subject=Subject()), NOW) == (ALL, REPOSITORY)
    assert ids_at(a_task(repository=None), NOW) == (ALL,)


def test_a_day_is_one_of_the_calendar_in_utc() -> None:
    assert everything(MIDNIGHT - 1) != everything(MIDNIGHT)
    assert next_day_at(NOW) == next_day_at(MIDNIGHT - 1) == MIDNIGHT
    assert next_day_at(MIDNIGHT) == MIDNIGHT + DAY_MS


@pytest.mark.parametrize("of", [ALL, REPOSITORY, RULE, AGENT])
def test_a_reset_forgives_what_the_safeguard_shows(of: SpendingId) -> None:
    assert forgiven_by(safeguard_of(of), NOW) == of


def test_a_reset_of_another_safeguard_forgives_nothing() -> None:
    assert forgiven_by("loop/acme/till#7", NOW) is None


@pytest.mark.parametrize(
    ("bound", "of", "spent", "scope"),
    [
        ({"usd_per_day": 5.0}, ALL, Spent(usd=5.0), EVERYTHING),
        ({"tokens_per_day": 100}, ALL, Spent(tokens=100), EVERYTHING),
        (
            {"usd_per_repository_per_day": 5.0},
            REPOSITORY,
            Spent(usd=5.1),
            Scope(repository_key="17"),
        ),
        (
            {"tokens_per_repository_per_day": 100},
            REPOSITORY,
            Spent(tokens=101),
            Scope(repository_key="17"),
        ),
    ],
)
def test_a_spent_day_holds_until_midnight(
    bound: dict[str, Any], of: SpendingId, spent: Spent, scope: Scope
) -> None:
    world = bounded(**bound)
    world.spent[of] = spent
    held = world.judge(a_task())
    assert isinstance(held, Hold)
    assert (held.reason, held.until, held.scope) == (Waiting.BUDGET, MIDNIGHT, scope)
    assert held.by == safeguard_of(of)
    world.now = MIDNIGHT
    assert isinstance(world.judge(a_task()), Pass)


@pytest.mark.parametrize(
    ("of", "budgets", "spent"),
    [
        (RULE, Budgets(usd_per_subject=1.0), Spent(usd=1.0)),
        (RULE, Budgets(tokens_per_subject=10), Spent(tokens=10)),
        (AGENT, Budgets(usd_per_subject=1.0), Spent(usd=1.0)),
        (AGENT, Budgets(tokens_per_subject=10), Spent(tokens=12)),
    ],
)
def test_a_spent_subject_holds_this_work_until_somebody_resets_it(
    of: SpendingId, budgets: Budgets, spent: Spent
) -> None:
    world, task = bounded(), a_task()
    policy = a_policy(budgets=budgets) if of is RULE else a_policy(agent=an_agent(budgets=budgets))
    assert isinstance(world.judge(task, policy), Pass)
    world.spent[of] = spent
    held = world.judge(task, policy)
    assert isinstance(held, Hold)
    agent = task.agent if of is AGENT else None  # a later try of the same work may be another's
    scope = Scope(key=task.key, agent=agent)
    assert (held.until, held.scope, held.by) == (FOREVER, scope, safeguard_of(of))
    assert isinstance(world.judge(a_task(subject=Subject(number=8)), policy), Pass)
    forgiven = forgiven_by(held.by, NOW)
    assert forgiven is not None
    del world.spent[forgiven]
    assert isinstance(world.judge(task, policy), Pass)


def test_work_that_was_given_more_goes_on_where_other_work_is_held() -> None:
    world = bounded()
    world.spent[RULE] = Spent(usd=2.0)
    poor, rich = (a_policy(budgets=Budgets(usd_per_subject=each)) for each in (1.0, 5.0))
    assert isinstance(world.judge(a_task("t1"), poor), Hold)
    assert isinstance(world.judge(a_task("t2"), rich), Pass)


def test_what_is_spent_is_shown_with_its_bound() -> None:
    world = bounded(usd_per_day=5.0)
    world.spent[ALL] = Spent(usd=5.25, tokens=90)
    held = world.judge(a_task())
    assert isinstance(held, Hold)
    (shown,) = held.writes
    assert (shown.id, shown.state, shown.until) == ("budget/all", "holding", MIDNIGHT)
    assert shown.reason == "5.25 of 5.00 USD are spent today"
    assert shown.values == {"usd": 5.25, "tokens": 90, "usd_max": 5.0}


def test_a_budget_that_only_an_operator_gives_anew_is_shown_without_a_moment() -> None:
    world = bounded()
    world.spent[RULE] = Spent(tokens=12)
    held = world.judge(a_task(), a_policy(budgets=Budgets(tokens_per_subject=10)))
    assert isinstance(held, Hold)
    (shown,) = held.writes
    assert shown.until is None
    assert shown.reason == "12 of 10 tokens are spent"


def test_of_several_spent_budgets_the_one_that_lasts_longest_holds() -> None:
    world = bounded(usd_per_day=5.0)
    world.spent = {ALL: Spent(usd=9.0), RULE: Spent(usd=9.0)}
    held = world.judge(a_task(), a_policy(budgets=Budgets(usd_per_subject=1.0)))
    assert isinstance(held, Hold)
    assert held.until == FOREVER


def test_without_a_bound_nothing_is_asked_and_an_attempt_is_not_bounded() -> None:
    world = bounded()
    world.spent[ALL] = Spent(usd=1e6)
    assert world.judge(a_task()) == Pass()


def test_an_attempt_may_spend_the_least_of_its_own_bounds_and_of_what_is_left() -> None:
    world = bounded(usd_per_day=10.0, tokens_per_repository_per_day=1000)
    rule = Budgets(usd_per_attempt=3.0, tokens_per_attempt=900)
    policy = a_policy(budgets=rule, agent=an_agent(budgets=Budgets(usd_per_attempt=2.5)))
    assert world.judge(a_task(), policy) == Pass(budget=Spent(usd=2.5, tokens=900))
    world.spent = {ALL: Spent(usd=8.0), REPOSITORY: Spent(tokens=400)}
    assert world.judge(a_task(), policy) == Pass(budget=Spent(usd=2.0, tokens=600))


def test_a_bound_that_is_not_set_is_infinite() -> None:
    spent = {ALL: Spent(usd=1.0, tokens=5)}
    dollars, tokens = bounded(usd_per_day=4.0), bounded(tokens_per_day=50)
    dollars.spent, tokens.spent = spent, dict(spent)
    assert dollars.judge(a_task()) == Pass(budget=Spent(usd=3.0, tokens=UNBOUND_TOKENS))
    assert tokens.judge(a_task()) == Pass(budget=Spent(usd=inf, tokens=45))


AMOUNTS = st.floats(0, 1000) | st.none()
COUNTS = st.integers(0, 10**9) | st.none()
SPENT = st.builds(Spent, usd=st.floats(0, 2000), tokens=st.integers(0, 10**10))


@given(
    usd=AMOUNTS,
    tokens=COUNTS,
    budgets=st.builds(
        Budgets,
        usd_per_attempt=AMOUNTS,
        usd_per_subject=AMOUNTS,
        tokens_per_attempt=COUNTS,
        tokens_per_subject=COUNTS,
    ),
    spent=st.tuples(SPENT, SPENT, SPENT),
)
def test_what_passes_never_may_spend_more_than_is_left(
    usd: float | None, tokens: int | None, budgets: Budgets, spent: tuple[Spent, Spent, Spent]
) -> None:
    world = bounded(usd_per_day=usd, tokens_per_day=tokens)
    world.spent = dict(zip((ALL, RULE, AGENT), spent, strict=True))
    agent = an_agent(budgets=replace(budgets, usd_per_attempt=None))
    decision = world.judge(a_task(), a_policy(budgets=budgets, agent=agent))
    bounds = (
        (usd, spent[0].usd),
        (budgets.usd_per_subject, spent[1].usd),
        (budgets.usd_per_subject, spent[2].usd),
        (tokens, spent[0].tokens),
        (budgets.tokens_per_subject, spent[1].tokens),
        (budgets.tokens_per_subject, spent[2].tokens),
    )
    is_over = any(bound is not None and so_far >= bound for bound, so_far in bounds)
    assert isinstance(decision, Hold) is is_over
    if isinstance(decision, Pass) and decision.budget is not None:
        may = decision.budget
        assert 0 <= may.usd <= (inf if usd is None else usd - spent[0].usd)
        assert 0 <= may.tokens <= UNBOUND_TOKENS


@given(st.integers(0, 10**13))
def test_the_next_midnight_is_ahead_and_begins_the_next_day(now: int) -> None:
    assert now < next_day_at(now) <= now + DAY_MS
    assert day_of(next_day_at(now)) == day_of(now) + 1
