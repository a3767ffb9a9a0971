"""What the machine of the promises stands on: a store, the lives that follow each other on it, the
world around them and their time, and what is asked after each step.
"""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from typing import Any, cast

from hypothesis.stateful import RuleBasedStateMachine

from tests.services.ground import LEFT, LIMITS, Found, Ground, policies
from tests.services.hand_clock import HandClock
from tests.services.happenings import World
from tests.services.lives import Life, Seat, moved, newest_moment
from tests.services.mortal import Mortal
from tests.services.oracles_of_asks import no_ask_is_heard_twice
from tests.services.oracles_of_effects import the_world_sees_the_work
from tests.services.oracles_of_guards import Known
from tests.services.oracles_of_reviews import findings_are_about_the_head
from tests.services.oracles_of_work import work_adds_up
from tests.services.promises import Now, Watch


class Stage(RuleBasedStateMachine):
    """One store, its lives, and the world around it."""

    def __init__(self, ground: Ground) -> None:
        super().__init__()
        self.ground = ground
        self.world = World()
        self.path = ground.new_store()
        self.watch = Watch(path=self.path, forge=self.world.forge, told=self.world.told)
        self.tokens: list[Any] = []
        self.jump_s = 0.0
        self.known = Known()
        self.is_forgiven = False
        """Whether somebody has reset a budget: then less is known of what was spent."""
        self.life: Life
        self.lives = itertools.count(1)
        self.terms = LIMITS[0]
        self.debounce_s = 0.0

    # --- lives ------------------------------------------------------------------------------------

    def run(self, step: Awaitable[Found]) -> Found:
        async def take() -> Found:
            return await step

        return self.ground.runner.run(take())

    def step(self, act: Callable[[Life], Awaitable[Found]]) -> Found | None:
        """Move covend; where it dies of that, it is started again. None where it has died."""
        done = self.run(moved(self.life, act(self.life)))
        if not self.is_dead:
            self.run(moved(self.life, self.life.let_out()))
        if self.is_dead:
            self.run(self.fall())
            self.run(self.rise())
            return None
        return done

    @property
    def is_dead(self) -> bool:
        return self.life.mortal.dead.is_set()

    async def rise(self) -> None:
        """Start, as the daemon does: the clock never behind what is stored, recovery first."""
        connection = Mortal(self.path, self.ground.queries)
        known = await newest_moment(connection, self.path)
        wall = self.world.at + round(1000 * self.jump_s)
        folder = self.path.parent / str(next(self.lives))
        folder.mkdir()
        self.life = Life(
            folder=folder,
            github=self.ground.github,
            till=cast("Any", None),
            clock=HandClock(max(wall, known + 1)),
            session=cast("Any", None),
            connection=cast("Any", connection),
            containment=cast("Any", None),
            metrics=self.ground.metrics,
            terms=self.terms,
            tokens=self.tokens,
            world=self.world,
        )
        await self.life.adopt(policies(self.debounce_s))
        await self.life.recovery().run()
        left = (*self.now().running(), *self.watch.ask(LEFT))
        assert not left, "what a former life was at is nobody's"

    async def fall(self) -> None:
        await self.life.kill()
        self.life.mortal.close()

    def hold(self) -> None:
        """Hold every promise against what there is."""
        now, fresh = self.now(), self.watch.fresh()
        self.watch.look(self.life.clock.now(), self.terms, self.tokens)
        for kind, text, head in fresh:
            findings_are_about_the_head(kind, text, head, now)
        work_adds_up(now, self.watch, is_forgiven=self.is_forgiven)
        the_world_sees_the_work(now, self.watch)
        no_ask_is_heard_twice(now, self.watch)

    # --- what is there ----------------------------------------------------------------------------

    def now(self) -> Now:
        return self.watch.now(self.life.clock.now())

    def seats(self) -> list[Seat]:
        """What is at work in this life, in sight or not."""
        return [seat for seat in self.life.seats.values() if not seat.is_over]

    def turn(self, seconds: float) -> None:
        self.world.at += round(1000 * seconds)
        self.life.clock.turn(s=seconds)
