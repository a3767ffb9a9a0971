"""The operator's verbs over a real store: what goes on, what is held, and what is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

import pytest

from covend.core.errors import ConflictError, NotFoundError, NotPermittedError, UserError
from covend.core.model import Claim, ClaimToken, Need, Task, Trust
from covend.core.safeguards.shapes import Safeguard, SafeguardKind, Terms
from covend.core.states import Outcome, TaskState
from covend.services.operations import Operations
from covend.services.settling import Publishing, Settlements
from covend.services.wakeups import Wakeup, Wakeups
from covend.store.deliveries import StoredDeliveries
from covend.store.guards import StoredGuards
from covend.store.protocol import Settlement, TaskStory
from covend.store.queries import load_queries
from covend.store.sqlite.connection import SqliteConnection, open_sqlite
from covend.store.sqlite.migrate import migrate
from covend.store.tasks import StoredTasks
from covend.telemetry.metrics import Metrics
from tests.services.hand_clock import HandClock
from tests.services.house import an_ending
from tests.store.arrivals import NOW, POLICY, arrival, draft, task_id

TERMS = Terms(concurrency=10)


class Counted(Wakeup):
    """A bell that knows how often it was rung."""

    rung = 0

    def wake(self) -> None:
        self.rung += 1
        super().wake()


@dataclass(kw_only=True)
class Stall:
    """A store, and an operator before it."""

    connection: SqliteConnection
    clock: HandClock = field(default_factory=lambda: HandClock(NOW))
    drains: list[bool] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.wakeups = Wakeups()
        self.queued = self.wakeups.queued = Counted()
        self.received = self.wakeups.received = Counted()
        self.tasks = StoredTasks(self.connection)
        self.guards = StoredGuards(self.connection)
        self.deliveries = StoredDeliveries(self.connection, queue_max=100)
        self.operations = self.made_anew()

    def made_anew(self, tasks: StoredTasks | None = None) -> Operations:
        publishing = Publishing(is_app=True, key=b"the key of markers")
        return Operations(
            tasks=tasks or self.tasks,
            guards=self.guards,
            clock=self.clock,
            wakeups=self.wakeups,
            metrics=Metrics(repositories_max=10),
            settlements=Settlements(clock=self.clock, publishing=publishing),
            stop_attempt=lambda *_: False,
            on_drain=self.drains.append,
        )

    async def arrive(self, **changes: object) -> Task:
        (made,) = (await self.deliveries.accept(arrival(draft(**changes)))).tasks
        return await self.task(made)

    async def task(self, task: str) -> Task:
        story = await self.tasks.story(task)
        assert story is not None
        return story.task

    async def claim(self) -> Claim | None:
        taken = await self.tasks.claim(
            node="here",
            token=ClaimToken(task_id()),
            now=self.clock.now(),
            lease_s=90,
            terms=TERMS,
        )
        return taken.claim

    async def ended(self, target: TaskState) -> Task:
        """Give a task whose only attempt has ended it."""
        await self.arrive()
        claim = await self.claim()
        assert claim is not None
        is_well = target is TaskState.COMPLETED
        ending = an_ending(outcome=Outcome.SUCCEEDED if is_well else Outcome.FAILED)
        settlement = Settlement(target=target, reason="final", ending=ending)
        await self.tasks.settle(claim, settlement, self.clock.now())
        return await self.task(claim.task.id)


@pytest.fixture
async def stall(tmp_path: Path) -> AsyncIterator[Stall]:
    queries = load_queries(files("covend.store.sqlite") / "queries")
    async with open_sqlite(tmp_path / "covend.db", queries, migrate) as connection:
        opened = Stall(connection=connection)
        await opened.deliveries.save_policy(POLICY, NOW)
        yield opened


# --- retry ----------------------------------------------------------------------------------------


async def test_a_retried_task_is_queued_once_more_and_the_dispatcher_hears_of_it(
    stall: Stall,
) -> None:
    failed = await stall.ended(TaskState.FAILED)
    retried = await stall.operations.retry(failed.id[:14], "the disk was full", by="@mara")
    assert (retried.state, retried.reason) == (TaskState.QUEUED, "@mara: the disk was full")
    assert (retried.generation, retried.failures, retried.finished_at) == (2, 0, None)
    assert stall.queued.rung
    claim = await stall.claim()
    assert claim is not None
    assert (claim.task.id, claim.attempt) == (failed.id, 2)


async def test_a_cancelled_task_may_be_retried_and_then_ends_as_it_does(stall: Stall) -> None:
    task = await stall.arrive()
    await stall.operations.cancel(task.id, by="@mara")
    assert (await stall.task(task.id)).reason == "@mara"
    retried = await stall.operations.retry(task.id)
    assert (retried.reason, retried.cancel_requested_at) == ("operator", None)


async def test_what_is_not_over_is_not_retried(stall: Stall) -> None:
    task = await stall.arrive()
    with pytest.raises(ConflictError, match=r"is queued already: it runs as soon as a slot is"):
        await stall.operations.retry(task.id)
    await stall.claim()
    with pytest.raises(ConflictError, match=r"is running: its agent is still at it"):
        await stall.operations.retry(task.id)


async def test_what_has_completed_is_not_retried_and_says_what_asks_anew(stall: Stall) -> None:
    completed = await stall.ended(TaskState.COMPLETED)
    with pytest.raises(ConflictError, match="covend replay DELIVERY"):
        await stall.operations.retry(completed.id)


async def test_a_retry_of_nothing_is_not_found(stall: Stall) -> None:
    with pytest.raises(NotFoundError, match=r"There is no task zzz\."):
        await stall.operations.retry("zzz")


class Busy(StoredTasks):
    """Tasks that a second operator retries right after each look of the first."""

    async def story(self, task: str) -> TaskStory | None:
        found = await super().story(task)
        assert found is not None
        await self.retry(found.task.id, reason="another", now=NOW)
        return found


async def test_two_retries_in_the_same_instant_are_one(stall: Stall) -> None:
    failed = await stall.ended(TaskState.FAILED)
    with pytest.raises(ConflictError, match="is queued already"):
        await stall.made_anew(Busy(stall.connection)).retry(failed.id)
    assert (await stall.task(failed.id)).generation == 2


# --- approve --------------------------------------------------------------------------------------


async def held_fork(stall: Stall) -> Task:
    return await stall.arrive(needs=frozenset({Need.APPROVAL}), trust=Trust.FORK)


async def test_an_approved_task_runs_and_tells_who_has_approved_it(stall: Stall) -> None:
    task = await held_fork(stall)
    assert (task.state, task.reason) == (TaskState.RECEIVED, "approval")
    approved = await stall.operations.approve(task.id, by="@mara")
    assert (approved.state, approved.approved_by) == (TaskState.QUEUED, "@mara")
    assert approved.approved_at == stall.clock.now()
    assert stall.queued.rung
    assert stall.received.rung
    assert await stall.claim() is not None


async def test_to_approve_twice_is_to_approve_once(stall: Stall) -> None:
    task = await held_fork(stall)
    await stall.operations.approve(task.id, by="@mara")
    again = await stall.operations.approve(task.id, by="@kim")
    assert again.approved_by == "@mara"


async def test_an_approval_of_what_waits_for_something_else_says_for_what(stall: Stall) -> None:
    task = await stall.arrive(needs=frozenset({Need.PATHS}))
    with pytest.raises(ConflictError, match=r"to be approved: .*the changed paths"):
        await stall.operations.approve(task.id)


async def test_an_approval_of_what_is_over_says_so(stall: Stall) -> None:
    completed = await stall.ended(TaskState.COMPLETED)
    with pytest.raises(ConflictError, match=r"does not wait to be approved: it is completed\."):
        await stall.operations.approve(completed.id)


# --- pause and resume -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scope", "written"),
    [
        ("all", "pause/all"),
        ("rule:review", "pause/rule:review"),
        ("agent:echo", "pause/agent:echo"),
        ("repository:Acme/R1", "pause/repository:acme/r1"),
    ],
)
async def test_what_is_paused_starts_only_when_it_is_resumed(
    stall: Stall, scope: str, written: str
) -> None:
    await stall.arrive()
    paused = await stall.operations.pause(scope, "deploy", by="@mara")
    assert (paused.id, paused.state, paused.reason) == (written, "paused", "@mara: deploy")
    assert stall.queued.rung
    assert await stall.claim() is None
    (lifted,) = await stall.operations.resume(scope)
    assert lifted.id == written
    assert await stall.claim() is not None


async def test_a_pause_outlives_a_restart(stall: Stall, tmp_path: Path) -> None:
    await stall.operations.pause("all")
    await stall.arrive()
    queries = load_queries(files("covend.store.sqlite") / "queries")
    async with open_sqlite(tmp_path / "covend.db", queries, migrate) as connection:
        assert await Stall(connection=connection).claim() is None


@pytest.mark.parametrize(
    "scope",
    ["", "everything", "rule", "rule:", "rule:a b", "repository:acme", "repository:a/b/c", "r:x"],
)
async def test_what_cannot_be_paused_names_the_four_forms(stall: Stall, scope: str) -> None:
    for verb in (stall.operations.pause, stall.operations.resume):
        with pytest.raises(UserError, match="all, rule:NAME, agent:NAME or repository:OWNER/NAME"):
            await verb(scope)
    assert await stall.guards.list() == []


async def test_to_resume_what_is_not_paused_lifts_nothing(stall: Stall) -> None:
    await stall.operations.pause("rule:review")
    assert await stall.operations.resume("all") == ()
    assert [each.id for each in await stall.guards.list()] == ["pause/rule:review"]


# --- drain ----------------------------------------------------------------------------------------


async def test_a_drain_reaches_the_daemon_and_resume_ends_it_with_the_pause(stall: Stall) -> None:
    await stall.arrive()
    await stall.operations.pause("all")
    drained = await stall.operations.drain("new disk", by="@mara")
    assert (drained.id, drained.state) == ("drain/all", "draining")
    assert stall.drains == [True]
    assert await stall.claim() is None
    lifted = await stall.operations.resume("all")
    assert sorted(each.id for each in lifted) == ["drain/all", "pause/all"]
    assert stall.drains == [True, False]
    assert await stall.claim() is not None


async def test_a_comment_neither_lifts_nor_takes_over_what_an_operator_has_paused(
    stall: Stall,
) -> None:
    scope = "repository:acme/till"
    await stall.operations.pause(scope, "an incident")
    again = await stall.operations.pause(scope, by="@mara")
    assert again.reason == "operator: an incident"
    with pytest.raises(NotPermittedError, match="covend resume"):
        await stall.operations.resume(scope, by="@mara")
    assert await stall.operations.resume(scope)
    await stall.operations.pause(scope, by="@mara")
    assert await stall.operations.resume(scope, by="@nils")


async def test_a_pause_that_is_lifted_says_nothing_of_a_drain(stall: Stall) -> None:
    await stall.operations.pause("rule:review")
    await stall.operations.resume("rule:review")
    assert stall.drains == []


# --- reset ----------------------------------------------------------------------------------------


def guard(identifier: str, state: str = "blocked") -> Safeguard:
    kind, _, scope = identifier.partition("/")
    return Safeguard(
        id=identifier,
        kind=SafeguardKind(kind),
        scope=scope,
        state=state,
        reason="20 turns without progress",
        until=None,
        values={"turns": 20},
    )


async def test_a_reset_gives_what_it_was_and_lets_the_subject_go_on(stall: Stall) -> None:
    task = await stall.arrive()
    block = guard(f"loop/acme/r1#{task.subject.number}")
    await stall.guards.put(block, NOW)
    assert await stall.claim() is None
    assert (await stall.task(task.id)).reason == "blocked"
    was = await stall.operations.reset(block.id.upper().replace("LOOP", "loop"), "looked at it")
    assert (was.id, was.state) == (block.id, "blocked")
    assert await stall.guards.list() == []
    claim = await stall.claim()
    assert claim is not None
    assert claim.task.id == task.id


async def test_an_unknown_safeguard_names_what_is_about_the_same(stall: Stall) -> None:
    for each in ("budget/rule:review@acme/till#7", "circuit/agent:echo", "pause/all"):
        await stall.guards.put(guard(each, "holding"), NOW)
    with pytest.raises(NotFoundError, match=r": there is budget/rule:review@acme/till#7\.") as told:
        await stall.operations.reset("loop/acme/till#7")
    assert told.value.details["nearest"] == ["budget/rule:review@acme/till#7"]
    with pytest.raises(NotFoundError, match=r"there is circuit/agent:echo"):
        await stall.operations.reset("circuit/agent:ecko")


async def test_where_nothing_holds_a_reset_says_so(stall: Stall) -> None:
    with pytest.raises(NotFoundError, match="it is at rest"):
        await stall.operations.reset("loop/acme/till#7")


async def test_a_rate_limit_has_no_count_to_reset(stall: Stall) -> None:
    await stall.guards.put(guard("rate/rule=review", "holding"), NOW)
    with pytest.raises(ConflictError, match="counts what has started"):
        await stall.operations.reset("rate/rule=review")
    assert len(await stall.guards.list()) == 1


async def test_a_drain_that_is_reset_reaches_the_daemon(stall: Stall) -> None:
    await stall.operations.drain()
    await stall.operations.reset("drain/all")
    assert stall.drains == [True, False]
