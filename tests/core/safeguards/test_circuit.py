"""Circuits: open after failures of the service or host alone, tried by one task, closed by its
success.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covend.core.bounds import Circuit
from covend.core.ending import Ending, Result
from covend.core.model import TaskId
from covend.core.presets.stream import Failure
from covend.core.safeguards.shapes import (
    EVERYTHING,
    RECHECK_MS,
    Hold,
    Lesson,
    Pass,
    Release,
    Scope,
    Switch,
    Waiting,
)
from covend.core.settings import Checkout
from covend.core.states import Outcome
from tests.core.safeguards.samples import (
    HOST,
    HOUR_MS,
    NOW,
    World,
    a_policy,
    a_task,
    an_agent,
    failure,
    guard,
    guarded,
    success,
)

AGENT = "circuit/agent:claude"
FORGE = f"circuit/host:{HOST}"
OVERLOADED = failure(Failure.OVERLOADED, retryable=True)
UNREACHABLE = failure("github_unreachable")
OPEN_MS = 60_000


def wired(failures: int = 3) -> World:
    return guarded(circuit=Circuit(failures=failures, window_s=300, open_s=60))


def opened(ending: Ending = OVERLOADED) -> World:
    """A circuit that has just opened."""
    world = wired()
    for _ in range(3):
        world.end(a_task(), ending)
    return world


def probed(ending: Ending = OVERLOADED) -> World:
    """A circuit that t1 is the probe of."""
    world = opened(ending)
    world.now += OPEN_MS
    assert isinstance(world.claim(a_task("t1")), Pass)
    return world


@pytest.mark.parametrize(
    ("ending", "safeguard", "scope"),
    [
        (OVERLOADED, AGENT, Scope(rule="review", agent="claude")),
        (UNREACHABLE, FORGE, Scope(rule="review", repository_key="17")),
    ],
)
def test_failures_within_the_window_open_it(ending: Ending, safeguard: str, scope: Scope) -> None:
    world = wired()
    lessons = [world.end(a_task(), ending) for _ in range(3)]
    assert [each.trips for each in lessons] == [(), (), (safeguard,)]
    held = world.judge(a_task())
    assert isinstance(held, Hold)
    assert (held.reason, held.until, held.by) == (Waiting.CIRCUIT_OPEN, NOW + OPEN_MS, safeguard)
    assert held.scope == scope


@pytest.mark.parametrize(
    "code",
    [
        Failure.RATE_LIMITED,
        Failure.OVERLOADED,
        Failure.API_ERROR,
        Failure.NETWORK,
        Failure.AUTHENTICATION,
    ],
)
def test_an_agents_circuit_counts_what_its_service_did(code: str) -> None:
    world = wired(failures=1)
    assert world.end(a_task(), failure(code)).trips == (AGENT,)


@pytest.mark.parametrize("code", ["github_unreachable", "github_bad_answer", "git_unreachable"])
def test_a_hosts_circuit_counts_what_did_not_reach_it(code: str) -> None:
    world = wired(failures=1)
    assert world.end(a_task(), failure(code)).trips == (FORGE,)


@pytest.mark.parametrize(
    "ending",
    [
        failure("exit_code"),
        failure("agent_error"),
        failure("invalid_result"),
        failure("git"),
        failure("github_permission"),
        failure("github_rate_limited"),
        failure("store_busy"),
        failure(Failure.MAX_TURNS),
        failure("timed_out", outcome=Outcome.TIMED_OUT),
        failure("lost", outcome=Outcome.LOST),
        failure("cancelled", outcome=Outcome.CANCELLED),
        success(),
    ],
)
def test_nothing_else_counts(ending: Ending) -> None:
    world = wired(failures=1)
    world.end(a_task(), ending)
    assert not {AGENT, FORGE} & set(world.guards)


def test_failures_further_apart_than_the_window_do_not_add_up() -> None:
    world = wired()
    for _ in range(5):
        assert world.end(a_task(), OVERLOADED).trips == ()
        world.now += 150_000


def test_the_first_candidate_after_the_open_time_is_the_probe_and_all_others_wait() -> None:
    world = opened()
    world.now += OPEN_MS
    decision = world.claim(a_task("t1"))
    assert isinstance(decision, Pass)
    (written,) = decision.writes
    assert (written.id, written.state, written.until) == (AGENT, "half_open", None)
    assert written.values["probe"] == "t1"
    held = world.judge(a_task("t2"))
    assert isinstance(held, Hold)
    assert (held.reason, held.until) == (Waiting.CIRCUIT_OPEN, world.now + RECHECK_MS)


def test_a_task_that_another_gate_holds_is_no_probe() -> None:
    world = opened()
    world.now += OPEN_MS
    world.put(guard("pause/all", "paused"))
    held = world.judge(a_task())
    assert isinstance(held, Hold)
    assert held.writes == ()
    assert world.guards[AGENT].state == "open"


@pytest.mark.parametrize(
    ("ending", "safeguard", "scope"),
    [(OVERLOADED, AGENT, Scope(agent="claude")), (UNREACHABLE, FORGE, EVERYTHING)],
)
def test_the_success_of_the_probe_closes_and_releases(
    ending: Ending, safeguard: str, scope: Scope
) -> None:
    world = probed(ending)
    lesson = world.complete(a_task("t1"))
    assert lesson.removes == (safeguard,)
    assert lesson.releases == (Release(reason=Waiting.CIRCUIT_OPEN, scope=scope),)
    assert isinstance(world.judge(a_task("t2")), Pass)


@pytest.mark.parametrize(("ending", "safeguard"), [(OVERLOADED, AGENT), (UNREACHABLE, FORGE)])
def test_the_failure_of_the_probe_opens_again(ending: Ending, safeguard: str) -> None:
    world = probed(ending)
    lesson = world.end(a_task("t1"), ending)
    assert lesson.trips == (safeguard,)
    held = world.judge(a_task("t2"))
    assert isinstance(held, Hold)
    assert held.until == world.now + OPEN_MS


def test_a_probe_without_a_word_lets_the_next_one_probe_at_once() -> None:
    world = probed()
    cancelled = Ending(outcome=Outcome.CANCELLED, result=Result(), error_code="cancelled")
    lesson = world.end(a_task("t1"), cancelled)
    released = Release(reason=Waiting.CIRCUIT_OPEN, scope=Scope(agent="claude"))
    assert lesson == Lesson(releases=(released,))
    assert isinstance(world.claim(a_task("t2")), Pass)
    assert world.guards[AGENT].values["probe"] == "t2"
    assert isinstance(world.judge(a_task("t3")), Hold)


def test_a_probe_that_vanished_does_not_hold_for_ever() -> None:
    world = probed()
    world.running.clear()
    assert isinstance(world.claim(a_task("t2")), Pass)


def test_a_probe_that_is_tried_again_is_the_probe_again() -> None:
    world = probed()
    world.running.discard(TaskId("t1"))
    assert isinstance(world.claim(a_task("t1")), Pass)
    assert isinstance(world.judge(a_task("t2")), Hold)


@pytest.mark.parametrize("ending", [success(), OVERLOADED])
def test_what_was_under_way_before_it_opened_says_nothing(ending: Ending) -> None:
    world = opened()
    assert world.end(a_task("t9"), ending) == Lesson()
    world = probed()
    assert world.end(a_task("t9"), ending) == Lesson()


@pytest.mark.parametrize(
    ("code", "has_closed"),
    [
        ("agent_error", True),
        ("invalid_result", True),
        (Failure.MAX_TURNS, True),
        ("exit_code", False),
        ("git_refused", False),
    ],
)
def test_a_probe_that_failed_after_an_answer_closes_all_the_same(
    code: str, has_closed: bool
) -> None:
    world = probed()
    world.end(a_task("t1"), failure(code))
    assert (AGENT not in world.guards) is has_closed


@pytest.mark.parametrize(
    ("ending", "has_closed"),
    [
        (failure("exit_code"), True),
        (failure("agent_not_found"), True),
        (OVERLOADED, True),
        (failure("timed_out", outcome=Outcome.TIMED_OUT), True),
        (failure("github_permission"), False),
        (failure("agent_shortage"), False),
        (failure("lost", outcome=Outcome.LOST), False),
    ],
)
def test_whoever_got_past_the_checkout_proves_the_host(ending: Ending, has_closed: bool) -> None:
    world = probed(UNREACHABLE)
    world.end(a_task("t1"), ending)
    assert (FORGE not in world.guards) is has_closed


def test_work_that_asks_the_host_for_nothing_passes_and_proves_nothing() -> None:
    world = opened(UNREACHABLE)
    policy = a_policy(checkout=Checkout.NONE)
    assert world.judge(a_task(), policy) == Pass()
    assert isinstance(world.judge(a_task(repository=None, repository_key="-")), Pass)
    world.now += OPEN_MS
    world.put(guard(FORGE, "half_open", probe="t1"))
    assert world.end(a_task("t1"), success(), policy=policy).removes == ()


def test_a_success_forgets_failures_that_are_too_old_and_no_others() -> None:
    world = wired()
    world.end(a_task(), OVERLOADED)
    assert AGENT not in world.complete(a_task()).removes
    world.now += 300_000
    assert world.complete(a_task()).removes == (AGENT,)


def test_an_open_circuit_gives_the_task_to_the_first_healthy_fallback() -> None:
    world = opened()
    world.put(guard("circuit/agent:codex", "open", NOW + 5000))
    policy = a_policy(an_agent("codex"), an_agent("coven"))
    task = a_task(fallbacks=("codex", "coven"))
    assert world.judge(task, policy) == Switch(agent="coven", reason="circuit_open")


@given(
    until=st.integers(NOW - 2 * HOUR_MS, NOW + 2 * HOUR_MS) | st.none(),
    state=st.sampled_from(["closed", "open", "half_open", "melted"]),
    probe=st.none() | st.just("t1") | st.integers(),
)
def test_no_row_holds_longer_than_its_window_or_a_recheck(
    until: int | None, state: str, probe: object
) -> None:
    world = wired()
    world.running.add(TaskId("t1"))
    world.put(guard(AGENT, state, until, probe=probe, failures=[NOW + HOUR_MS]))
    decision = world.judge(a_task("t2"))
    if isinstance(decision, Hold):
        assert NOW < decision.until <= NOW + max(OPEN_MS, RECHECK_MS)
        world.put(*decision.writes)
        world.running.clear()
        world.now = decision.until
        assert isinstance(world.judge(a_task("t2")), Pass)
    world.end(a_task("t1"), OVERLOADED)
    world.end(a_task("t1"), success())
