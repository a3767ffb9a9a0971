# ruff: noqa: INP001 - docs/ is a folder with one program in it, not a package
"""Writes `docs/states.md` from the tables of `covend/core/states.py` and the queries' headers.

    .venv/bin/python docs/make_states.py

A test compares the page with what this would write, so the page cannot lag behind the code.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import TypeVar

from covend.core.retry import INFRASTRUCTURE
from covend.core.states import (
    DELIVERY_MOVES,
    DELIVERY_STARTS,
    EFFECT_MOVES,
    EFFECT_STARTS,
    HOLDS_KEY,
    OPEN_TASK,
    TASK_MOVES,
    TASK_STARTS,
    Causes,
    Outcome,
)
from covend.store.queries import load_queries

PAGE = Path(__file__).with_name("states.md")
FAILURES = frozenset({Outcome.FAILED, Outcome.TIMED_OUT, Outcome.IDLE_TIMED_OUT})
State = TypeVar("State", bound=StrEnum)

INTRODUCTION = """\
# States

<!-- Made by docs/make_states.py. Do not edit this page: run that. -->

Every move stands in a table of [`covend/core/states.py`](../covend/core/states.py). From these
tables are made: the triggers by which the database refuses any other move, the check of every
query that moves rows, and this page.

The column *query* names the statements in `covend/store/sqlite/queries/` that make the move. *none
yet*: the table allows the move, and no statement makes it in this version.
"""

DELIVERY = """\
## Delivery

A delivery is routed in the transaction that stores it, so in this version it begins as `routed` or
`ignored` and does not move.
"""

TASK = """\
## Task

It begins as {starts}. While it is {holding}, no other task of its key and generation can exist.
Out of {open} it moves on by itself.
"""

ATTEMPT = """\
## Attempt

An attempt is open until it has an outcome. A task has at most one open attempt.

| outcome | uses one of `retry.attempts` |
|---|---|
"""

EFFECT = """\
## Effect

It begins as {starts}, written in the transaction that changes its task. `sending` is on disk before
the request leaves. `unknown`: the request left, and nobody knows its outcome yet.
"""


def render() -> str:
    """Give the whole page."""
    task = TASK.format(
        starts=_either(TASK_STARTS), holding=_either(HOLDS_KEY), open=_either(OPEN_TASK)
    )
    parts = (
        INTRODUCTION,
        DELIVERY,
        *_picture(DELIVERY_STARTS, DELIVERY_MOVES, "deliveries"),
        task,
        *_picture(TASK_STARTS, TASK_MOVES, "tasks"),
        ATTEMPT + "".join(f"| `{outcome}` | {_uses_a_try(outcome)} |\n" for outcome in Outcome),
        EFFECT.format(starts=_either(EFFECT_STARTS)),
        *_picture(EFFECT_STARTS, EFFECT_MOVES, "effects"),
    )
    return "\n".join(parts)


def _picture(
    starts: Collection[State], moves: Mapping[tuple[State, State], Causes], table: str
) -> Iterator[str]:
    """Give the diagram of a noun, then the table of its moves."""
    arrows = [f"    [*] --> {start}" for start in _in_order(starts)]
    arrows += [f"    {one} --> {two}: {_listed(causes)}" for (one, two), causes in moves.items()]
    yield "\n".join(("```mermaid", "stateDiagram-v2", *arrows, "```", ""))
    made = _queries_of(table)
    rows = (
        f"| `{one}` | `{two}` | {_listed(causes)} | {made.get((one, two), 'none yet')} |"
        for (one, two), causes in moves.items()
    )
    yield "\n".join(("| from | to | cause | query |", "|---|---|---|---|", *rows, ""))


def _queries_of(table: str) -> Mapping[tuple[str, str], str]:
    """Give the names of the queries that make each move of a table's rows."""
    made: dict[tuple[str, str], str] = {}
    for query in load_queries(files("covend.store.sqlite") / "queries").values():
        for move in query.moves if query.text.startswith(f"UPDATE {table} ") else ():
            made[move] = f"{made[move]}, `{query.name}`" if move in made else f"`{query.name}`"
    return made


def _uses_a_try(outcome: Outcome) -> str:
    if outcome in INFRASTRUCTURE:
        return "no: it has `retry.infrastructure`"
    return "yes" if outcome in FAILURES else "no: it ends the task"


def _in_order(states: Collection[State]) -> list[State]:
    """Give the states in the order in which their enumeration declares them."""
    kind = type(next(iter(states)))
    return [state for state in kind if state in states]


def _either(states: Collection[State]) -> str:
    *others, last = (f"`{state}`" for state in _in_order(states))
    return f"{', '.join(others)} or {last}" if others else last


def _listed(causes: Causes) -> str:
    return ", ".join(sorted(causes))


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
