"""What an attempt that has not succeeded leads to: the same agent, a fresh start, another agent, a
later moment, or nothing, because another head has taken its place.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from covend.core.bounds import Retry, Safeguards
from covend.core.errors import GitError
from covend.core.model import EffectKind, Mode, Usage
from covend.core.policy import policy_of
from covend.core.settings import Agent, Checkout, Rule
from covend.core.states import Outcome, TaskState
from covend.demo.github import Fault
from covend.services import preparing
from covend.services.endings import lost
from covend.store.protocol import TaskStory
from tests.services.house import CHECK, REVIEW, House, a_rule, an_agent
from tests.services.tools import a_tool, calls, install, tell
from tests.services.writing import writing

ON = ("pull_request.opened", "pull_request.synchronize")


async def adopt(house: House, rule: Rule, agent: Agent, *fallbacks: Agent) -> None:
    """Route by a rule whose agent has others to fall back to."""
    policy = house.policies[rule.name] = policy_of(rule, agent, fallbacks)
    await house.deliveries.save_policy(policy, house.clock.now())


async def again(house: House, story: TaskStory) -> TaskStory:
    """Turn the clock to the task's next attempt, and run it."""
    house.clock.turn(s=max(0, story.task.not_before_at - house.clock.now()) / 1000)
    return await house.run(await house.claim())


def outcomes(story: TaskStory) -> list[Outcome | None]:
    return [attempt.outcome for attempt in story.attempts]


def begun(story: TaskStory) -> int:
    """How often its check was put in progress."""
    bodies = [each.request["body"] for each in story.effects if each.kind is CHECK]
    return [body.get("status") for body in bodies].count("in_progress")


# --- what is shown of the beginning ---------------------------------------------------------------


async def test_the_check_of_a_new_generation_is_in_progress_again(house: House) -> None:
    """It went on to say that the work had failed."""
    await house.adopt(a_rule(), an_agent("test $COVEND_ATTEMPT = 2 || exit 3"))
    story = await house.attempt()
    assert (story.task.state, begun(story)) == (TaskState.FAILED, 1)
    await house.publish()
    await house.tasks.retry(story.task.id, reason="operator", now=house.clock.now())
    claim = await house.claim()
    story = await house.run(claim)
    assert (story.task.state, begun(story)) == (TaskState.COMPLETED, 2)
    await house.publish()
    (run,) = house.github.state.check_runs
    assert run.conclusion == "success"


async def test_a_beginning_that_was_never_shown_is_shown_by_the_next_attempt(house: House) -> None:
    """The daemon was killed between the claim and it."""
    await house.adopt(a_rule(), an_agent())
    claim = await house.claimed()
    (running,) = await house.tasks.running()
    await house.giving_back().give_back(*running, lost("killed"))
    house.clock.turn(s=60)
    story = await house.run(await house.claim())
    assert (story.task.id, begun(story)) == (claim.task.id, 1)


@pytest.mark.parametrize("script", ["exit 75", "exit 3"])
async def test_neither_a_retry_nor_another_agent_shows_a_beginning_again(
    house: House, script: str
) -> None:
    await adopt(house, a_rule(), an_agent(script), an_agent(name="other"))
    story = await again(house, await house.attempt())
    assert len(story.attempts) == 2
    assert begun(story) == 1


# --- another agent --------------------------------------------------------------------------------


async def test_an_agent_that_fails_is_followed_by_the_next_with_its_own_settings(
    house: House,
) -> None:
    other = an_agent(writing(summary="Mine."), name="other", exit_codes={}, timeout_s=7.0)
    await adopt(house, a_rule(), an_agent("exit 3"), other)
    first = await house.attempt()
    assert (first.task.state, first.task.reason) == (TaskState.QUEUED, "fallback")
    story = await again(house, first)
    assert (story.task.state, story.task.summary) == (TaskState.COMPLETED, "Mine.")
    assert [attempt.agent for attempt in story.attempts] == ["sh", "other"]
    (metric,) = house.metrics.fallbacks.collect()
    (counted,) = metric.samples
    assert counted.labels == {"from": "sh", "to": "other", "reason": "agent"}


async def test_each_agent_has_its_own_tries_and_the_last_one_has_no_other(house: House) -> None:
    twice = Retry(attempts=2, base_s=1.0)
    agents = [an_agent("exit 75", name=name, retry=twice) for name in ("sh", "other")]
    await adopt(house, a_rule(), *agents)
    story = await house.attempt()
    while story.task.state is TaskState.QUEUED:
        story = await again(house, story)
    assert [attempt.agent for attempt in story.attempts] == ["sh", "sh", "other", "other"]
    assert story.task.reason == "try_again: exhausted"


async def test_what_is_no_agents_fault_changes_no_agent(house: House) -> None:
    once = Retry(attempts=1)
    rule = a_rule(checkout=Checkout.HEAD)
    await adopt(house, rule, an_agent(retry=once), an_agent(name="other"))
    house.github.faults.add("*", "*/acme/till.git/*", "error_500", 1_000)
    story = await house.attempt()
    assert (story.task.state, story.task.reason) == (TaskState.FAILED, "git_unreachable: exhausted")


async def test_a_task_that_is_too_old_fails(house: House) -> None:
    aged = Retry(attempts=100, base_s=1.0, age_s=3_600)
    await house.adopt(a_rule(), an_agent("exit 75", retry=aged))
    story = await house.attempt()
    assert story.task.retry_until_at == story.task.created_at + 3_600_000
    house.clock.turn(s=3_600)
    story = await house.run(await house.claim())
    assert (story.task.state, story.task.reason) == (TaskState.FAILED, "try_again: too_old")


async def test_the_age_of_a_task_is_counted_by_its_first_failure_for_all_its_agents(
    house: House,
) -> None:
    retry = Retry(attempts=100, base_s=1.0, age_s=3_600)
    other = an_agent("exit 75", name="other", retry=replace(retry, age_s=60))
    await adopt(house, a_rule(), an_agent("exit 3", retry=retry), other)
    first = await house.attempt()
    house.clock.turn(s=600)
    story = await house.run(await house.claim())
    assert (story.task.state, story.task.agent) == (TaskState.QUEUED, "other")
    assert story.task.retry_until_at == first.task.retry_until_at


async def test_an_operators_retry_of_an_old_task_begins_its_age_anew(house: House) -> None:
    """It failed at once by its age, whatever it could have come to."""
    aged = Retry(attempts=3, base_s=1.0, age_s=3_600)
    await house.adopt(a_rule(), an_agent("exit 75", retry=aged))
    story = await house.attempt()
    while story.task.state is TaskState.QUEUED:
        story = await again(house, story)
    house.clock.turn(s=100_000)
    asked_at = house.clock.now()
    await house.tasks.retry(story.task.id, reason="operator", now=asked_at)
    for _ in range(2):
        story = await house.run(await house.claim())
        assert (story.task.state, story.task.reason) == (TaskState.QUEUED, "retry")
        assert story.task.retry_until_at == asked_at + 3_600_000
        house.clock.turn(s=60)


async def test_how_long_a_task_waited_before_it_was_tried_does_not_age_it(house: House) -> None:
    """For an approval, under a pause or a spent budget: its first failure would be its last."""
    aged = Retry(attempts=3, base_s=1.0, age_s=3_600)
    await house.adopt(a_rule(), an_agent("exit 75", retry=aged))
    await house.queued()
    house.clock.turn(s=100_000)
    story = await house.run(await house.claim())
    assert (story.task.state, story.task.reason) == (TaskState.QUEUED, "retry")
    assert story.task.retry_until_at == house.clock.now() + 3_600_000


# --- a fresh start --------------------------------------------------------------------------------


async def test_a_session_that_was_gone_on_with_and_failed_is_left_for_a_fresh_start(
    house: House,
) -> None:
    await install(house)
    rule = a_rule(on=ON, agent="claude", publish=())
    await house.adopt(rule, a_tool(retry=Retry(attempts=1)))
    first = await house.attempt(event="pull_request.synchronize")
    house.till.git.push(7, {"README.md": "More.\n"}, "One more")
    tell(house, "exit 1")
    story = await house.run(await house.claimed(event="pull_request.synchronize"))
    assert story.attempts[0].resumes == first.attempts[0].session
    assert (story.task.state, story.task.reason) == (TaskState.QUEUED, "afresh")
    assert story.task.not_before_at <= house.clock.now()
    story = await house.run(await house.claim())
    (call,) = calls(house, story, 2)
    assert (call.resumed, call.previous) == (None, {"session": None, "result": None})
    assert [attempt.mode for attempt in story.attempts] == [Mode.RESUME, Mode.FRESH]
    assert story.task.state is TaskState.COMPLETED


# --- at a later moment ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "checkout"), [("*/pulls/7", Checkout.NONE), ("/repos/acme/till", Checkout.HEAD)]
)
async def test_a_limit_of_the_forge_defers_and_counts_no_failure(
    house: House, path: str, checkout: Checkout
) -> None:
    """It used up a try, and came back while the limit still held."""
    await house.adopt(a_rule(checkout=checkout), an_agent(retry=Retry(attempts=1)))
    claim = await house.claimed()
    house.github.faults.add("GET", path, Fault.RATE_LIMITED_429, seconds=600)
    story = await house.run(claim)
    task = story.task
    assert (task.state, task.reason) == (TaskState.QUEUED, "rate_limited")
    assert task.not_before_at == house.clock.now() + 600_000
    assert (task.failures, task.infrastructure_failures) == (0, 0)
    assert story.attempts[0].error_code == "github_rate_limited"
    story = await again(house, story)
    assert (story.task.state, begun(story)) == (TaskState.COMPLETED, 1)


async def test_a_limit_at_the_end_throws_no_answer_away(house: House) -> None:
    await house.adopt(a_rule(supersede=False), an_agent(writing(summary="Fine.")))
    claim = await house.claimed()
    house.github.faults.add("GET", "*/pulls/7", Fault.RATE_LIMITED_429, seconds=600)
    story = await house.run(claim)
    assert (story.task.state, story.task.summary) == (TaskState.COMPLETED, "Fine.")


# --- another head ---------------------------------------------------------------------------------


async def test_on_a_head_that_has_moved_already_no_agent_is_started(house: House) -> None:
    await house.adopt(a_rule(checkout=Checkout.HEAD), an_agent(f"touch {house.folder}/ran"))
    claim = await house.claimed()
    house.till.git.push(7, {"README.md": "Pushed meanwhile.\n"}, "One more")
    story = await house.run(claim)
    assert not (house.folder / "ran").exists()
    assert (story.task.state, outcomes(story)) == (TaskState.SUPERSEDED, [Outcome.SUPERSEDED])
    await house.publish()
    (run,) = house.github.state.check_runs
    assert run.conclusion == "neutral"


@pytest.mark.parametrize("rule", [{"supersede": False}, {"on": ("command.review",), "allow": None}])
async def test_who_does_not_follow_heads_is_not_asked_about_them_before(
    house: House, rule: dict[str, Any]
) -> None:
    """What somebody has asked for by a comment is theirs."""
    await house.adopt(a_rule(publish=(), **rule), an_agent(f"touch {house.folder}/ran"))
    event = "issue_comment.created" if "on" in rule else "pull_request.opened"
    claim = await house.claimed(event=event)
    house.till.git.push(7, {"README.md": "Pushed meanwhile.\n"}, "One more")
    story = await house.run(claim)
    assert (house.folder / "ran").exists()
    assert story.task.state is TaskState.COMPLETED


@pytest.mark.parametrize(
    ("wish", "state", "check"),
    [
        ("superseded_by = 'a newer one'", TaskState.SUPERSEDED, "neutral"),
        ("cancel_requested_at = 1, cancel_reason = 'closed'", TaskState.CANCELLED, "cancelled"),
    ],
)
@pytest.mark.parametrize("script", [writing(summary="Old."), "exit 75", "exit 3"])
async def test_no_late_end_passes_a_wish_that_is_on_disk(
    house: House, wish: str, state: TaskState, check: str, script: str
) -> None:
    await house.adopt(a_rule(publish=(CHECK, REVIEW)), an_agent(script))
    claim = await house.claimed()
    house.meddle(f"UPDATE tasks SET {wish}")
    story = await house.run(claim)
    assert story.task.state is state
    assert story.task.summary is None
    await house.publish()
    (run,) = house.github.state.check_runs
    assert run.conclusion == check
    assert house.github.state.reviews == []


# --- what it has cost -----------------------------------------------------------------------------

USED = {"input_tokens": 5, "output_tokens": 6, "cost_usd": 0.5}


def spending(house: House) -> dict[str, tuple[float, int]]:
    rows = house.ask("SELECT scope, usd, tokens FROM spending")
    return {scope: (usd, tokens) for scope, usd, tokens in rows}


async def test_an_agent_whose_commits_cannot_be_taken_out_has_cost_all_the_same(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object) -> None:
        raise GitError("no room")

    monkeypatch.setattr(preparing, "take_commits", refuse)
    rule = a_rule(checkout=Checkout.HEAD, publish=(CHECK, EffectKind.PULL_REQUEST))
    await house.adopt(rule, an_agent(writing(usage=USED), retry=Retry(attempts=1)))
    story = await house.attempt()
    assert story.task.state is TaskState.FAILED
    assert story.attempts[0].usage == Usage(**USED)  # type: ignore[arg-type]
    assert set(spending(house).values()) == {(0.5, 11)}


async def test_an_agent_that_is_over_its_time_has_cost_what_it_says(house: House) -> None:
    script = f"{writing(usage=USED)}; exec sleep 1000"
    await house.adopt(a_rule(), an_agent(script, timeout_s=0.5, retry=Retry(attempts=1)))
    story = await house.attempt()
    assert outcomes(story) == [Outcome.TIMED_OUT]
    assert story.attempts[0].usage == Usage(**USED)  # type: ignore[arg-type]


async def test_a_run_that_could_not_resume_is_paid_for_too(house: House) -> None:
    """Only the one that began afresh was."""
    resumes = writing(usage=USED, error={"code": "gone", "message": "no such session"})
    begins = writing(usage=USED, session="s-1")
    script = f'if test "$1"; then {resumes}; exit 3; fi; {begins}'
    rule = a_rule(on=ON, publish=())
    await house.adopt(rule, an_agent(command=("sh", "-c", script, "sh", "{session}")))
    await house.attempt(event="pull_request.synchronize")
    house.till.git.push(7, {"README.md": "More.\n"}, "One more")
    story = await house.run(await house.claimed(event="pull_request.synchronize"))
    (attempt,) = story.attempts
    assert (attempt.outcome, attempt.resumes) == (Outcome.SUCCEEDED, "s-1")
    assert attempt.usage == Usage(input_tokens=10, output_tokens=12, cost_usd=1.0)


# --- what safeguards learn ------------------------------------------------------------------------


async def test_what_trips_by_an_end_is_counted_and_holds(house: House) -> None:
    house.terms = replace(house.terms, safeguards=Safeguards())
    await house.adopt(a_rule(), an_agent("exit 3", retry=Retry(attempts=1)))
    for _ in range(3):
        story = await house.attempt(number=house.open_pull().number)
        assert story.task.state is TaskState.FAILED
    (metric,) = house.metrics.safeguard_trips.collect()
    assert {each.labels["safeguard"]: each.value for each in metric.samples} == {"crash_loop": 1}
    waiting = await house.queued(number=house.open_pull().number)
    taken = await house.look()
    assert taken.claim is None
    assert (await house.story(waiting.id)).task.reason == "suppressed"
