"""One life of covend after the other on one store: each has everything that a daemon has but its
listeners, is moved by hand step by step, and ends in the middle of anything.

What an agent comes to is said by the test; no process is started and nothing is checked out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

import anyio
import anyio.to_thread

from covend.core.contract.outcome import StopReason
from covend.core.ending import Ending
from covend.core.intake import Refused, fold
from covend.core.model import ClaimToken
from covend.core.rules.routing import Router, prepare
from covend.core.secret import Secret
from covend.core.settings import Checkout, Policy
from covend.core.units import DAY
from covend.edges.agents.leftovers import Leftover
from covend.edges.github.client import GitHubClient
from covend.edges.workspace.spec import Spec
from covend.services.attempt import Attempts
from covend.services.auditing import Auditing
from covend.services.closing import Closing
from covend.services.commanding import Commanding
from covend.services.concluding import Concluding
from covend.services.dispatcher import Running
from covend.services.executing import Executing
from covend.services.installing import Installing
from covend.services.intake import Intake
from covend.services.operations import Operations
from covend.services.outdated import Outdated
from covend.services.preparing import Preparing
from covend.services.rerunning import Rerunning
from covend.services.resending import Resending
from covend.services.side_by_side import SideBySide
from covend.services.stopping import Stop
from covend.services.surroundings import Surroundings
from covend.services.underway import UnderWay
from covend.services.wakeups import Wakeup
from covend.store.auditing import StoredAudit
from covend.store.commands import StoredCommands
from covend.store.concluding import StoredLeftOpen
from covend.store.connection import FromThread
from covend.store.guards import StoredGuards
from covend.store.installing import StoredInstallations
from covend.store.protocol import Accepted, Taken
from covend.store.rerunning import StoredReruns
from covend.store.tasks import StoredTasks
from covend.store.upkeep import StoredUpkeep
from tests.services.forge import ForgeClient
from tests.services.happenings import Told, World
from tests.services.mortal import Mortal
from tests.services.rooms import LEASE_S, WEBHOOK_SECRET, Rooms

AT_ONCE = 8
CHAIN_DEPTH = 1
TERM_S = 30 * DAY
ROUNDS_MAX = 50
WITHIN_S = 20.0
"""Far longer than any step takes."""
Result = TypeVar("Result")
End = Ending | Exception
"""What an agent comes to, or what goes wrong beside it."""


@dataclass(slots=True, kw_only=True, eq=False)
class Seat:
    """An attempt of this life: where it stands still until the test says what becomes of it."""

    running: Running
    work: asyncio.Task[None] = field(init=False)
    sits: asyncio.Event = field(default_factory=asyncio.Event)
    end: asyncio.Future[End] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    @property
    def is_over(self) -> bool:
        return self.work.done()


class _Told(Executing):
    """Agents that come to what the test says."""

    def __init__(self, seats: dict[ClaimToken, Seat]) -> None:
        self._seats = seats

    async def execute(self, attempt: UnderWay) -> Ending:
        seat = self._seats[attempt.claim.token]
        seat.sits.set()
        end = await seat.end
        if isinstance(end, Exception):
            raise end
        return end


class _WithoutGit(Preparing):
    """Directories as they are, with nothing checked out."""

    async def _spec(self, attempt: UnderWay) -> Spec:
        return Spec(kind=Checkout.NONE, url="")


class _NobodyLeft:
    """Stand in for the containment: no agent here is a process."""

    def end_left(self, leftovers: Sequence[Leftover]) -> int:
        return 0


@dataclass(kw_only=True)
class Life(Rooms):
    """From a start to whatever ends it."""

    world: World
    seats: dict[ClaimToken, Seat] = field(default_factory=dict)
    tokens: list[ClaimToken] = field(default_factory=list)
    """Every token that a claim was asked with, whatever came of it."""
    hears: bool = True
    """Whether attempts are told at once that they are not wanted any more."""

    def __post_init__(self) -> None:
        self.containment = cast("Any", _NobodyLeft())
        super().__post_init__()
        self.mortal = cast("Mortal", self.connection)
        self.guards = StoredGuards(self.connection)
        self.commands = StoredCommands(self.connection)
        self.floor = self.dispatcher(cast("Any", None))
        self._router: Router | None = None
        self._attempts = self._new_attempts()
        self.operations = Operations(
            tasks=self.tasks,
            guards=self.guards,
            clock=self.clock,
            wakeups=self.wakeups,
            metrics=self.metrics,
            settlements=self.settlements,
            stop_attempt=self.stop,
            on_drain=lambda _: None,
        )
        self.resending = Resending(effects=self.effects, clock=self.clock, wakeups=self.wakeups)

    # --- its rooms --------------------------------------------------------------------------------

    def new_client(self) -> GitHubClient:
        return ForgeClient(self.world.forge, self.clock.now)

    def router(self) -> Router:
        """The rules adopted so far, with short chains."""
        if self._router is None:
            rules = tuple(policy.rule for policy in self.policies.values())
            own = f"{self.mention}[bot]"
            self._router = prepare(rules, self.policies, [own], (), chain_depth=CHAIN_DEPTH)
        return self._router

    def listening(self) -> Intake:
        """As `intake`, whatever it overtakes being stopped."""
        return Intake(
            deliveries=self.deliveries,
            route=self.router().route,
            secrets=(Secret(WEBHOOK_SECRET),),
            mention=self.mention,
            clock=self.clock,
            wakeups=self.wakeups,
            stop_attempt=self.stop,
        )

    def closing(self) -> Closing:
        return Closing(
            tasks=self.tasks,
            effects=self.effects,
            clock=self.clock,
            wakeups=self.wakeups,
            metrics=self.metrics,
            settlements=self.settlements,
        )

    def commanding(self) -> Commanding:
        return Commanding(
            commands=self.commands,
            operations=self.operations,
            github=self.client,
            clock=self.clock,
            wakeups=self.wakeups,
            key=self.publishing.key,
            verbs=lambda: ("review", "fix"),
            auditing=Auditing(audit=StoredAudit(self.connection), clock=self.clock),
        )

    def installing(self) -> Installing:
        return Installing(
            installations=StoredInstallations(self.connection),
            tasks=self.tasks,
            clock=self.clock,
            wakeups=self.wakeups,
            logs=self.folder / "logs",
            workspaces=self.workspaces,
            term_s=TERM_S,
            stop_attempt=self.stop,
        )

    def rerunning(self) -> Rerunning:
        return Rerunning(
            reruns=StoredReruns(self.connection),
            tasks=self.tasks,
            operations=self.operations,
            replaying=self.replaying(),
            settlements=self.settlements,
            clock=self.clock,
            wakeups=self.wakeups,
        )

    def concluding(self) -> Concluding:
        return Concluding(
            left_open=StoredLeftOpen(self.connection),
            tasks=self.tasks,
            settlements=self.settlements,
            clock=self.clock,
            wakeups=self.wakeups,
        )

    def _new_attempts(self) -> Attempts:
        surroundings = Surroundings(
            state_dir=self.folder, api_url="", environ={}, secrets=self.secrets
        )
        return Attempts(
            tasks=self.tasks,
            github=self.client,
            clock=self.clock,
            wakeups=self.wakeups,
            metrics=self.metrics,
            settlements=self.settlements,
            preparing=_WithoutGit(
                tasks=self.tasks,
                github=self.client,
                workspaces=self.workspaces,
                surroundings=surroundings,
                clock=self.clock,
            ),
            executing=_Told(self.seats),
            outdated=Outdated(self.effects),
            look_again_s=0.0,
        )

    def stop(self, task: Any, reason: StopReason) -> bool:
        return self.hears and self.floor.stop(task, reason)

    # --- its steps --------------------------------------------------------------------------------

    async def adopt(self, policies: Sequence[Policy]) -> None:
        """Route by these from now on."""
        for policy in policies:
            await self.deliveries.save_policy(policy, self.clock.now())
            self.policies[policy.rule.name] = policy
        self._router = None

    async def receive(self, told: Told, delivery: str | None = None) -> Accepted:
        answer = await self.listening().receive(fold(told.headers(delivery).items()), told.body)
        assert not isinstance(answer, Refused)
        return answer

    async def ripen(self) -> None:
        await self._side_by_side(self.ripening().ripen_due)

    async def attend(self) -> None:
        await self._side_by_side(self.commanding().attend_due)

    async def end_gone(self) -> None:
        await self.installing().end_gone()

    async def rerun(self) -> None:
        await self.rerunning().attend_due()

    async def conclude(self) -> None:
        await self.concluding().conclude_all()

    async def publish(self) -> None:
        """Send what is due, until nothing is."""
        publisher = self.publisher()
        for _ in range(ROUNDS_MAX):
            if not await self._side_by_side(publisher.publish_due):
                return
        raise AssertionError("there is always something due")

    async def _side_by_side(self, begin: Callable[[SideBySide], Awaitable[int]]) -> int:
        async with anyio.create_task_group() as group:
            count = await begin(SideBySide(group, at_once=AT_ONCE, bell=Wakeup()))
        return count  # noqa: RET504  a task group may swallow, says its type

    async def claim(self) -> tuple[Taken, Seat | None]:
        """Take the next task, and let its attempt go on until it stands still or is over."""
        taken = await self._look()
        if taken.claim is None:
            return taken, None
        running = Running(taken.claim, Stop(), taken.budget)
        seat = Seat(running=running)
        self.floor.running[taken.claim.token] = running
        self.seats[taken.claim.token] = seat
        seat.work = asyncio.create_task(self._attend(seat))
        sits = asyncio.create_task(seat.sits.wait())
        await asyncio.wait({seat.work, sits}, return_when=asyncio.FIRST_COMPLETED)
        sits.cancel()
        return taken, seat

    async def _look(self) -> Taken:
        for _ in range(ROUNDS_MAX):
            token = ClaimToken(self.clock.new_id())
            self.tokens.append(token)
            taken = await self.tasks.claim(
                node="here",
                token=token,
                now=self.clock.now(),
                lease_s=LEASE_S,
                terms=self.terms,
            )
            if taken.claim is not None or not taken.is_more:
                return taken
        raise AssertionError("there is always more")

    async def _attend(self, seat: Seat) -> None:
        running = seat.running
        try:
            await self._attempts.run(running.claim, running.stop, running.budget)
        finally:
            self.floor.running.pop(running.claim.token, None)

    async def finish(self, seat: Seat, end: End) -> None:
        """Let the agent of a seat come to its end, and see its attempt out."""
        if not seat.end.done():
            seat.end.set_result(end)
        await seat.work

    async def let_out(self) -> None:
        """See those out who were asked to stop."""
        stopped = [seat.work for seat in self.seats.values() if seat.running.stop.reason]
        for work in stopped:
            await work

    async def interrupt(self) -> None:
        """Give back what runs, as at an end that was asked for."""
        self.floor.interrupt()
        await self.let_out()

    def lose(self, seat: Seat) -> None:
        """Lose sight of an attempt that goes on: nobody renews its lease."""
        self.floor.running.pop(seat.running.claim.token, None)

    async def beat(self) -> None:
        """Renew what is in sight."""
        leases = self.leases(self.floor, StoredTasks(FromThread(cast("Any", self.connection))))
        await anyio.to_thread.run_sync(leases.beat, asyncio.get_running_loop())

    async def sweep(self) -> None:
        await self.leases(self.floor).sweep()

    async def kill(self) -> None:
        """End everything where it stands; nothing of it is written any more."""
        self.mortal.dead.set()
        for seat in self.seats.values():
            await cut_off(seat.work)


async def cut_off(work: asyncio.Task[Any]) -> None:
    """Cancel it however often it shields itself."""
    while not work.done():
        work.cancel()
        await asyncio.wait({work}, timeout=0.01)
    if not work.cancelled():
        work.exception()


async def moved(life: Life, step: Awaitable[Result]) -> Result | None:
    """Take a step in a life; None where that has ended on the way."""
    work = asyncio.ensure_future(step)
    dead = asyncio.create_task(life.mortal.dead.wait())
    done, _ = await asyncio.wait(
        {work, dead}, timeout=WITHIN_S, return_when=asyncio.FIRST_COMPLETED
    )
    assert done, "a step does not end"
    if not dead.done():
        dead.cancel()
        return work.result()
    await cut_off(work)
    return None


async def newest_moment(connection: Mortal, path: Path) -> int:
    return await StoredUpkeep(connection, path).newest_moment()
