"""A house in which somebody attends to commands, with operations that note what they are asked."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import anyio

from covend.core.model import Task
from covend.core.safeguards.shapes import Safeguard
from covend.core.states import TaskState
from covend.demo import payloads
from covend.demo.records import Account
from covend.services.auditing import Auditing
from covend.services.commanding import Commanding
from covend.services.operations import Operations
from covend.services.side_by_side import SideBySide
from covend.services.wakeups import Wakeup
from covend.store.auditing import StoredAudit
from covend.store.commands import StoredCommands
from covend.store.guards import StoredGuards
from tests.services.house import AT_ONCE, House

COMMENT = "issue_comment.created"
KEEPER = payloads.MAINTAINER
STRANGER = Account(login="passing-by", id=77)
BY = f"@{KEEPER.login}"


class Desk(Operations):
    """Operations that note what they are asked for, and then do it."""

    def __init__(self, house: House) -> None:
        super().__init__(
            tasks=house.tasks,
            guards=StoredGuards(house.connection),
            clock=house.clock,
            wakeups=house.wakeups,
            metrics=house.metrics,
            settlements=house.settlements,
            stop_attempt=lambda *_: True,
            on_drain=lambda _: None,
        )
        self.asked: list[tuple[str, str, str]] = []

    async def cancel(self, task: str, why: str = "", *, by: str = "") -> Task:
        self.asked.append(("cancel", task, by))
        return await super().cancel(task, why, by=by)

    async def retry(self, task: str, why: str = "", *, by: str = "") -> Task:
        self.asked.append(("retry", task, by))
        return await super().retry(task, why, by=by)

    async def approve(self, task: str, *, by: str = "") -> Task:
        self.asked.append(("approve", task, by))
        return await super().approve(task, by=by)

    async def pause(self, scope: str, why: str = "", *, by: str = "") -> Safeguard:
        self.asked.append(("pause", scope, by))
        return await super().pause(scope, why, by=by)

    async def resume(self, scope: str, why: str = "", *, by: str = "") -> tuple[Safeguard, ...]:
        self.asked.append(("resume", scope, by))
        return await super().resume(scope, why, by=by)


@dataclass
class Talk:
    """A house in which somebody attends to commands."""

    house: House
    commands: StoredCommands = field(init=False)
    desk: Desk = field(init=False)

    def __post_init__(self) -> None:
        self.commands = StoredCommands(self.house.connection)
        self.desk = Desk(self.house)

    def commanding(self) -> Commanding:
        house = self.house
        return Commanding(
            commands=self.commands,
            operations=self.desk,
            github=house.client,
            clock=house.clock,
            wakeups=house.wakeups,
            key=house.publishing.key,
            verbs=lambda: ("review",),
            auditing=Auditing(audit=StoredAudit(house.connection), clock=house.clock),
        )

    async def say(
        self, words: str, *, sender: Account = KEEPER, event: str = COMMENT, number: int = 7
    ) -> str:
        """Write a comment, and give its delivery."""
        kept = await self.house.deliver(event, number=number, sender=sender, text=words)
        return kept.delivery

    async def attend(self) -> None:
        """Attend to what is due, once."""
        async with anyio.create_task_group() as group:
            talks = SideBySide(group, at_once=AT_ONCE, bell=Wakeup())
            await self.commanding().attend_due(talks)

    async def hear(self, words: str, **said: Any) -> tuple[str, str]:
        """Say it and attend to it once; give the state and reason it has then, publish answers."""
        delivery = await self.say(words, **said)
        await self.attend()
        await self.house.publish()
        return self.state(delivery)

    def state(self, delivery: str) -> tuple[str, str]:
        statement = "SELECT state, reason FROM commands WHERE delivery_id = :id"
        ((state, reason),) = self.house.ask(statement, id=delivery)
        return state, reason

    def reactions(self) -> list[str]:
        return [each.content for each in self.house.github.state.reactions]

    def answers(self) -> list[str]:
        return [each.body for each in self.house.github.state.comments]


async def held(house: House) -> Task:
    """A task on a stranger's pull request, which waits for somebody's yes."""
    house.github.add_account(STRANGER)
    house.till.pulls[7] = replace(house.till.pulls[7], author=STRANGER, association="NONE")
    return await house.queued(sender=STRANGER)


async def failed(house: House) -> Task:
    """A task that has failed a while ago."""
    claim = await house.settled(target=TaskState.FAILED)
    house.clock.turn(s=60)
    return (await house.story(claim.task.id)).task


async def state_of(house: House, task: Task) -> TaskState:
    return (await house.story(task.id)).task.state
