"""The machine of the promises as far as the world goes: covend lives, hears, claims and ends
attempts.

It promises nothing by itself: what has to hold is asked of it in `test_promises`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import (
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
    LIMITS,
    LITTLE_S,
    LOSSES,
    MEANWHILE,
    MOSTLY,
    PAUSES_S,
    RUNS,
    THEN,
    TRIPPED,
    VERBS,
)
from tests.services.happenings import KEEPER, PLACES, STRANGER, Told
from tests.services.lives import End, Life, Seat
from tests.services.oracles_of_answers import the_answer_is_right
from tests.services.oracles_of_asks import ASKS, asks_are_heard
from tests.services.oracles_of_claims import (
    budgets_of,
    comes_first,
    may_run,
    nothing_unwanted_runs,
    nothing_was_left,
)
from tests.services.oracles_of_guards import may_begin
from tests.services.oracles_of_places import nothing_goes_on_there
from tests.services.oracles_of_work import nothing_too_old_waits
from tests.services.rooms import LEASE_S
from tests.services.stage import Stage


class Machine(Stage):
    """What happens to it."""

    @initialize(
        limits=st.sampled_from(LIMITS),
        guards=st.sampled_from(sorted(GUARDS)),
        debounce_s=DEBOUNCES_S,
        opened=st.permutations(PLACES),
        hows=st.sampled_from([[], *TRIPPED]) | RUNS,
    )
    def begin(
        self,
        limits: Terms,
        guards: str,
        debounce_s: float,
        opened: list[Place],
        hows: list[str],
    ) -> None:
        """Start; on the first pull request it may go the same way again and again: so safeguards
        trip before there are others.
        """
        self.terms = replace(limits, safeguards=GUARDS[guards], host=HOST)
        self.debounce_s = debounce_s
        self.run(self.rise())
        for how in hows:
            if not self.now().open_tasks():
                self.hear(self.world.push(opened[0]))
            self.turn(61)
            self.step(Life.ripen)
            if (seat := self.take()) is not None:
                self.finish(seat, ENDS[how], None)
        for place in opened:
            self.hear(self.world.push(place))

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

    @precondition(lambda self: self.world.forge.made("check"))
    @rule(pick=st.integers(0, 3), is_of_all=st.booleans(), told=st.tuples(MOSTLY, MOSTLY))
    def ask_for_a_check(self, pick: int, is_of_all: bool, told: tuple[bool, bool]) -> None:
        """Ask for it to be made again."""
        self.turn(1)
        self.hear(self.world.rerequest(pick, is_of_all=is_of_all), is_told=told[0], hears=told[1])

    @rule(place=st.sampled_from(PLACES), how=LOSSES, told=st.tuples(MOSTLY, MOSTLY), then=THEN)
    def lose_or_give_back(self, place: Place, how: str, told: tuple[bool, bool], then: str) -> None:
        """Take a repository out of covend's reach; where one is, give that back first. One alone
        is ever lost for good.
        """
        self.turn(1)
        away = [each for each, why in self.world.lost.items() if why != "deleted"]
        news = None
        if away:
            news = self.world.give_back(away[0])
        elif how != "nothing" and place[0] not in self.world.lost:
            is_spared = how == "deleted" and place != PLACES[-1]
            news = self.world.lose(place[0], "suspended" if is_spared else how)
        self.hear(news, is_told=told[0], hears=told[1])
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
            the_answer_is_right(each, answer, self.watch, self.life.clock.now(), len(told) == 1)

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
        self.step(Life.ripen)
        self.step(Life.attend)
        if self.took(Life.end_gone):
            nothing_goes_on_there(self.now(), self.watch)
        before, asks = (
            self.now(),
            [each for each in self.watch.ask(ASKS) if each["state"] == "received"],
        )
        if self.took(Life.rerun):
            asks_are_heard(before, self.now(), asks, self.watch)
        if self.step(lambda life: life.closing().end_overdue()) is not None:
            nothing_too_old_waits(self.now())

    def took(self, act: Callable[[Life], Awaitable[Any]]) -> bool:
        """Move covend; say whether it has lived through that."""
        life = self.life
        self.step(act)
        return self.life is life

    @rule(gap_s=LITTLE_S, count=st.integers(1, 4), fates=st.lists(FATES, max_size=2))
    def claim(self, gap_s: int, count: int, fates: list[Fate]) -> None:
        """Fill some places, and leave them at work."""
        self.turn(gap_s)
        self.step(Life.ripen)
        with self.fated(fates):
            for _ in range(count):
                self.take()

    @rule(
        gap_s=LITTLE_S,
        hows=RUNS | st.lists(HOWS, min_size=1, max_size=3),
        usd=COSTS,
        pause_s=PAUSES_S,
    )
    def claim_and_end(self, gap_s: int, hows: list[str], usd: float | None, pause_s: int) -> None:
        """The usual way, so that there is time for what is not usual."""
        self.turn(gap_s)
        self.step(Life.ripen)
        for how in hows:
            if (seat := self.take()) is not None:
                self.finish(seat, ENDS[how], usd)
            self.turn(pause_s)

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
        budgets = [] if self.is_forgiven else budgets_of(after.tasks[claimed.id], terms)
        may_run(before, after, claimed.id, terms, budgets)
        may_begin(before, after, claimed.id, terms.safeguards, self.known)
        comes_first(before, after, claimed.id, terms)
        return seat

    @precondition(lambda self: self.seats())
    @rule(
        pick=st.integers(0, 3),
        how=HOWS,
        usd=COSTS,
        meanwhile=MEANWHILE,
        fates=st.lists(FATES, max_size=2),
        sends=st.just([]) | st.lists(FATES, max_size=4),
    )
    def end(
        self,
        pick: int,
        how: str,
        usd: float | None,
        meanwhile: str,
        fates: list[Fate],
        sends: list[Fate],
    ) -> None:
        """Let an attempt end that has not heard yet of what has happened meanwhile; or let that
        happen when some of its end is published, and some is not.
        """
        seats = self.seats()
        seat = seats[pick % len(seats)]
        if meanwhile == "pushed unheard":
            self.finish(seat, GOES_WELL, usd)
            self.befall(seat.running.claim.task, meanwhile)
            self.step(Life.publish)
        elif not sends:
            self.befall(seat.running.claim.task, meanwhile)
        if not seat.is_over:
            with self.fated(fates):
                self.finish(seat, ENDS[how], usd)
        if sends:
            with self.fated(sends):
                self.step(Life.publish)
            self.befall(seat.running.claim.task, meanwhile)

    def befall(self, task: Task, what: str) -> None:
        assert task.repository is not None
        assert task.subject.number is not None
        place = (task.repository, task.subject.number)
        match what:
            case "pushed":
                self.hear(self.world.push(place), hears=False)
            case "pushed unheard":
                self.world.push(place)
            case "asked":
                self.hear(self.world.rerequest(0, is_of_all=False), hears=False)
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
        self.hold()

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
            life = self.life
            self.step(Life.beat)
            if life is self.life:
                running = {each.claim.task.id for each in life.floor.running.values()}
                nothing_unwanted_runs(self.now(), running)
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
