"""Named queries out of `.sql` files; a file that breaks the rules below is refused when it is
loaded.

Each query stands under a header:

    -- name: claim_task
    -- moves: queued -> running
    -- One sentence of why.

`moves` names the only states that the statement takes a row from and to; every pair must be in the
table of
`core.states`, and the statement must name the state it leaves. `VALUES :each` stands for as many
rows of
positional parameters as are given, in the order of the INSERT's columns.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources.abc import Traversable

from covend.core.states import EFFECT_MOVES, TASK_MOVES

EACH = "VALUES :each"
_HEADER = re.compile(r"^-- (name|moves): (.+)$", re.MULTILINE)
_COLUMNS = re.compile(r"\(([^()]*)\)\s*(?:AS \()?VALUES :each")
_CHANGED = re.compile(r"UPDATE (tasks|effects)\b")
_ASSIGNS_STATE = re.compile(r"\bstate = (?=.*\bWHERE\b)", re.DOTALL)
_MOVES: Mapping[str, frozenset[tuple[str, str]]] = {
    "tasks": frozenset((str(source), str(target)) for source, target in TASK_MOVES),
    "effects": frozenset((str(source), str(target)) for source, target in EFFECT_MOVES),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One statement under its name; `columns` counts those of a statement over many rows."""

    name: str
    why: str
    text: str
    moves: tuple[tuple[str, str], ...] = ()
    columns: int = 0


class QueryFileError(ValueError):
    """A `.sql` file that does not keep the rules: a fault of the program, not of its user."""


def load_queries(folder: Traversable) -> Mapping[str, Query]:
    """Read every `.sql` file of a folder; names are unique over all of them."""
    found: dict[str, Query] = {}
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if not file.name.endswith(".sql"):
            continue
        for query in parse(file.read_text(encoding="utf-8")):
            if query.name in found:
                message = f"{file.name}: {query.name} stands twice"
                raise QueryFileError(message)
            found[query.name] = query
    return found


def parse(text: str) -> Iterable[Query]:
    """Cut a file into its queries."""
    for block in re.split(r"^(?=-- name: )", text, flags=re.MULTILINE):
        if block.startswith("-- name: "):
            yield _query(block)


def _query(block: str) -> Query:
    headers = dict(_HEADER.findall(block))
    lines = block.strip().splitlines()
    comments = [line[3:].strip() for line in lines if line.startswith("--")]
    why = " ".join(line for line in comments if not line.startswith(("name:", "moves:")))
    text = "\n".join(line for line in lines if not line.startswith("--")).strip().rstrip(";")
    query = Query(
        name=headers["name"].strip(),
        why=why,
        text=text,
        moves=tuple(_pairs(headers.get("moves", ""))),
        columns=_count_columns(text),
    )
    _check(query)
    return query


def _pairs(moves: str) -> Iterable[tuple[str, str]]:
    for part in filter(None, (piece.strip() for piece in moves.split(";"))):
        sources, _, targets = part.partition("->")
        for source in sources.split(","):
            for target in targets.split(","):
                yield source.strip(), target.strip()


def _count_columns(text: str) -> int:
    found = _COLUMNS.search(text)
    return len(found[1].split(",")) if found else 0


def _check(query: Query) -> None:
    if not query.why:
        message = f"{query.name}: a query says in one sentence why it is there"
        raise QueryFileError(message)
    changed = _CHANGED.match(query.text)
    if changed and _ASSIGNS_STATE.search(query.text) and not query.moves:
        message = f"{query.name}: it changes a state, so its header says which moves it makes"
        raise QueryFileError(message)
    table = _MOVES[changed[1]] if changed else frozenset()
    for source, target in query.moves:
        if (source, target) not in table:
            message = f"{query.name}: {source} -> {target} is not in the table of states"
            raise QueryFileError(message)
        if f"'{source}'" not in query.text:
            message = f"{query.name}: its WHERE must name the state '{source}' that it leaves"
            raise QueryFileError(message)


@lru_cache(maxsize=1024)
def for_rows(query: Query, count: int) -> str:
    """Give the statement's text with places for `count` rows."""
    row = "(" + ", ".join("?" * query.columns) + ")"
    return query.text.replace(EACH, "VALUES " + ", ".join([row] * count))
