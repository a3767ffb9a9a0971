"""The machine of the promises as far as the world goes: covend lives, hears, claims and ends
attempts.

It promises nothing by itself: what has to hold is asked of it in `test_promises`.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from math import inf
from typing import Any, cast

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
)

from covend.core.errors import UserError
from covend.core.model import Task, Usage
from covend.core.safeguards.shapes import Terms
from covend.demo import payloads
from covend.demo.records import Account
from covend.store.protocol import Accepted
from tests.services.forge import Fate, Place
from tests.services.ground import (
    COSTS,
    DEBOUNCES_S,
    ENDS,
    FATES,
    GAPS_S,
    GOES_WELL,
    GUARDS,
    HOST,
    HOUR_S,
    HOWS,
    LEFT,
    LIMITS,
    LITTLE_S,
    MEANWHILE,
    MOSTLY,
    PER_SUBJECT,
    THEN,
    VERBS,
    Found,
    Ground,
    policies,
)
from tests.services.hand_clock import HandClock
from tests.services.happenings import KEEPER, PLACES, STRANGER, Told, World
from tests.services.lives import End, Life, Seat, moved, newest_moment
from tests.services.mortal import Mortal
from tests.services.promises import Budget, Now, Watch, may_run, nothing_was_left
from tests.services.rooms import LEASE_S


class Machine(RuleBasedStateMachine):
    """One store, its lives, and the world around it."""

    def __init__(self, ground: Ground) -> None:
        super().__init__()
        self.ground = ground
        self.world = World()
        self.path = ground.new_store()
        self.watch = Watch(path=self.path, forge=self.world.forge, told=self.world.told)
        self.tokens: list[Any] = []
        self.jump_s = 0.0
        self.is_forgiven = False
        """Whether somebody has reset a budget: then less is known of what was spent."""
        self.life: Life
        self.lives = itertools.count(1)
        self.terms = LIMITS[0]
        self.debounce_s = 0.0

    @initialize(
        limits=st.sampled_from(LIMITS),
        guards=st.sampled_from(sorted(GUARDS)),
        debounce_s=DEBOUNCES_S,
        opened=st.permutations(PLACES),
    )
    def begin(self, limits: Terms, guards: str, debounce_s: float, opened: list[Place]) -> None:
        self.terms = replace(limits, safeguards=GUARDS[guards], host=HOST)
        self.debounce_s = debounce_s
        self.run(self.rise())
        for place in opened:
            self.hear(self.world.push(place))

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

    # --- what is there ----------------------------------------------------------------------------

    def now(self) -> Now:
        return self.watch.now(self.life.clock.now())

    def seats(self) -> list[Seat]:
        """What is at work in this life, in sight or not."""
        return [seat for seat in self.life.seats.values() if not seat.is_over]

    def turn(self, seconds: float) -> None:
        self.world.at += round(1000 * seconds)
        self.life.clock.turn(s=seconds)

    # --- the world --------------------------------------------------------------------------------

    @rule(place=st.sampled_from(PLACES), gap_s=GAPS_S, is_told=MOSTLY, hears=MOSTLY, then=THEN)
    def push(self, place: Place, gap_s: int, is_told: bool, hears: bool, then: str) -> None:
        self.turn(gap_s)
        self.hear(self.world.push(place), is_told=is_told, hears=hears)
        self.go_on(then)

    @precondition(lambda self: self.world.forge.heads)
    @rule(
        place=st.sampled_from(PLACES),
        what=st.sampled_from(["close", "passed", "failed", *VERBS]),
        who=st.sampled_from([KEEPER, payloads.AUTHOR, STRANGER]),
        gap_s=GAPS_S,
        told=st.tuples(MOSTLY, MOSTLY),
        then=THEN,
    )
    def happen(
        self,
        place: Place,
        what: str,
        who: Account,
        gap_s: int,
        told: tuple[bool, bool],
        then: str,
    ) -> None:
        """Close it or open it again, let the checks of its head end, or let somebody say a word."""
        self.turn(gap_s)
        self.hear(self.happened(place, what, who), is_told=told[0], hears=told[1])
        self.go_on(then)

    def happened(self, place: Place, what: str, who: Account) -> Told | None:
        match what:
            case "close":
                return self.world.close(place)
            case "passed" | "failed":
                return self.world.check(place, {"passed": "success"}.get(what, "failure"))
            case _:
                return self.world.say(place, f"@{self.life.mention} {what}", who)

    def hear(self, told: Told | None, *, is_told: bool = True, hears: bool = True) -> None:
        if told is not None and is_told:
            self.life.hears = hears
            self.deliver([told])
            self.life.hears = True

    @precondition(lambda self: self.world.told)
    @rule(picks=st.lists(st.integers(0, 5), min_size=1, max_size=3), is_new_id=st.booleans())
    def deliver_late_or_again(self, picks: list[int], is_new_id: bool) -> None:
        """Those that nobody has heard of go first; several of them at the same instant."""
        told = sorted(self.world.told, key=lambda each: each.accepted is not None)
        self.deliver([told[pick % len(told)] for pick in picks], is_new_id=is_new_id)

    def deliver(self, told: Sequence[Told], *, is_new_id: bool = False) -> None:
        async def at_once(life: Life) -> list[Accepted]:
            ids = [self.world.new_id() if is_new_id else None for _ in told]
            return await asyncio.gather(*map(life.receive, told, ids))

        answers = self.step(at_once)
        for each, answer in zip(told, answers or (), strict=False):
            self.check_answer(each, answer, is_alone=len(told) == 1)

    def check_answer(self, told: Told, answer: Accepted, *, is_alone: bool) -> None:
        """A repetition gets the first answer; work that is asked for is there, and will be done."""
        if told.accepted is not None:
            assert answer.duplicate
            assert set(answer.tasks) == set(told.accepted.tasks)
            return
        told.accepted = answer
        if is_alone:
            self.watch.does_the_work(answer.tasks, self.life.clock.now())
        if answer.reason == "stale":
            others = [each for each in self.world.told if each.place == told.place]
            assert any(each.at >= told.at for each in others if each is not told)
        assert (answer.state == "routed") == bool(answer.tasks)

    # --- covend's loops ---------------------------------------------------------------------------

    @rule(looks=st.lists(FATES, max_size=3), sends=st.none() | st.lists(FATES, max_size=5))
    def serve(self, looks: list[Fate], sends: list[Fate] | None) -> None:
        """Let every loop but the claims look once; what is to be seen may wait."""
        with self.fated(looks):
            self.look()
        if sends is not None:
            with self.fated(sends):
                self.step(Life.publish)

    def look(self) -> None:
        for act in (Life.ripen, Life.attend, lambda life: life.closing().end_overdue()):
            self.step(act)

    @rule(gap_s=LITTLE_S, count=st.integers(1, 4), fates=st.lists(FATES, max_size=2))
    def claim(self, gap_s: int, count: int, fates: list[Fate]) -> None:
        """Fill some places, and leave them at work."""
        self.turn(gap_s)
        self.step(Life.ripen)
        with self.fated(fates):
            for _ in range(count):
                self.take()

    @rule(gap_s=LITTLE_S, hows=st.lists(HOWS, min_size=1, max_size=3), usd=COSTS)
    def claim_and_end(self, gap_s: int, hows: list[str], usd: float | None) -> None:
        """The usual way, so that there is time for what is not usual."""
        self.turn(gap_s)
        self.step(Life.ripen)
        for how in hows:
            if (seat := self.take()) is not None:
                self.finish(seat, ENDS[how], usd)

    @contextmanager
    def fated(self, fates: Sequence[Fate]) -> Iterator[None]:
        """Let the next requests go so, as far as a step makes as many."""
        self.world.forge.fates.extend(fates)
        yield
        self.world.forge.fates.clear()

    def take(self) -> Seat | None:
        before, terms = self.now(), self.terms
        answer = self.step(Life.claim)
        if answer is None:
            return None
        (_, seat), after = answer, self.now()
        if seat is None:
            nothing_was_left(after, terms)
            return None
        assert seat.running.claim.task.id not in {task["id"] for task in before.running()}
        claimed = seat.running.claim.task
        may_run(before, after, claimed.id, terms, self.budgets(claimed))
        return seat

    def budgets(self, task: Task) -> list[Budget]:
        """List what bounds a claim, unless somebody has let budgets begin anew."""
        bounds = (
            Budget(per=("day",), usd=self.terms.usd_per_day or inf),
            Budget(per=("repository", "day"), usd=self.terms.usd_per_repository_per_day or inf),
            Budget(per=("rule", "subject"), usd=PER_SUBJECT[task.rule]),
            Budget(per=("agent", "subject"), usd=PER_SUBJECT[task.agent]),
        )
        return [] if self.is_forgiven else [each for each in bounds if each.usd != inf]

    @precondition(lambda self: self.seats())
    @rule(
        pick=st.integers(0, 3),
        how=HOWS,
        usd=COSTS,
        meanwhile=MEANWHILE,
        fates=st.lists(FATES, max_size=2),
    )
    def end(
        self, pick: int, how: str, usd: float | None, meanwhile: str, fates: list[Fate]
    ) -> None:
        """Let an attempt end that has not heard yet of what has happened meanwhile."""
        seats = self.seats()
        seat = seats[pick % len(seats)]
        self.befall(seat.running.claim.task, meanwhile)
        if not seat.is_over:
            with self.fated(fates):
                self.finish(seat, ENDS[how], usd)

    def befall(self, task: Task, what: str) -> None:
        assert task.repository is not None
        assert task.subject.number is not None
        place = (task.repository, task.subject.number)
        match what:
            case "pushed":
                self.hear(self.world.push(place), hears=False)
            case "closed":
                self.hear(self.world.close(place), hears=False)
            case "opened again":
                for _ in range(2):
                    self.hear(self.world.close(place), hears=False)
                self.turn(6)
                self.step(Life.ripen)
                self.take()
            case "cancelled":
                self.life.hears = False
                self.operate(partial(self.done, "cancel", task.id))
                self.life.hears = True
            case "lost":
                self.turn(LEASE_S)
                self.life.floor.running.clear()
                self.step(Life.sweep)

    def finish(self, seat: Seat, how: Callable[[Usage, int], End], usd: float | None) -> None:
        end = how(Usage(cost_usd=usd), self.life.clock.now())
        self.step(lambda life: life.finish(seat, end))

    @rule(pick=st.none() | st.integers(0, 3))
    def beat(self, pick: int | None) -> None:
        """Renew what is in sight, and give back what is not; or lose sight of one that goes on: its
        late end must change nothing.
        """
        if pick is not None and (seats := self.seats()):
            self.life.lose(seats[pick % len(seats)])
        else:
            self.step(Life.beat)
            self.step(Life.sweep)

    @rule(
        seconds=st.sampled_from([1.0, 10.0, 65.0, LEASE_S + 1, 400.0, HOUR_S, 9 * HOUR_S]),
        then=THEN,
    )
    def time_goes_by(self, seconds: float, then: str) -> None:
        self.turn(seconds)
        self.go_on(then)

    def go_on(self, then: str) -> None:
        """Let covend go on a little, so that there is always something at work."""
        seats = self.seats()
        match then:
            case "claim":
                self.step(Life.ripen)
                self.take()
            case "publish":
                self.step(Life.publish)
            case "end" if seats:
                self.finish(seats[0], GOES_WELL, None)
            case "serve":
                self.look()

    @staticmethod
    async def done(verb: str, task: str, life: Life) -> None:
        await getattr(life.operations, verb)(task)

    def operate(self, act: Callable[[Life], Awaitable[Any]]) -> None:
        """Do it, or be told why not."""

        async def tried(life: Life) -> None:
            try:
                await act(life)
            except UserError as error:
                assert str(error)  # noqa: PT017  what is refused says why

        self.step(tried)
