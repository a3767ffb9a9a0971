"""A covend without its listeners, whose loops a test moves step by step: a real store, the stand-in
of GitHub, and a clock that only the test turns. How its rooms are built stands in `rooms`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import anyio

from covend.core.bounds import Retry
from covend.core.effects.diff import ChangedFile
from covend.core.effects.plan import plan_end, plan_start
from covend.core.ending import Ending, Result
from covend.core.intake import Refused, fold
from covend.core.model import Claim, ClaimToken, Effect, EffectId, EffectKind, Task, TaskId
from covend.core.policy import policy_of
from covend.core.settings import Agent, Checkout, Rule
from covend.core.states import EffectState, Outcome, TaskState
from covend.demo import payloads
from covend.demo.records import Account, PullRequest
from covend.services.side_by_side import SideBySide
from covend.services.stopping import Stop
from covend.services.wakeups import Wakeup
from covend.store.protocol import Accepted, Settlement, Taken, TaskStory
from tests.services.rooms import LEASE_S, WEBHOOK_SECRET, Rooms

AT_ONCE = 8
ROUNDS_MAX = 20
CHECK, COMMENT, REVIEW = EffectKind.CHECK, EffectKind.COMMENT, EffectKind.REVIEW


def a_rule(**changes: Any) -> Rule:
    """A review of opened pull requests, without a checkout."""
    plain: dict[str, Any] = {
        "name": "review",
        "on": ("pull_request.opened",),
        "agent": "sh",
        "prompt": "Review it.",
        "checkout": Checkout.NONE,
        "publish": (CHECK, REVIEW),
    }
    return Rule(**plain | changes)


def an_agent(script: str = "true", **changes: Any) -> Agent:
    """An agent whose whole program is a line of shell."""
    plain: dict[str, Any] = {
        "name": "sh",
        "command": ("sh", "-c", script),
        "timeout_s": 30.0,
        "idle_timeout_s": 0.0,
        "grace_s": 2.0,
        "retry": Retry(attempts=2, infrastructure=2, base_s=30.0),
    }
    return Agent(**plain | changes)


def an_ending(summary: str = "All is well.", outcome: Outcome = Outcome.SUCCEEDED) -> Ending:
    return Ending(outcome=outcome, result=Result(summary=summary))


@dataclass(kw_only=True)
class House(Rooms):
    """The rooms, and short ways to set up what a test is about."""

    # --- ways in ---

    def open_pull(self, **files: str) -> PullRequest:
        """Open one more pull request on the till."""
        return self.till.open_pull(
            head_ref=f"another-{self._serial()}",
            files=files or {"README.md": "Another.\n"},
            title="Another",
            author=payloads.AUTHOR,
            now=self.clock.moment(),
        )

    async def adopt(self, rule: Rule, agent: Agent) -> None:
        """Route by this rule from now on."""
        policy = self.policies[rule.name] = policy_of(rule, agent)
        await self.deliveries.save_policy(policy, self.clock.now())

    async def deliver(
        self,
        event: str = "pull_request.opened",
        *,
        number: int = 7,
        sender: Account = payloads.AUTHOR,
        text: str = "@covend-demo review",
    ) -> Accepted:
        """Send a webhook on a pull request as it is now."""
        scene = self.github.scene(
            self.till, number, serial=self._serial(), sender=sender, text=text
        )
        body = payloads.encode(payloads.SAMPLES[event](scene))
        headers = payloads.signed(body, WEBHOOK_SECRET, event.partition(".")[0], str(uuid4()))
        accepted = await self.intake().receive(fold(headers.items()), body)
        assert not isinstance(accepted, Refused)
        return accepted

    async def task(self, event: str = "pull_request.opened", **scene: Any) -> Task:
        """Send a webhook that asks for one task, and give it."""
        (made,) = (await self.deliver(event, **scene)).tasks
        return (await self.story(made)).task

    async def queued(self, **scene: Any) -> Task:
        """As `task`, and let it ripen."""
        made = await self.task(**scene)
        await self.ripen()
        return (await self.story(made.id)).task

    async def ripen(self) -> None:
        """Look up what received tasks need now, once."""
        async with anyio.create_task_group() as group:
            looks = SideBySide(group, at_once=AT_ONCE, bell=Wakeup())
            await self.ripening().ripen_due(looks)

    async def publish(self) -> None:
        """Send until nothing is due."""
        for _ in range(ROUNDS_MAX):
            async with anyio.create_task_group() as group:
                sends = SideBySide(group, at_once=AT_ONCE, bell=Wakeup())
                started = await self.publisher().publish_due(sends)
            if not started:
                return
        raise AssertionError("there is always something due")

    async def claimed(self, **scene: Any) -> Claim:
        """As `queued`, and claim it."""
        await self.queued(**scene)
        return await self.claim()

    async def look(self) -> Taken:
        """Look for the next task, as a free slot does."""
        return await self.tasks.claim(
            node="here",
            token=ClaimToken(self.clock.new_id()),
            now=self.clock.now(),
            lease_s=LEASE_S,
            terms=self.terms,
        )

    async def claim(self) -> Claim:
        """Take the next task."""
        taken = await self.look()
        assert taken.claim is not None, "there is nothing to claim"
        return taken.claim

    async def run(self, claim: Claim, stop: Stop | None = None) -> TaskStory:
        """Let a claimed task's attempt run to its end."""
        await self.attempts().run(claim, stop or Stop())
        return await self.story(claim.task.id)

    async def attempt(self, **scene: Any) -> TaskStory:
        """From a webhook to the end of one attempt."""
        return await self.run(await self.claimed(**scene))

    async def settled(
        self,
        ending: Ending | None = None,
        *,
        target: TaskState = TaskState.COMPLETED,
        files: Sequence[ChangedFile] | None = None,
        **scene: Any,
    ) -> Claim:
        """Settle a task without an agent: its effects wait in the outbox."""
        claim = await self.claimed(**scene)
        await self.settle(claim, ending, target=target, files=files)
        return claim

    async def settle(
        self,
        claim: Claim,
        ending: Ending | None = None,
        *,
        target: TaskState = TaskState.COMPLETED,
        files: Sequence[ChangedFile] | None = None,
    ) -> None:
        """As `settled`, what is claimed."""
        now = self.clock.now()
        policy, end = await self.tasks.policy_of(claim.task), ending or an_ending()
        drafts = plan_end(
            claim,
            policy,
            end,
            target=target,
            app=True,
            key=self.publishing.key,
            now=now,
            files=files,
        )
        effects = tuple((EffectId(self.clock.new_id()), draft) for draft in drafts)
        settlement = Settlement(target=target, reason="settled", ending=end, effects=effects)
        await self.tasks.settle(claim, settlement, now)

    async def announce(self, claim: Claim) -> None:
        """Put the check that says it is in progress into the outbox."""
        policy = await self.tasks.policy_of(claim.task)
        drafts = plan_start(claim, policy, app=True, key=self.publishing.key)
        effects = [(EffectId(self.clock.new_id()), draft) for draft in drafts]
        await self.tasks.announce(claim, effects, self.clock.now())

    # --- what became of it ---

    async def story(self, task: TaskId) -> TaskStory:
        story = await self.tasks.story(task)
        assert story is not None
        return story

    async def outbox(self) -> list[Effect]:
        """Every effect there is, oldest first."""
        found, _ = await self.effects.page(limit=100)
        return list(reversed(found))

    async def effect(self, kind: EffectKind = REVIEW) -> Effect:
        (found,) = [each for each in await self.outbox() if each.kind is kind]
        return found

    async def states(self) -> list[EffectState]:
        return [each.state for each in await self.outbox()]

    def posted(self, ending: str, method: str = "POST") -> list[Any]:
        """The bodies of requests to paths with this end, in order."""
        return [
            each.body
            for each in self.github.requests
            if each.method == method and each.path.endswith(ending)
        ]

    def meddle(self, statement: str, **parameters: object) -> None:
        """Change the database behind covend's back."""
        self.ask(statement, **parameters)

    def ask(self, statement: str, **parameters: object) -> list[tuple[Any, ...]]:
        """Read the database behind covend's back."""
        other = sqlite3.connect(self.folder / "covend.db", isolation_level=None)
        try:
            return other.execute(statement, parameters).fetchall()
        finally:
            other.close()

    def _serial(self) -> int:
        self._count = getattr(self, "_count", 0) + 1
        return self._count
