"""Calls back: sends what is due to each receiver, oldest first and one at a time, and lets one that
fails rest.

An outcome that is not known is no reason to look up anything: the same body goes out again under
the same id, and the receiver knows it by that. No receiver waits for another.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from random import random
from time import monotonic
from typing import Protocol

import anyio

from covend.core.bounds import Circuit
from covend.core.effects.delivering import (
    Again,
    Code,
    Done,
    GivenUp,
    Reply,
    Try,
    Verdict,
    judge,
    word_of,
)
from covend.core.errors import StoreError
from covend.core.model import Effect, EffectId, Moment, TaskId
from covend.core.outside import Callback
from covend.core.safeguards import circuit
from covend.core.safeguards.circuit import News
from covend.core.safeguards.names import callback_circuit
from covend.core.safeguards.shapes import EVERYTHING, Lesson, Safeguard, Terms
from covend.services.clock import Clock
from covend.services.insisting import insist
from covend.services.side_by_side import SideBySide
from covend.services.wakeups import Wakeups
from covend.store.protocol import Callbacks, Effects, Guards, LessonOf
from covend.telemetry.logs import Log, about
from covend.telemetry.metrics import OTHER, Metrics

AT_ONCE = 16
"""Receivers; each has one callback under way."""
LOOK_EVERY_S = 15.0
STORE_WAIT_S = 1.0
SWEEP_EVERY_MS = 60_000
FAULT_WAIT_MS = 300_000

FAULT = "covend itself failed at this; its log says why"
FORGOTTEN = "covend stopped, or lost sight of this, while it was being sent"
REMOVED = "there is no [callbacks.{name}] any more: write it again, or leave this as it is"

log = Log("calling")


class Send(Protocol):
    """Makes one try, bounded in time; whatever goes wrong is an answer (`edges.callbacks`)."""

    def __call__(self, callback: Callback, effect: EffectId, body: str) -> Awaitable[Reply]: ...


class InForce(Protocol):
    """The settings in force, as far as receivers are concerned (`services.rulebook`)."""

    def callbacks(self) -> Mapping[str, Callback]:
        """Give the callbacks by name."""
        ...

    def terms(self) -> Terms:
        """Say when circuits open."""
        ...


class Calling:
    """Sends callbacks."""

    def __init__(
        self,
        *,
        callbacks: Callbacks,
        effects: Effects,
        guards: Guards,
        rulebook: InForce,
        send: Send,
        clock: Clock,
        wakeups: Wakeups,
        metrics: Metrics,
    ) -> None:
        """Find receivers, and when their circuits open, in what is in force."""
        self._callbacks = callbacks
        self._effects = effects
        self._guards = guards
        self._rulebook = rulebook
        self._send = send
        self._clock = clock
        self._wakeups = wakeups
        self._metrics = metrics
        self._under_way: dict[str, EffectId] = {}
        self._shut_until: dict[str, Moment] = {}
        self._swept_at: Moment | None = None
        self._is_draining = False
        self._emptied = anyio.Event()

    async def run(self) -> None:
        """Call until drained or cancelled."""
        try:
            async with anyio.create_task_group() as group:
                calls = SideBySide(group, at_once=AT_ONCE, bell=self._wakeups.callbacks)
                while (pause := await self._round(calls)) is not None:
                    await self._wakeups.callbacks.wait(pause)
        finally:
            self._emptied.set()

    def drain(self) -> None:
        """Send what is due already, and end: what waits for a moment waits for the next start."""
        self._is_draining = True
        self._wakeups.callbacks.wake()

    async def drained(self, seconds: float) -> None:
        """Wait until nothing is under way, so long at most: what is cut off is sent again."""
        with anyio.move_on_after(seconds):
            await self._emptied.wait()

    async def _round(self, calls: SideBySide) -> float | None:
        """Start what is due, and say how long to wait then; None where that was the last."""
        try:
            await self._sweep()
            await self.call_due(calls)
            pause = await self._pause_s()
        except StoreError as error:
            log.error("callbacks cannot be read", code=error.code, error=str(error))
            pause = STORE_WAIT_S
        return None if self._is_draining and not calls.is_busy else pause

    async def call_due(self, calls: SideBySide) -> int:
        """Start one callback of each receiver that is due, idle and not at rest; say how many."""
        due = await self._callbacks.due(self._clock.now())
        self._shut_until.clear()
        return sum([await self._start(effect, calls) for effect in due])

    async def return_forgotten(self) -> int:
        """Put back what is marked as under way, or as unknown, where nobody is at it; say how many
        that is.
        """
        under_way = self._under_way.values()
        now = self._clock.now()
        return await self._callbacks.return_forgotten(under_way=under_way, error=FORGOTTEN, now=now)

    async def _sweep(self) -> None:
        now = self._clock.now()
        if self._swept_at is None or now - self._swept_at >= SWEEP_EVERY_MS:
            if count := await self.return_forgotten():
                log.warning("will be sent again", count=count, error=FORGOTTEN)
            self._swept_at = now

    async def _start(self, effect: Effect, calls: SideBySide) -> bool:
        if await self._is_at_rest(effect.target):
            return False
        attend, put_off = partial(self._attend, effect), partial(self._put_off, effect)
        if not calls.start(effect.target, attend, put_off):
            return False
        self._under_way[effect.target] = effect.id
        return True

    async def _is_at_rest(self, target: str) -> bool:
        """Say whether the receiver's circuit is open, or has its probe under way."""
        barred = circuit.bar(
            await self._guards.find(callback_circuit(target)),
            running=frozenset(map(TaskId, self._under_way.values())),
            settings=self._rulebook.terms().safeguards.circuit,
            now=self._clock.now(),
        )
        if barred is None:
            return False
        self._shut_until[target] = barred.until
        for mended in barred.writes:
            await self._guards.put(mended, self._clock.now())
        return True

    async def _attend(self, effect: Effect) -> None:
        of_task = {} if effect.task is None else {"task": effect.task}
        try:
            with about(**of_task, effect=effect.id, kind=effect.kind):
                await self._call(effect)
        finally:
            del self._under_way[effect.target]

    async def _call(self, effect: Effect) -> None:
        await self._learn(effect, partial(_probe, now=self._clock.now()))
        begun = await self._effects.begin(effect.id, self._clock.now())
        if begun is None:
            return
        callback = self._rulebook.callbacks().get(begun.target)
        if callback is None:
            gone = GivenUp(code=Code.REMOVED, message=REMOVED.format(name=begun.target))
            await self._record(begun, gone, OTHER, 0)
            return
        started = monotonic()
        reply = await self._send(callback, begun.id, begun.request["body"])
        verdict = judge(reply, self._try(begun))
        await self._record(begun, verdict, callback.name, monotonic() - started)
        await self._note(begun, reply, verdict)

    def _try(self, effect: Effect) -> Try:
        return Try(
            webhook_id=effect.id,
            event=effect.request["type"],
            tries=effect.tries,
            now=self._clock.now(),
            jitter=random(),  # noqa: S311  no secret
        )

    async def _record(self, effect: Effect, verdict: Verdict, target: str, seconds: float) -> None:
        result = await self._settle(effect, verdict)
        self._metrics.count_callback(target, result, verdict.code, seconds)
        self._metrics.effects_ended.labels(effect.kind, result).inc()

    async def _settle(self, effect: Effect, verdict: Verdict) -> str:
        now = self._clock.now()
        if isinstance(verdict, Done):
            await insist(
                lambda: self._effects.finish(effect.id, remote_id=None, remote_url=None, now=now)
            )
            log.info("called back", target=effect.target, code=verdict.code, tries=effect.tries)
            return "sent"
        error = f"{verdict.code}: {verdict.message}"
        if isinstance(verdict, Again):
            at = verdict.at
            await insist(lambda: self._effects.retry(effect.id, error=error, until=at))
            log.warning("will be sent again", target=effect.target, until=at, error=error)
            return "retried"
        await insist(lambda: self._effects.fail(effect.id, error=error, now=now))
        log.error("could not be called back", target=effect.target, error=error)
        if verdict.is_exhausted:
            self._metrics.callback_exhausted.inc()
        return "failed"

    async def _note(self, effect: Effect, reply: Reply, verdict: Verdict) -> None:
        """Tell the receiver's circuit how the try went."""
        news = News(
            word=word_of(reply), code=verdict.code, task=TaskId(effect.id), scope=EVERYTHING
        )
        settings, now = self._rulebook.terms().safeguards.circuit, self._clock.now()
        lesson = await insist(
            lambda: self._learn(effect, partial(_learn, news=news, settings=settings, now=now))
        )
        for safeguard in lesson.trips:
            log.warning("a safeguard has tripped", safeguard=safeguard)
            self._metrics.safeguard_trips.labels("circuit").inc()

    async def _learn(self, effect: Effect, decide: Decide) -> Lesson:
        """Read the receiver's circuit, decide and write, in one transaction."""
        name = callback_circuit(effect.target)

        def learn(guards: Mapping[str, Safeguard]) -> Lesson:
            return decide(name, guards.get(name), TaskId(effect.id))

        return await self._guards.learn(LessonOf(ids=(name,), learn=learn), self._clock.now())

    async def _put_off(self, effect: Effect) -> None:
        """After a fault of covend's own: others go first."""
        until = self._clock.now() + FAULT_WAIT_MS
        await self._effects.retry(effect.id, error=FAULT, until=until)
        await self._effects.postpone(effect.id, error=FAULT, until=until)

    async def _pause_s(self) -> float:
        now = self._clock.now()
        due = await self._callbacks.next_due_at(now)
        moments = [at for at in (due, *self._shut_until.values()) if at is not None]
        if not moments:
            return LOOK_EVERY_S
        return min(LOOK_EVERY_S, max(0.01, (min(moments) - now) / 1000))


Decide = Callable[[str, Safeguard | None, TaskId], Lesson]
"""Decides by the name and the row of a circuit, for the effect that is sent (in a task's place)."""


def _probe(name: str, guard: Safeguard | None, effect: TaskId, *, now: Moment) -> Lesson:
    del name
    return Lesson(writes=circuit.probing(guard, task=effect, now=now))


def _learn(
    name: str,
    guard: Safeguard | None,
    effect: TaskId,
    *,
    news: News,
    settings: Circuit,
    now: Moment,
) -> Lesson:
    """Learn for callbacks alone: no task waits for a receiver, so none is released."""
    del effect
    lesson = circuit.learn(name, guard, news, settings, now)
    return Lesson(writes=lesson.writes, removes=lesson.removes, trips=lesson.trips)
