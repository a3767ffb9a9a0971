"""Work of strangers waits for a yes; who is one, the payload says first and GitHub last."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from covend.core.model import EffectKind, Need, Task, Trust
from covend.core.policy import policy_of
from covend.core.safeguards.shapes import FOREVER as UNTIL_RELEASED
from covend.core.settings import Admission, Agent, Rule, Sandbox, Terms, When
from covend.core.states import TaskState
from covend.demo import payloads
from covend.demo.github import FOREVER, Fault
from tests.services.arriving import STRANGER, asked, from_fork, looked_at
from tests.services.house import House, a_rule, an_agent

COMMENT = "issue_comment.created"
COMMAND = "command.review"


def by_a_stranger(payload: dict[str, Any]) -> None:
    payload["comment"]["author_association"] = "NONE"


def caging(**changed: Any) -> Rule:
    """A rule under which work of forks and of writers is done in a cage."""
    trust = {Trust.FORK: Terms(admission=Admission.HOLD, sandbox=Sandbox.BUBBLEWRAP)}
    return a_rule(trust=trust, **changed)


async def adopt(house: House, rule: Rule, agent: Agent | None = None) -> None:
    """Route by this rule, with a policy of its own for each trust that it binds."""
    agent = agent or an_agent()
    await house.adopt(rule, agent)
    for trust, terms in rule.trust.items():
        if terms.sandbox is not None:
            policy = policy_of(rule, replace(agent, sandbox=terms.sandbox), ())
            house.policies_by_trust[rule.name, trust] = policy
            await house.deliveries.save_policy(policy, house.clock.now())


def policy_for(house: House, rule: str, trust: Trust) -> str:
    policy = house.policy_in_force(rule, trust)
    assert policy is not None
    return policy.sha256


def held(task: Task) -> bool:
    is_alone = task.needs == {Need.APPROVAL} and task.not_before_at == UNTIL_RELEASED
    return is_alone and (task.state, task.reason) == (TaskState.RECEIVED, "approval")


async def approved(house: House, task: Task) -> Task:
    given = await house.tasks.approve(task.id, by="@mara", now=house.clock.now())
    assert given is not None
    return given


async def test_a_strangers_work_waits_for_a_yes_and_is_looked_at_no_more(house: House) -> None:
    await adopt(house, a_rule())
    task = await asked(house, "pull_request.opened", number=from_fork(house), sender=STRANGER)
    assert held(task)
    house.clock.turn(s=3600)
    assert held(await looked_at(house, task))
    assert house.github.requests == []
    assert (await approved(house, task)).state is TaskState.QUEUED


async def test_what_waits_for_a_yes_does_not_ripen_by_being_due(house: House) -> None:
    await adopt(house, a_rule())
    task = await asked(house, "pull_request.opened", number=from_fork(house), sender=STRANGER)
    house.meddle("UPDATE tasks SET not_before_at = 0")
    assert held(await looked_at(house, task))


async def test_look_ups_come_before_the_yes(house: House) -> None:
    await adopt(house, a_rule(when=When(paths=("src/**",))))
    task = await asked(house, "pull_request.opened", number=from_fork(house), sender=STRANGER)
    assert task.needs == {Need.PATHS, Need.APPROVAL}
    task = await looked_at(house, task)
    assert held(task)
    assert task.trust is Trust.FORK
    assert (await approved(house, task)).state is TaskState.QUEUED


async def test_nobody_is_asked_for_a_yes_to_what_the_rule_does_not_want(house: House) -> None:
    await adopt(house, a_rule(when=When(paths=("docs/**",))))
    task = await asked(house, "pull_request.opened", number=from_fork(house), sender=STRANGER)
    task = await looked_at(house, task)
    assert (task.state, task.reason) == (TaskState.IGNORED, "when.paths")


async def test_a_yes_that_comes_before_the_look_up_is_not_asked_for_again(house: House) -> None:
    await adopt(house, a_rule(when=When(paths=("src/**",))))
    task = await asked(house, "pull_request.opened", number=from_fork(house), sender=STRANGER)
    task = await approved(house, task)
    assert task.state is TaskState.RECEIVED
    assert task.needs == {Need.PATHS}
    assert (await looked_at(house, task)).state is TaskState.QUEUED


@pytest.mark.parametrize("role", ["write", "maintain", "admin"])
async def test_a_command_passes_by_the_live_permission_of_its_actor(
    house: House, role: str
) -> None:
    house.github.add_account(STRANGER)
    house.till.roles[STRANGER.login] = role
    await adopt(house, a_rule(name="ask", on=(COMMAND,)))
    task = await asked(house, COMMENT, by_a_stranger, sender=STRANGER)
    assert task.needs == {Need.HEAD, Need.PERMISSION}
    task = await looked_at(house, task)
    assert (task.state, task.trust) == (TaskState.QUEUED, Trust(role))


async def test_a_strangers_command_is_held_where_the_rule_asks_for_no_permission(
    house: House,
) -> None:
    house.github.add_account(STRANGER)
    await adopt(house, a_rule(name="ask", on=(COMMAND,)))
    task = await asked(house, COMMENT, by_a_stranger, sender=STRANGER)
    task = await looked_at(house, task)
    assert held(task)
    assert task.trust is Trust.NONE


async def test_a_command_on_a_fork_passes_and_is_done_as_a_forks_work(house: House) -> None:
    await adopt(house, caging(name="ask", on=(COMMAND,), allow=("admin", "maintain", "write")))
    number = from_fork(house)
    task = await asked(house, COMMENT, number=number, sender=payloads.MAINTAINER)
    assert (task.trust, task.policy) == (Trust.MEMBER, policy_for(house, "ask", Trust.MEMBER))
    task = await looked_at(house, task)
    assert (task.state, task.trust) == (TaskState.QUEUED, Trust.FORK)
    assert task.policy == policy_for(house, "ask", Trust.FORK)
    assert (await house.tasks.policy_of(task)).agent.sandbox is Sandbox.BUBBLEWRAP


async def test_a_permission_is_asked_for_where_only_the_look_up_shows_that_it_matters(
    house: House,
) -> None:
    """A member's command on a fork: without `allow`, nothing had asked for the permission."""
    await adopt(house, caging(name="ask", on=(COMMAND,)))
    task = await asked(house, COMMENT, number=from_fork(house), sender=payloads.MAINTAINER)
    assert task.needs == {Need.HEAD}
    task = await looked_at(house, task)
    assert (task.state, task.trust) == (TaskState.QUEUED, Trust.FORK)


async def test_what_turns_out_to_be_a_fork_is_held_with_the_forks_policy(house: House) -> None:
    await adopt(house, caging(name="talk", on=(COMMENT,)))
    task = await asked(house, COMMENT, number=from_fork(house))
    task = await looked_at(house, task)
    assert held(task)
    assert task.trust is Trust.FORK
    task = await approved(house, task)
    assert task.policy == policy_for(house, "talk", Trust.FORK)


async def test_a_refusal_of_forks_holds_for_what_turns_out_to_be_one(house: House) -> None:
    refusing = {Trust.FORK: Terms(admission=Admission.REFUSE)}
    await adopt(house, a_rule(name="talk", on=(COMMENT,), trust=refusing))
    task = await looked_at(house, await asked(house, COMMENT, number=from_fork(house)))
    assert (task.state, task.reason) == (TaskState.IGNORED, "trust")


def by_permission() -> Rule:
    return a_rule(
        trust={Trust.WRITE: Terms(sandbox=Sandbox.BUBBLEWRAP), Trust.MEMBER: Terms()},
    )


async def test_a_rule_that_names_a_permission_goes_by_the_live_one(house: House) -> None:
    house.till.roles[payloads.AUTHOR.login] = "write"
    await adopt(house, by_permission())
    task = await asked(house, "pull_request.opened")
    assert task.trust is Trust.MEMBER
    assert task.needs == {Need.PERMISSION}
    task = await looked_at(house, task)
    assert (task.state, task.trust) == (TaskState.QUEUED, Trust.WRITE)
    assert task.policy == policy_for(house, "review", Trust.WRITE)


async def test_a_permission_that_only_shapes_the_work_is_waited_for(house: House) -> None:
    house.github.faults.add("GET", "*/permission", Fault.ERROR_500, FOREVER)
    await adopt(house, by_permission())
    task = await looked_at(house, await asked(house, "pull_request.opened"))
    assert (task.state, task.reason) == (TaskState.RECEIVED, "look_up: github_unreachable")


async def test_a_person_whom_github_does_not_know_has_no_permission(house: House) -> None:
    await adopt(house, replace(by_permission(), on=(COMMENT,)))
    task = await asked(house, COMMENT, by_a_stranger, sender=STRANGER)
    assert held(await looked_at(house, task))


async def test_a_rule_that_has_changed_since_says_so_instead_of_guessing(house: House) -> None:
    house.till.roles[payloads.AUTHOR.login] = "write"
    await adopt(house, by_permission())
    task = await asked(house, "pull_request.opened")
    await adopt(house, by_permission(), an_agent("false"))
    task = await looked_at(house, task)
    assert (task.state, task.reason) == (TaskState.IGNORED, "rule_changed")


async def test_a_changed_rule_does_not_matter_where_trust_binds_nothing(house: House) -> None:
    house.github.add_account(STRANGER)
    house.till.roles[STRANGER.login] = "write"
    rule = a_rule(name="ask", on=(COMMAND,))
    await adopt(house, rule)
    task = await asked(house, COMMENT, by_a_stranger, sender=STRANGER)
    await adopt(house, rule, an_agent("false"))
    routed_by = task.policy
    task = await looked_at(house, task)
    assert (task.state, task.trust, task.policy) == (TaskState.QUEUED, Trust.WRITE, routed_by)


async def test_a_refused_command_is_told_so_by_a_reaction(house: House) -> None:
    house.github.add_account(STRANGER)
    await adopt(house, a_rule(name="ask", on=(COMMAND,), allow=("write",)))
    task = await looked_at(house, await asked(house, COMMENT, sender=STRANGER))
    assert (task.state, task.reason) == (TaskState.IGNORED, "allow")
    reaction = await house.effect(EffectKind.REACTION)
    assert (reaction.task, reaction.request["body"]) == (task.id, {"content": "-1"})
    await house.wakeups.effects.wait(0)


async def test_nobody_is_told_of_a_refusal_of_what_nobody_commanded(house: House) -> None:
    await adopt(house, a_rule(when=When(paths=("docs/**",))))
    await looked_at(house, await asked(house, "pull_request.opened"))
    assert await house.outbox() == []
