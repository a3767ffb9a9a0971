"""Whatever happens, in whatever order: nothing is lost, nothing runs twice, nothing is seen twice,
and in the end everything is done.

A machine takes real services on a real store through deliveries, claims, ends of every kind,
crashes at any write, jumps of the clock and whatever operators do, and holds the promises after
each step. At the end it lets everything go, and all of it has to come to an end.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from covend.core.safeguards.shapes import FOREVER, Terms
from covend.core.states import EffectState, TaskState
from covend.services.concluding import SETTLED_S
from covend.store.queries import load_queries
from covend.store.sqlite.connection import open_sqlite
from covend.store.sqlite.migrate import migrate
from tests.services.ground import (
    DEBOUNCES_S,
    EXAMPLES,
    FAILED,
    GOES_WELL,
    GUARDS,
    HOST,
    JUMPS_S,
    LIMITS,
    MEANT,
    MOSTLY,
    ON_PULLS,
    ROUNDS_MAX,
    SCOPES,
    STEPS,
    THEN,
    UNSHOWN,
    Ground,
    policies,
)
from tests.services.lives import Life
from tests.services.machine import Machine
from tests.services.oracles_of_effects import in_the_end_the_truth_is_shown
from tests.services.promises import Now


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    queries = load_queries(files("covend.store.sqlite") / "queries")
    with asyncio.Runner() as runner:

        async def make() -> None:
            async with open_sqlite(tmp_path / "first.db", queries, migrate):
                pass

        runner.run(make())
        yield Ground(folder=tmp_path, runner=runner, queries=queries)


class Promises(Machine):
    """The machine, with whatever ends covend, what operators do, and what has to hold."""

    def teardown(self) -> None:
        try:
            if hasattr(self, "life"):
                self.drain()
                self.run(self.fall())
        finally:
            self.watch.close()
            shutil.rmtree(self.path.parent)

    # --- ends of covend ---------------------------------------------------------------------------

    @rule(
        how=st.sampled_from(["soon", "killed", "asked"]),
        writes=st.integers(0, 3),
        is_written=st.booleans(),
        limits=st.sampled_from(LIMITS),
        jump_s=JUMPS_S,
    )
    def die(self, how: str, writes: int, is_written: bool, limits: Terms, jump_s: float) -> None:
        """Die at one of the next writes; or now, killed or asked to end: then what runs is given
        back first. At the next start the clock may have jumped, and limits are others.
        """
        self.jump_s = jump_s
        if how == "soon":
            self.life.mortal.light(writes, is_written=is_written)
            return
        if how == "asked":
            self.step(Life.interrupt)
        self.terms = replace(limits, safeguards=self.terms.safeguards, host=HOST)
        self.run(self.fall())
        self.run(self.rise())

    # --- operators --------------------------------------------------------------------------------

    @precondition(lambda self: self.watch.ask("SELECT 1 FROM tasks"))
    @rule(
        verb=st.sampled_from(["cancel", "retry", "approve"]), pick=st.integers(0, 5), hears=MOSTLY
    )
    def ask_for_a_task(self, verb: str, pick: int, hears: bool) -> None:
        """Ask it of one that this may be about, if there is one."""
        tasks = sorted(self.now().tasks.values(), key=lambda each: each["id"], reverse=True)
        meant = [each for each in tasks if each["state"] in MEANT[verb]] or tasks
        self.life.hears = hears
        self.operate(partial(self.done, verb, meant[pick % len(meant)]["id"]))
        self.life.hears = True

    @precondition(lambda self: self.watch.ask(FAILED))
    @rule(pick=st.integers(0, 5))
    def ask_for_an_effect(self, pick: int) -> None:
        """Ask for one that could not be shown to be sent again."""
        failed = self.watch.ask(FAILED)
        self.operate(partial(self.resent, failed[pick % len(failed)]["id"]))

    @staticmethod
    async def resent(effect: str, life: Life) -> None:
        await life.resending.retry(effect)

    @rule(scope=st.sampled_from(SCOPES), pick=st.integers(0, 3), then=THEN)
    def hold_or_let_go(self, scope: str, pick: int, then: str) -> None:
        """Hold something; where anything is held, let go of that, or reset what counts."""
        guards = self.now().guards
        held = [each for each in guards.values() if each["kind"] in ("pause", "drain")]
        if held:
            self.operate(lambda life: life.operations.resume(held[0]["scope"]))
        elif guards and pick:
            self.let_go(sorted(guards)[pick % len(guards)])
        elif scope == "drain":
            self.operate(lambda life: life.operations.drain())
        else:
            self.operate(lambda life: life.operations.pause(scope))
        self.go_on(then)

    def let_go(self, safeguard: str) -> None:
        self.is_forgiven |= safeguard.startswith("budget/")
        self.operate(lambda life: life.operations.reset(safeguard))
        self.known.note_reset(safeguard, self.now())

    @rule(guards=st.sampled_from(sorted(GUARDS)), debounce_s=DEBOUNCES_S)
    def reload(self, guards: str, debounce_s: float) -> None:
        if self.terms.safeguards != GUARDS[guards]:
            self.known.note_reload(self.now())
        self.terms = replace(self.terms, safeguards=GUARDS[guards])
        self.debounce_s = debounce_s
        self.life.terms = self.terms
        self.step(lambda life: life.adopt(policies(debounce_s)))

    # --- what has to hold -------------------------------------------------------------------------

    @invariant()
    def every_promise_holds(self) -> None:
        self.hold()

    # --- and in the end ---------------------------------------------------------------------------

    def drain(self) -> None:
        """Let everything go, tell all that was not told, and see all of it done."""
        self.world.forge.fates.clear()
        self.life.mortal.forget()
        for repository in list(self.world.lost):
            self.turn(1)
            self.world.give_back(repository)
        self.deliver([told for told in self.world.told if told.accepted is None])
        for _ in range(ROUNDS_MAX):
            self.let_all_go()
            self.do_what_is_due()
            self.every_promise_holds()
            if not (waiting := self.what_waits()):
                break
            self.turn(self.wait_s())
        else:
            raise AssertionError(f"this never ends: {waiting}")
        self.all_is_well()

    def let_all_go(self) -> None:
        for guard in self.now().guards.values():
            if guard["kind"] != "rate":
                self.let_go(guard["id"])
        for task in self.now().open_tasks():
            if task["reason"] == "approval":
                self.operate(partial(self.done, "approve", task["id"]))
        for effect in self.watch.ask(UNSHOWN):
            self.operate(partial(self.resent, effect["id"]))

    def do_what_is_due(self) -> None:
        self.look()
        for sitting in self.seats():
            self.finish(sitting, GOES_WELL, None)
        while (seat := self.take()) is not None:
            self.finish(seat, GOES_WELL, None)
        self.step(Life.sweep)
        self.look()
        self.step(Life.conclude)
        self.step(Life.publish)

    def what_waits(self) -> list[str]:
        """Say what is not at its end."""
        now = self.now()
        waiting = [f"{t['rule']} {t['state']}: {t['reason']}" for t in now.open_tasks()]
        waiting += [
            f"{effect['kind']} {effect['state']}: {effect['error']}"
            for effect in now.effects
            if effect["state"] in ("pending", "sending", "unknown")
        ]
        commands = self.watch.ask("SELECT verb, reason FROM commands WHERE state = 'received'")
        waiting += [f"{row['verb']}: {row['reason']}" for row in commands]
        asks = self.watch.ask("SELECT reason FROM reruns WHERE state = 'received'")
        waiting += [f"an ask: {row['reason']}" for row in asks]
        return waiting + self.goes_on()

    def goes_on(self) -> list[str]:
        """List the checks that show no end, where covend can do anything about it."""
        forge = self.world.forge
        return [
            f"a check goes on: {each.path}"
            for each in forge.made("check")
            if forge.shown[each.remote]["status"] != "completed"
            and not any(f"/{lost}/" in each.path for lost in self.world.lost)
        ]

    def wait_s(self) -> float:
        """Give the seconds to the next moment at which anything is due."""
        now, at = self.now(), self.life.clock.now()
        moments = [task["not_before_at"] for task in now.open_tasks()]
        moments += [task["lease_until_at"] for task in now.running()]
        moments += [effect["not_before_at"] for effect in now.effects if effect["done_at"] is None]
        for table in ("commands", "reruns"):
            moments += [row[0] for row in self.watch.ask(f"SELECT not_before_at FROM {table}")]
        if self.goes_on():
            ends = (task["finished_at"] for task in now.tasks.values())
            moments += [each + round(1000 * SETTLED_S) for each in ends if each]
        coming = [moment for moment in moments if at < moment < FOREVER]
        return max(1, min(coming, default=at + 1000) - at) / 1000

    def all_is_well(self) -> None:
        """What was asked for is done or has an end, and the world does not see it in progress."""
        now, forge = self.now(), self.world.forge
        for effect in now.effects:
            is_failed = effect["state"] == EffectState.FAILED
            assert not is_failed or self.is_past(effect), f"it is not shown: {effect['error']}"
        for place, head in forge.heads.items():
            is_there = place not in forge.closed and place[0] not in self.world.lost
            assert head not in forge.asked or not is_there, "asked for again, and nothing came"
        in_the_end_the_truth_is_shown(now, self.watch, self.world.lost.keys())
        for place, head in forge.heads.items():
            if place not in forge.closed:
                self.is_looked_at(now, place, head)

    def is_past(self, effect: sqlite3.Row) -> bool:
        """Say whether an effect must not be shown any more, or has no place to be shown in."""
        now = self.now()
        task = now.tasks.get(effect["task_id"] or "")
        is_over = task is not None and (task["superseded_by"] or task["state"] == "superseded")
        others = [each for each in now.effects if each["slot"] == effect["slot"]]
        is_newer = any(
            each["state"] == "done"
            and (each["id"] > effect["id"] or each["task_id"] > effect["task_id"])
            for each in others
            if each["task_id"] is not None
        )
        return bool(is_over or is_newer or effect["repository"] in self.world.lost)

    def is_looked_at(self, now: Now, place: Any, head: str) -> None:
        """The newest head of what is open has been dealt with, unless moments could not tell."""
        told = [each for each in self.world.told if each.place == place]
        of_head = [each for each in told if each.head == head and each.name in ON_PULLS]
        others = [each for each in told if each not in of_head and each.name.startswith("pull")]
        if not of_head or any(each.at >= of_head[0].at for each in others):
            return
        ends = [
            task["state"]
            for task in now.tasks.values()
            if (task["rule"], task["head_sha"]) == ("review", head) and not task["command"]
        ]
        assert set(ends) - {TaskState.SUPERSEDED}, f"the newest head of {place} was not looked at"


def test_every_promise_holds_whatever_happens(ground: Ground) -> None:
    run_state_machine_as_test(
        cast("Any", lambda: Promises(ground)),
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
