"""A covend that calls back: tasks of the house end, and real receivers are told by hand-turned
time.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import anyio

from covend.core.bounds import Circuit
from covend.core.ending import Ending
from covend.core.model import Effect, EffectKind, TaskId
from covend.core.outside import Callback
from covend.core.safeguards.shapes import Terms
from covend.edges.callbacks.sender import Sender
from covend.services.calling import Calling, Send
from covend.services.notifying import Notifying
from covend.services.settling import Settlements
from covend.services.side_by_side import SideBySide
from covend.services.wakeups import Wakeup
from covend.store.callbacks import StoredCallbacks
from covend.store.guards import StoredGuards
from tests.services.house import House, a_rule, an_agent, an_ending

AT_ONCE = 16
ROUNDS_MAX = 50
CALLBACK = EffectKind.CALLBACK


@dataclass(kw_only=True)
class Calls:
    """The house, and who is called back."""

    house: House
    in_force: dict[str, Callback] = field(default_factory=dict)
    circuit: Circuit = field(default_factory=lambda: Circuit(failures=1_000))
    """So many failures that no circuit opens, where a test is about something else."""

    def __post_init__(self) -> None:
        self.guards = StoredGuards(self.house.connection)
        self.settlements = Settlements(
            clock=self.house.clock,
            publishing=self.house.publishing,
            call_back=self.notifying().drafts,
        )
        self.one = self.calling()

    def callbacks(self) -> dict[str, Callback]:
        return self.in_force

    def terms(self) -> Terms:
        plain = Terms(concurrency=1)
        return replace(plain, safeguards=replace(plain.safeguards, circuit=self.circuit))

    def notifying(self) -> Notifying:
        return Notifying(
            callbacks=self.callbacks, redact=self.house.secrets.values, clock=self.house.clock
        )

    def calling(self, send: Send | None = None) -> Calling:
        """One that knows nothing but what the store has."""
        return Calling(
            callbacks=StoredCallbacks(self.house.connection),
            effects=self.house.effects,
            guards=self.guards,
            rulebook=self,
            send=send or Sender(wall=self.house.clock.now).send,
            clock=self.house.clock,
            wakeups=self.house.wakeups,
            metrics=self.house.metrics,
        )

    async def ended(self, ending: Ending | None = None) -> TaskId:
        """Let a task on a pull request of its own end by an attempt; give it."""
        house = self.house
        await house.adopt(a_rule(publish=(CALLBACK,)), an_agent())
        claim = await house.claimed(number=house.open_pull().number)
        policy = await house.tasks.policy_of(claim.task)
        settlement = self.settlements.plan(claim, policy, ending or an_ending())
        await house.tasks.settle(claim, settlement, house.clock.now())
        return claim.task.id

    async def call(self) -> int:
        """Call until nobody is due; say how many calls that were."""
        count = 0
        for _ in range(ROUNDS_MAX):
            async with anyio.create_task_group() as group:
                calls = SideBySide(group, at_once=AT_ONCE, bell=Wakeup())
                started = await self.one.call_due(calls)
            if not started:
                return count
            count += started
        raise AssertionError("there is always somebody due")

    async def effects(self) -> list[Effect]:
        """All callbacks, oldest first."""
        return [each for each in await self.house.outbox() if each.kind is CALLBACK]

    async def effect(self) -> Effect:
        (found,) = await self.effects()
        return found

    def counted(self) -> dict[tuple[str, str, str], float]:
        """Tries by target, result and error code."""
        return {
            (
                sample.labels["target"],
                sample.labels["result"],
                sample.labels["error_code"],
            ): sample.value
            for family in self.house.metrics.callbacks.collect()
            for sample in family.samples
            if sample.name.endswith("_total")
        }
