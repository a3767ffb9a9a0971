"""Sends once more what could not be published: an operator has mended what stood in its way.

Refuses what has not failed, and what is not to be seen any more.
"""

from __future__ import annotations

from typing import assert_never

from covend.core.errors import ConflictError, NotFoundError
from covend.core.model import Effect, EffectKind
from covend.core.states import EffectState
from covend.services.clock import Clock
from covend.services.operations import OPERATOR
from covend.services.wakeups import Wakeups
from covend.store.protocol import Effects
from covend.telemetry.logs import Log

log = Log("resending")


class Resending:
    """What operators may do to effects."""

    def __init__(self, *, effects: Effects, clock: Clock, wakeups: Wakeups) -> None:
        """Put it back into the outbox, and ring for who empties it."""
        self._effects = effects
        self._clock = clock
        self._wakeups = wakeups

    async def retry(self, effect: str, why: str = "", *, by: str = OPERATOR) -> Effect:
        """Have it sent again, byte for byte and with all its tries; give it as it is then. What may
        be visible already is looked up first.

        It may be named by the beginning of its id. Raises NotFoundError, AmbiguousIdError, and
        ConflictError, which says why, where it has not failed, its task is superseded, or something
        newer has its place.
        """
        found = await self._effects.find(effect)
        if found is None:
            raise NotFoundError(f"There is no effect {effect}.", id=effect)
        again = await self._effects.ask_again(found.id, self._clock.now())
        if again is None:
            raise ConflictError(_why_not(found), id=found.id, state=found.state)
        log.info("effect asked for again", effect=again.id, kind=again.kind, by=by, reason=why)
        is_callback = again.kind is EffectKind.CALLBACK
        (self._wakeups.callbacks if is_callback else self._wakeups.effects).wake()
        return again


def _why_not(effect: Effect) -> str:
    match effect.state:
        case EffectState.PENDING | EffectState.SENDING:
            return f"Effect {effect.id} is {effect.state}: it is sent without being asked for."
        case EffectState.UNKNOWN:
            return f"Effect {effect.id} is unknown: it is looked up, and sent if it is not there."
        case EffectState.DONE:
            is_callback = effect.kind is EffectKind.CALLBACK
            done = "its receiver has it" if is_callback else "it is visible"
            return f"Effect {effect.id} is done: {done}."
        case EffectState.WITHHELD:
            return (
                f"Effect {effect.id} is withheld ({effect.error}): it is not to be seen any more."
            )
        case EffectState.FAILED:
            return f"Effect {effect.id} has moved meanwhile: try again."
        case _:
            assert_never(effect.state)
