"""Safeguards outlive a crash: each is tripped by real work or a real command, covend is killed and
started again, and it still holds; then it lets go when it should, and all that waited is done once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from covend.demo.github import FOREVER, Fault
from covend.demo.stage import Stage
from tests.story.cast import (
    ANSWERED,
    COSTLY,
    CRASHES,
    EXAMPLE,
    FINE,
    HANGS,
    OVERLOADED,
    STUCK,
    UNDECIDED,
    Cast,
)
from tests.story.config import ONCE, PRESET
from tests.story.conftest import SetUp
from tests.story.held import (
    EACH_ITS_OWN,
    PLAIN,
    ended,
    holding,
    nothing_holds,
    outcomes,
    reasons,
    send,
    serving_later,
    told,
    waits,
)
from tests.story.process import Covend, serving

LENIENT = {
    "loop": "{{ no_progress = 50, identical_failures = 50 }}",
    "crash_loop": '{{ failures = 50, window = "1h", suppress = "1h" }}',
    "circuit": '{{ failures = 50, window = "1h", open = "1h" }}',
}
"""So that each story has one safeguard alone; an hour is longer than any test."""
CLAUDE = 'preset = "claude"'


def strict(**changes: str) -> str:
    settings = "\n".join(f"{name} = {value}" for name, value in {**LENIENT, **changes}.items())
    return f"[safeguards]\n{settings}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tripped:
    """A safeguard, the work that trips it, and what tasks wait for then."""

    id: str
    reason: str
    part: str
    count: int = 2
    """So many tasks trip it."""
    then: str = FINE
    is_github_down: bool = False
    config: Mapping[str, str] = field(default_factory=dict)


RATE = Tripped(
    id="rate/rule=review,subject=acme/till#7",
    reason="rate_limited",
    part=FINE,
    config={"more": strict(rate='[{{ per = "rule,subject", max = 2, window = "1h" }}]')},
)
BUDGET_OF_THE_DAY = Tripped(
    id="budget/all",
    reason="budget",
    part=COSTLY,
    count=1,
    config={"limits": "budget_usd_per_day = 1.0"},
)
BUDGET_OF_A_SUBJECT = Tripped(
    id="budget/rule:review@acme/till#7",
    reason="budget",
    part=COSTLY,
    count=1,
    config={"rule": f"{PLAIN}\nbudget_usd_per_subject = 1.0"},
)
IDENTICAL_FAILURES = Tripped(
    id="loop/acme/till#7",
    reason="blocked",
    part=STUCK,
    config={"more": strict(loop="{{ no_progress = 50, identical_failures = 2 }}")},
)
NO_PROGRESS = Tripped(
    id="loop/acme/till#7",
    reason="blocked",
    part=UNDECIDED,
    config={"more": strict(loop="{{ no_progress = 2, identical_failures = 50 }}")},
)
CRASH_LOOP = Tripped(
    id="crash_loop/agent:example@acme/till",
    reason="suppressed",
    part=CRASHES,
    config={"more": strict(crash_loop='{{ failures = 2, window = "1h", suppress = "1h" }}')},
)
CIRCUIT = strict(circuit='{{ failures = 2, window = "1h", open = "1h" }}')
CIRCUIT_OF_AN_AGENT = Tripped(
    id="circuit/agent:example",
    reason="circuit_open",
    part=OVERLOADED,
    then=ANSWERED,
    config={"preset": CLAUDE, "more": CIRCUIT},
)
CIRCUIT_OF_A_HOST = Tripped(
    id="circuit/host:127.0.0.1",
    reason="circuit_open",
    part=FINE,
    is_github_down=True,
    config={"rule": f'checkout = "head"\npublish = []\n{EACH_ITS_OWN}', "more": CIRCUIT},
)
LET_GO_BY_SOMEBODY = {
    "the-day's-budget": BUDGET_OF_THE_DAY,
    "a-subject's-budget": BUDGET_OF_A_SUBJECT,
    "identical-failures": IDENTICAL_FAILURES,
    "no-progress": NO_PROGRESS,
    "a-crash-loop": CRASH_LOOP,
}
LET_GO_BY_TIME = {
    "a-rate-limit": RATE,
    "a-crash-loop": CRASH_LOOP,
    "an-agent's-circuit": CIRCUIT_OF_AN_AGENT,
    "a-host's-circuit": CIRCUIT_OF_A_HOST,
}


@pytest.fixture
def cast(tmp_path: Path) -> Cast:
    return Cast(tmp_path)


@asynccontextmanager
async def on_stage(staged: SetUp, cast: Cast, case: Tripped) -> AsyncIterator[Stage]:
    changes = {"rule": PLAIN, "preset": PRESET, "retry": ONCE, "more": strict(), **case.config}
    async with staged(cast, **changes) as stage:
        yield stage


async def trip(stage: Stage, cast: Cast, case: Tripped) -> str:
    """Trip it by work, meet it with one task more, and give that; covend is killed then."""
    cast.plays(case.part)
    if case.is_github_down:
        stage.github.faults.add("GET", "/repos/acme/till", Fault.ERROR_500, FOREVER)
    async with serving(stage) as covend:
        for serial in range(case.count):
            await ended(covend, await send(stage, covend, serial))
        met = await send(stage, covend, case.count)
        await waits(covend, met, case.reason)
        await covend.kill()
    stage.github.faults.clear()
    cast.plays(case.then)
    return met


async def still_holds(stage: Stage, covend: Covend, case: Tripped, met: str) -> str:
    """Look that what waited waits on, and that what comes now has to wait as well; give that."""
    await waits(covend, met, case.reason)
    came = await send(stage, covend, case.count + 1)
    await waits(covend, came, case.reason)
    assert await holding(stage) == [case.id]
    return came


async def done_once(covend: Covend, cast: Cast, *tasks: str) -> None:
    """Wait until tasks have completed, each by one attempt."""
    for task in tasks:
        story = await covend.task_in("completed", task)
        assert outcomes(story) == ["succeeded"]
        assert cast.who_ran(task) == [EXAMPLE]


# --- tripped by work ------------------------------------------------------------------------------


@pytest.mark.parametrize("case", LET_GO_BY_SOMEBODY.values(), ids=LET_GO_BY_SOMEBODY)
async def test_what_work_has_tripped_holds_over_a_crash_until_somebody_lets_it_go(
    case: Tripped, staged: SetUp, cast: Cast
) -> None:
    async with on_stage(staged, cast, case) as stage:
        met = await trip(stage, cast, case)
        async with serving(stage) as covend:
            came = await still_holds(stage, covend, case, met)
            await told(stage, "unblock", case.id.removeprefix("loop/"))
            await done_once(covend, cast, met, came)
            assert await nothing_holds(covend)


@pytest.mark.parametrize("case", LET_GO_BY_TIME.values(), ids=LET_GO_BY_TIME)
async def test_what_work_has_tripped_holds_over_a_crash_until_its_time_is_over(
    case: Tripped, staged: SetUp, cast: Cast
) -> None:
    async with on_stage(staged, cast, case) as stage:
        met = await trip(stage, cast, case)
        async with serving(stage) as covend:
            came = await still_holds(stage, covend, case, met)
            await covend.kill()
        async with serving_later(stage) as covend:
            await done_once(covend, cast, met, came)
            assert await nothing_holds(covend)


async def test_a_probe_that_is_killed_leaves_the_next_one_to_try(staged: SetUp, cast: Cast) -> None:
    case = CIRCUIT_OF_AN_AGENT
    async with on_stage(staged, cast, case) as stage:
        probe = await trip(stage, cast, case)
        cast.plays(HANGS)
        async with serving_later(stage) as covend:
            await covend.task_in("running", probe)
            came = await send(stage, covend, 9)
            await waits(covend, came, case.reason)
            assert await holding(stage) == [case.id]
            await covend.kill()
        cast.plays(ANSWERED)
        async with serving_later(stage) as covend:
            await done_once(covend, cast, came)
            story = await covend.task_in("completed", probe)
            assert outcomes(story) == ["lost", "succeeded"]
            assert await nothing_holds(covend)


LIVE = {
    "a-rate-limit": (
        "rate_limited",
        FINE,
        strict(rate='[{{ per = "rule,subject", max = 2, window = "2s" }}]'),
    ),
    "a-crash-loop": (
        "suppressed",
        CRASHES,
        strict(crash_loop='{{ failures = 2, window = "1h", suppress = "2s" }}'),
    ),
    "a-circuit": (
        "circuit_open",
        OVERLOADED,
        strict(circuit='{{ failures = 2, window = "1h", open = "2s" }}'),
    ),
}


@pytest.mark.parametrize(("reason", "part", "more"), LIVE.values(), ids=LIVE)
async def test_what_waits_for_a_moment_goes_on_by_itself_when_it_has_come(
    reason: str, part: str, more: str, staged: SetUp, cast: Cast
) -> None:
    """All three are there before the first begins, so that the third meets what the others trip."""
    preset, then = (CLAUDE, ANSWERED) if part == OVERLOADED else (PRESET, FINE)
    cast.plays_at_first(part, 2, then=then)
    changes = {"rule": PLAIN, "preset": preset, "retry": ONCE, "more": more}
    async with (
        staged(cast, limits="concurrency = 1", **changes) as stage,
        serving(stage) as covend,
    ):
        await told(stage, "pause")
        *_, third = [await send(stage, covend, serial) for serial in range(3)]
        await told(stage, "resume")
        await done_once(covend, cast, third)
        assert reason in reasons(await covend.task(third))
        assert await nothing_holds(covend)


# --- held by an operator --------------------------------------------------------------------------

PAUSES = {
    "pause/agent:example": ("--agent", "example"),
    "pause/all": (),
    "pause/repository:acme/till": ("--repo", "acme/till"),
    "pause/rule:review": ("--rule", "review"),
}


async def test_each_pause_holds_over_a_crash_until_it_is_lifted(staged: SetUp, cast: Cast) -> None:
    """All are there at once, and lifted one by one: each of them holds what comes by itself."""
    async with staged(cast, rule=PLAIN) as stage:
        async with serving(stage) as covend:
            for scope in PAUSES.values():
                await told(stage, "pause", *scope, "--why", "a release")
            tasks = [await send(stage, covend, 0)]
            await waits(covend, tasks[0], "paused")
            await covend.kill()
        async with serving(stage) as covend:
            await waits(covend, tasks[0], "paused")
            for place, scope in enumerate(PAUSES.values()):
                tasks.append(await send(stage, covend, place + 1))
                await waits(covend, tasks[-1], "paused")
                assert await holding(stage) == [*PAUSES][place:]
                assert [cast.who_ran(task) for task in tasks] == [[]] * len(tasks)
                await told(stage, "resume", *scope)
            await done_once(covend, cast, *tasks)
            assert await nothing_holds(covend)


async def test_a_drain_holds_over_a_crash_and_takes_nothing_in_until_it_is_lifted(
    staged: SetUp, cast: Cast
) -> None:
    cast.plays(HANGS)
    async with staged(cast, rule=PLAIN, limits="concurrency = 1") as stage:
        async with serving(stage) as covend:
            running, met = [await send(stage, covend, serial) for serial in range(2)]
            await covend.task_in("running", running)
            await told(stage, "drain")
            await covend.kill()
        cast.plays(FINE)
        async with serving(stage) as covend:
            await waits(covend, running, "paused")
            await waits(covend, met, "paused")
            webhook = stage.signed("pull_request.synchronize", serial=2)
            status, answer, headers = await covend.posted(*webhook)
            assert (status, answer["error"]["code"]) == (503, "draining")
            assert int(headers["Retry-After"]) > 0
            assert (await covend.get("/readyz"))[0] == 503
            assert await holding(stage) == ["drain/all"]
            await told(stage, "resume")
            status, answer = await covend.post(*webhook)
            assert status == 202
            await done_once(covend, cast, met, *answer["tasks"])
            story = await covend.task_in("completed", running)
    assert outcomes(story) == ["lost", "succeeded"]
    assert "recovered" in reasons(story)
