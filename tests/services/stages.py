"""An attempt that stands still at a chosen stage, for tests that end it there: what it waits for
never comes, unless the test lets it.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import anyio

from covend.core.errors import StoreBusyError
from covend.core.model import Claim
from covend.core.settings import Checkout
from covend.demo.github import Fault
from covend.edges import proc
from covend.services.stopping import Stop
from covend.store.protocol import TaskStory
from covend.store.tasks import StoredTasks
from tests.services.fifo import Fifo
from tests.services.house import House, a_rule, an_agent
from tests.services.writing import writing

WITHIN_S = 20.0
"""Far more than any end takes; far less than what it would wait for without a stop."""
FOUND = writing(
    conclusion="failure", summary="Found.", review={"event": "COMMENT", "comments": []}, session="s"
)
Reached = Callable[[], Awaitable[object]]


def stubborn(fifo: Path, *, then: str) -> str:
    """Shell that starts an escaper, says `started`, and answers SIGTERM with a late result."""
    say = f"> {shlex.quote(str(fifo))}"
    return (
        f"late() {{ {FOUND}; echo asked {say}; {then}; }}; trap late TERM; "
        "(trap '' TERM; exec setsid sleep 1000) & "
        f"echo started {say}; while :; do sleep 1000 & wait $!; done"
    )


class StandingStore(StoredTasks):
    """A store that keeps its caller waiting, or is busy, at one of its verbs."""

    def __init__(self, house: House) -> None:
        super().__init__(house.connection)
        self.stands_at = ""
        self.is_busy = False
        self.reached = anyio.Event()
        self.released = anyio.Event()

    async def announce(self, *given: Any) -> None:
        await self._stand("announce")
        await super().announce(*given)

    async def note_phase(self, *given: Any) -> None:
        await self._stand("note_phase")
        await super().note_phase(*given)

    async def note_process(self, *given: Any) -> None:
        await self._stand("note_process")
        await super().note_process(*given)

    async def settle(self, *given: Any) -> Any:
        await self._stand("settle")
        return await super().settle(*given)

    async def _stand(self, verb: str) -> None:
        if verb != self.stands_at:
            return
        self.reached.set()
        if self.is_busy:
            raise StoreBusyError
        await self.released.wait()


@dataclass(kw_only=True)
class Scene:
    """One attempt, and what is needed to stand in its way."""

    house: House
    claim: Claim
    fifo: Fifo
    tasks: StandingStore
    stop: Stop = field(default_factory=Stop)

    def at(self, verb: str, *, busy: bool = False) -> Reached:
        self.tasks.stands_at, self.tasks.is_busy = verb, busy
        return self.tasks.reached.wait

    def at_request(self, method: str, path: str) -> Reached:
        """Hold a request to GitHub, of a client that has no token yet."""
        self.house.client = self.house.new_client()
        return self.house.github.faults.add(method, path, Fault.HELD).reached.wait

    def at_line(self, wanted: str) -> Reached:
        return partial(self._wait_for, wanted)

    async def _wait_for(self, wanted: str) -> None:
        while await self.fifo.line() != wanted:
            pass

    def let_end(self) -> None:
        """Let go of an agent in its grace, and of a settlement: what no stop cuts short."""
        _leave(self.fifo.path).touch()
        if self.tasks.stands_at == "settle":
            self.tasks.released.set()

    async def run(self) -> None:
        """Let the attempt run to its end."""
        await self.house.attempts(self.tasks).run(self.claim, self.stop)

    async def story(self) -> TaskStory:
        return await self.house.story(self.claim.task.id)

    def assert_nothing_is_left(self) -> None:
        """No process of the agent nor of covend's own git, no tree, no workspace."""
        mark = f"COVEND_TASK={self.claim.task.id}".encode()
        living = [pid for pid, each in proc.processes().items() if each.is_alive]
        assert [pid for pid in living if mark in proc.environment(pid)] == []
        assert descendants() == []
        assert self.house.containment.open_trees() == []
        assert [*self.house.folder.glob("workspaces/*")] == []


def descendants() -> list[proc.Process]:
    """Give what this process has started, and that has started, and so on, as far as it lives."""
    everybody = [each for each in proc.processes().values() if each.is_alive]
    found = {os.getpid()}
    while more := {each.pid for each in everybody if each.parent in found} - found:
        found |= more
    return [each for each in everybody if each.pid in found - {os.getpid()}]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Where an attempt stands: what its agent does (given the fifo), and what it waits for."""

    stand: Callable[[Scene], Reached]
    script: Callable[[Path], str] = lambda _: FOUND
    timeout_s: float = 30.0
    grace_s: float = 1.0
    supersede: bool = True
    """Of its rule; without it, only the end looks whether the head has moved."""


def lingering(fifo: Path) -> str:
    """Be asked to end, and do so only when the test has let it."""
    wait = f"until test -e {shlex.quote(str(_leave(fifo)))}; do sleep 0.02; done"
    return stubborn(fifo, then=f"{wait}; exit 0")


def _leave(fifo: Path) -> Path:
    return fifo.with_name("may-end")


_GIT = "*/acme/till.git/info/refs"

STAGES = {
    "announcing": Stage(stand=lambda scene: scene.at("announce")),
    "asking a busy store": Stage(stand=lambda scene: scene.at("announce", busy=True)),
    "asking for a token": Stage(stand=lambda scene: scene.at_request("POST", "*/access_tokens")),
    "looking at the head": Stage(stand=lambda scene: scene.at_request("GET", "*/pulls/7")),
    "fetching": Stage(stand=lambda scene: scene.at_request("GET", _GIT)),
    "checked out": Stage(stand=lambda scene: scene.at("note_phase")),
    "behind the gate": Stage(stand=lambda scene: scene.at("note_process")),
    "running": Stage(
        stand=lambda scene: scene.at_line("started"), script=partial(stubborn, then="exit 0")
    ),
    "in its grace": Stage(
        stand=lambda scene: scene.at_line("asked"),
        script=lingering,
        timeout_s=0.5,
        grace_s=WITHIN_S,
    ),
    "comparing heads": Stage(
        stand=lambda scene: scene.at_request("GET", "*/pulls/7"), supersede=False
    ),
    "settling": Stage(stand=lambda scene: scene.at("settle")),
}


async def set_up(house: House, stage: Stage, fifo: Fifo, **agent: Any) -> tuple[Scene, Reached]:
    """Claim a task whose attempt will stand at a stage."""
    script = stage.script(fifo.path)
    plain: dict[str, Any] = {"timeout_s": stage.timeout_s, "grace_s": stage.grace_s}
    rule = a_rule(checkout=Checkout.HEAD, supersede=stage.supersede)
    await house.adopt(rule, an_agent(script, **plain | agent))
    claim = await house.claimed()
    scene = Scene(house=house, claim=claim, fifo=fifo, tasks=StandingStore(house))
    return scene, stage.stand(scene)
