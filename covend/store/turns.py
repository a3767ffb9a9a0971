"""Cuts a batch of arrivals where it matters which of two comes first.

Within one turn nothing has to be decided about order: each subject has one head there, or its end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from covend.core.model import DeliveryId
from covend.store.packing import Packed, SubjectKey


class _Touch(NamedTuple):
    """What an arrival does to its subject where the order matters."""

    closing: DeliveryId | None
    head_sha: str | None


def turns_of(batch: Sequence[Packed]) -> Iterator[Sequence[Packed]]:
    """Cut a batch where the order of two arrivals matters: two heads of one subject, or its end."""
    turn: list[Packed] = []
    touched: dict[SubjectKey, _Touch] = {}
    for packed in batch:
        if packed.subject is not None and (packed.tasks or packed.closed_at is not None):
            touch, before = _touch_of(packed), touched.get(packed.subject)
            if before is not None and _is_in_order(before, touch):
                yield turn
                turn, touched, before = [], {}, None
            touched[packed.subject] = before if before and before.head_sha else touch
        turn.append(packed)
    yield turn


def _touch_of(packed: Packed) -> _Touch:
    heads = (task.head.sha for task in packed.tasks if task.head is not None)
    return _Touch(packed.first.id if packed.closed_at is not None else None, next(heads, None))


def _is_in_order(before: _Touch, coming: _Touch) -> bool:
    """Say whether it matters which of two came first; a delivery and its repetition do not care."""
    if before.closing or coming.closing:
        return before.closing != coming.closing
    is_by_head = before.head_sha is not None and coming.head_sha is not None
    return is_by_head and before.head_sha != coming.head_sha
