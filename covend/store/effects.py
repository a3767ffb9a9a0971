"""The outbox: what is to be sent next, and what became of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import orjson

from covend.core.effects.dismissals import slots_beside
from covend.core.errors import AmbiguousIdError, ConflictError
from covend.core.model import Effect, EffectDraft, EffectId, EffectKind, Moment, Task, TaskId
from covend.core.states import EffectState
from covend.store.connection import Ask, Connection, Row, Script, one, rows
from covend.store.rows import effect_of
from covend.store.searching import find_effects

AFTER_ALL_IDS = "~"
"""Sorts behind every id, so that the first page needs no query of its own."""
VISIBLE_MAX = 20
"""So many of the visible things of one kind on one subject are given, the newest."""


def effect_rows(
    task: Task, effects: Sequence[tuple[EffectId, EffectDraft]], now: Moment
) -> list[tuple[object, ...]]:
    """Make the rows of new effects, for the transaction that changes their task."""
    return _rows(task.id, task.installation_id, task.repository, effects, now)


def answer_rows(
    installation_id: int | None,
    repository: str | None,
    effects: Sequence[tuple[EffectId, EffectDraft]],
    now: Moment,
) -> list[tuple[object, ...]]:
    """Make the rows of effects that belong to no task: answers to a command."""
    return _rows(None, installation_id, repository, effects, now)


def _rows(
    task: TaskId | None,
    installation_id: int | None,
    repository: str | None,
    effects: Sequence[tuple[EffectId, EffectDraft]],
    now: Moment,
) -> list[tuple[object, ...]]:
    return [
        (
            identifier,
            task,
            draft.kind,
            draft.slot,
            draft.subject,
            draft.target,
            installation_id,
            repository,
            orjson.dumps(draft.request),
            EffectState.PENDING,
            now,
            now,
        )
        for identifier, draft in effects
    ]


Named = tuple[EffectId, EffectDraft]


class StoredEffects:
    """`store.protocol.Effects` over any dialect."""

    def __init__(self, connection: Connection) -> None:
        """Keep the connection; the rest is in the rows."""
        self._connection = connection

    async def sendable(
        self, *, now: Moment, limit: int, busy: Collection[int | None] = ()
    ) -> Sequence[Effect]:
        """See `Effects.sendable`."""
        asked = {"now": now, "limit": limit, "busy": _numbers(busy)}
        return await self._list("list_sendable_effects", **asked)

    async def doubtful(
        self, *, now: Moment, limit: int, busy: Collection[int | None] = ()
    ) -> Sequence[Effect]:
        """See `Effects.doubtful`."""
        asked = {"now": now, "limit": limit, "busy": _numbers(busy)}
        return await self._list("list_unknown_effects", **asked)

    async def sending(self, *, limit: int) -> Sequence[Effect]:
        """See `Effects.sending`."""
        return await self._list("list_sending_effects", limit=limit)

    async def begin(self, effect: EffectId, now: Moment) -> Effect | None:
        """See `Effects.begin`."""
        return await self._connection.write(_begin(effect, now))

    async def slot(self, slot: str) -> Effect | None:
        """See `Effects.slot`."""
        row = await self._connection.read(one("find_slot", slot=slot))
        return effect_of(row) if row else None

    async def visible(self, slot_prefix: str) -> Sequence[Effect]:
        """See `Effects.visible`."""
        return await self._list("list_visible_effects", prefix=slot_prefix, limit=VISIBLE_MAX)

    async def find(self, effect: str) -> Effect | None:
        """See `Effects.find`."""
        found = await self._list("find_effects_by_prefix", prefix=effect.lower())
        if len(found) > 1:
            message = f"{effect} is the beginning of several effects: give more of it"
            raise AmbiguousIdError(message)
        return found[0] if found else None

    async def finish(
        self,
        effect: EffectId,
        *,
        remote_id: str | None,
        remote_url: str | None,
        now: Moment,
        dismissal: Named | None = None,
    ) -> bool:
        """See `Effects.finish`."""
        finished = one(
            "finish_effect", id=effect, remote_id=remote_id, remote_url=remote_url, now=now
        )
        return await self._connection.write(_finish(finished, dismissal, now))

    async def fail(
        self, effect: EffectId, *, error: str, now: Moment, is_doubtful: bool = False
    ) -> None:
        """See `Effects.fail`."""
        failing = one("fail_effect", id=effect, error=error, now=now, is_doubtful=is_doubtful)
        await self._connection.write(failing)

    async def ask_again(self, effect: EffectId, now: Moment) -> Effect | None:
        """See `Effects.ask_again`."""
        return await self._connection.write(_ask_again(effect, now))

    async def retry(self, effect: EffectId, *, error: str, until: Moment) -> None:
        """See `Effects.retry`."""
        await self._wait("retry_effect", effect, error, until)

    async def postpone(self, effect: EffectId, *, error: str, until: Moment) -> None:
        """See `Effects.postpone`."""
        await self._wait("postpone_effect", effect, error, until)

    async def postpone_installation(self, effect: Effect, *, error: str, until: Moment) -> int:
        """See `Effects.postpone_installation`."""
        return await self._connection.write(_postpone_installation(effect, error, until))

    async def doubt(self, effect: EffectId, *, error: str, until: Moment) -> bool:
        """See `Effects.doubt`."""
        return await self._wait("doubt_effect", effect, error, until)

    async def look_again(self, effect: EffectId, *, error: str, until: Moment) -> None:
        """See `Effects.look_again`."""
        await self._wait("postpone_look_up", effect, error, until)

    async def doubt_all_sending(self, until: Moment) -> int:
        """See `Effects.doubt_all_sending`."""
        doubting = rows("doubt_all_sending", not_before_at=until)
        return len(await self._connection.write(doubting))

    async def withhold_overtaken(self, now: Moment) -> int:
        """See `Effects.withhold_overtaken`."""
        return len(await self._connection.write(rows("withhold_overtaken", now=now)))

    async def next_due_at(self, now: Moment) -> Moment | None:
        """See `Effects.next_due_at`."""
        asked = one("next_effect_due_at", now=now)
        row = await self._connection.read(asked)
        return row["at"] if row else None

    async def page(
        self,
        *,
        limit: int,
        cursor: str | None = None,
        state: EffectState | None = None,
        task: str | None = None,
        kind: EffectKind | None = None,
    ) -> tuple[Sequence[Effect], str | None]:
        """See `Effects.page`."""
        below = cursor or AFTER_ALL_IDS
        if kind is not None:
            looked = find_effects(kind, limit=limit, cursor=below, state=state, task_id=task)
            found, following = await self._connection.read(looked)
            return [effect_of(row) for row in found], following
        asked = {"limit": limit + 1, "cursor": below, "state": state}
        if task is None and state not in {None, EffectState.DONE}:
            items = await self._list("list_effects_not_done", **asked)
        else:
            items = await self._list("list_effects", **asked, task_id=task)
        shown = items[:limit]
        return shown, shown[-1].id if len(items) > limit else None

    async def _list(self, query: str, **parameters: object) -> Sequence[Effect]:
        return [effect_of(row) for row in await self._connection.read(rows(query, **parameters))]

    async def _wait(self, query: str, effect: EffectId, error: str, until: Moment) -> bool:
        moved = one(query, id=effect, error=error, not_before_at=until)
        return await self._connection.write(moved) is not None


def _numbers(installations: Collection[int | None]) -> str:
    """Write them as the statements read them: 0 stands for the plain token, which has none."""
    return orjson.dumps([each or 0 for each in installations]).decode()


def _finish(finished: Script[Row | None], dismissal: Named | None, now: Moment) -> Script[bool]:
    row = yield from finished
    if row is None or dismissal is None:
        return False
    review = effect_of(row)
    outdated = yield from one(
        "is_outdated",
        prefix=slots_beside(review),
        task_id=review.task,
        dismissal=dismissal[1].slot,
    )
    if outdated is None:
        return False
    owner = (review.task, review.installation_id, review.repository)
    yield Ask("insert_effects", each=_rows(*owner, [dismissal], now))
    return True


def _begin(effect: EffectId, now: Moment) -> Script[Effect | None]:
    """Mark as under way, or withhold what is not to be seen any more."""
    for query in ("withhold_overtaken_effect", "withhold_outdated_comment"):
        if (yield from one(query, id=effect, now=now)) is not None:
            return None
    row = yield from one("begin_effect", id=effect, now=now)
    return effect_of(row) if row else None


def _ask_again(effect: EffectId, now: Moment) -> Script[Effect | None]:
    row = yield from one("find_effect", id=effect)
    if row is None or row["state"] != EffectState.FAILED:
        return None
    overtaken = yield from one("find_overtaken", id=effect)
    if overtaken is not None:
        raise ConflictError(
            f"Effect {effect} is not sent again: task {overtaken['id']}, which it belongs to, is "
            "superseded by a newer commit.",
            id=effect,
        )
    newer = yield from one("find_newer_in_slot", id=effect)
    if newer is not None:
        raise ConflictError(
            f"Effect {effect} is not sent again: effect {newer['id']}, which is "
            f"{newer['state']}, shows something newer in the same place.",
            id=effect,
            newer=newer["id"],
        )
    again = yield from one("ask_effect_again", id=effect, now=now)
    return effect_of(again) if again else None


def _postpone_installation(effect: Effect, error: str, until: Moment) -> Script[int]:
    """The one that met the limit first, whatever it was about to do; then all the others."""
    asked: dict[str, object] = {"error": error, "not_before_at": until}
    met = 0
    for query in ("put_back_effect", "delay_look_up"):
        met += (yield from one(query, id=effect.id, **asked)) is not None
    postponed = yield from rows(
        "postpone_installation", installation_id=effect.installation_id, **asked
    )
    return met + len(postponed)
