"""What may be paused: a rule or an agent that there is, and any repository, with a word of warning
where nobody has heard of it.
"""

from __future__ import annotations

import pytest

from covend.core.errors import NotFoundError
from covend.core.states import TaskState
from covend.services.operations import Operations
from covend.services.settling import Publishing, Settlements
from covend.telemetry.metrics import Metrics
from tests.services.test_operations_held import Stall, stall

__all__ = ["stall"]
IN_FORCE = {"rule": ("review", "triage"), "agent": ("claude", "codex")}


def desk(stall: Stall) -> Operations:
    return Operations(
        tasks=stall.tasks,
        guards=stall.guards,
        clock=stall.clock,
        wakeups=stall.wakeups,
        metrics=Metrics(repositories_max=10),
        settlements=Settlements(
            clock=stall.clock, publishing=Publishing(is_app=True, key=b"the key of markers")
        ),
        stop_attempt=lambda *_: False,
        on_drain=stall.drains.append,
        names_of=IN_FORCE.get,
    )


@pytest.mark.parametrize(
    ("scope", "nearest"),
    [("rule:reveiw", "review"), ("rule:Review", "review"), ("agent:claud", "claude")],
)
async def test_a_pause_of_what_there_is_not_names_the_nearest_and_holds_nothing(
    stall: Stall, scope: str, nearest: str
) -> None:
    with pytest.raises(NotFoundError, match=rf"There is no .*: did you mean {nearest}\b"):
        await desk(stall).pause(scope)
    assert await stall.guards.list() == []


@pytest.mark.parametrize("scope", ["all", "rule:triage", "agent:codex"])
async def test_what_is_in_force_is_paused(stall: Stall, scope: str) -> None:
    paused = await desk(stall).pause(scope)
    assert paused.id == f"pause/{scope}"
    assert "unknown" not in paused.values


@pytest.mark.parametrize("scope", ["rule:former", "agent:former"])
async def test_a_rule_or_an_agent_that_is_gone_can_be_paused_while_something_waits_for_it(
    stall: Stall, scope: str
) -> None:
    task = await stall.arrive(rule="former", agent="former")
    await desk(stall).pause(scope)
    assert await stall.claim() is None
    await desk(stall).resume(scope)
    await desk(stall).cancel(task.id)
    assert (await stall.task(task.id)).state is TaskState.CANCELLED
    with pytest.raises(NotFoundError):
        await desk(stall).pause(scope)


async def test_a_repository_that_nobody_has_heard_of_is_paused_and_the_pause_says_so(
    stall: Stall,
) -> None:
    task = await stall.arrive()
    assert task.repository is not None
    known = await desk(stall).pause(f"repository:{task.repository.upper()}")
    assert "unknown" not in known.values
    typo = await desk(stall).pause(f"repository:{task.repository}x")
    assert typo.values["unknown"] == (
        f"There is no task in {task.repository.lower()}x: did you mean {task.repository}?"
    )


async def test_a_second_pause_without_a_reason_keeps_the_first_ones(stall: Stall) -> None:
    first = await desk(stall).pause("all", "deploy")
    assert await desk(stall).pause("all") == first
    assert (await desk(stall).pause("all", "a longer one")).reason == "operator: a longer one"


async def test_an_operator_takes_over_a_commenters_pause_with_or_without_a_reason(
    stall: Stall,
) -> None:
    await desk(stall).pause("repository:acme/web", "noise", by="@mona")
    assert (await desk(stall).pause("repository:acme/web")).values["by"] == "operator"
