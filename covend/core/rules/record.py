"""Writes verdicts as compact JSON and reads them back; it reads only what it has written itself.

A verdict is `[rule, matched, reason, clauses]`, a clause `[name, satisfied, values, conditions,
need]`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from covend.core.model import Need
from covend.core.rules.verdicts import ClauseResult, Verdict


def dump_verdicts(verdicts: Sequence[Verdict]) -> bytes:
    """Write verdicts, in their order."""
    return orjson.dumps([_dump(verdict) for verdict in verdicts])


def load_verdicts(text: bytes) -> tuple[Verdict, ...]:
    """Read what `dump_verdicts` has written."""
    return tuple(_load(*fields) for fields in orjson.loads(text))


def _dump(verdict: Verdict) -> tuple[object, ...]:
    clauses = [
        (one.name, one.satisfied, one.values, one.conditions, one.need) for one in verdict.clauses
    ]
    return verdict.rule, verdict.matched, verdict.reason, clauses


def _load(rule: str, matched: bool | None, reason: str, clauses: list[list[Any]]) -> Verdict:  # noqa: FBT001
    return Verdict(
        rule=rule,
        matched=matched,
        reason=reason,
        clauses=tuple(_load_clause(*fields) for fields in clauses),
    )


def _load_clause(
    name: str,
    satisfied: bool | None,  # noqa: FBT001
    values: list[str],
    conditions: list[str],
    need: str | None,
) -> ClauseResult:
    return ClauseResult(
        name=name,
        satisfied=satisfied,
        values=tuple(values),
        conditions=tuple(conditions),
        need=None if need is None else Need(need),
    )
