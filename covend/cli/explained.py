"""Prints an explanation as a tree: each rule with its clauses and gates, and the end in a sentence.

It takes the JSON of the API, so that what is said is the same with a daemon and without.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from covend.cli.render import Cell, Screen
from covend.core.amounts import duration

_CLAUSES = {True: Cell("✓", "green"), False: Cell("✗", "red"), None: Cell("?", "yellow")}
_STANDS = {
    "pass": Cell("✓", "green"),
    "hold": Cell("…", "yellow"),
    "refuse": Cell("✗", "red"),
    "unknown": Cell("?", "yellow"),
}
_DIM = "dim"
UNSEEN = frozenset(
    {"queue", "pause", "key", "loop", "agent", "host", "budget", "rate", "concurrency"}
)
"""The gates that only a store can tell of."""


def print_explanation(found: Mapping[str, Any], screen: Screen) -> None:
    """Print all of it."""
    screen.title(_head(found["event"]))
    for gate in found["gates"]:
        _print_gate(gate, screen)
    for rule in found["rules"]:
        _print_rule(rule, screen)
    for note in found["notes"]:
        screen.section((Cell("note:", _DIM), Cell(note)))
    screen.section((Cell(found["end"], "bold green" if found["starts"] else "bold"),))


def _head(event: Mapping[str, Any]) -> tuple[Cell, ...]:
    subject = event["subject"]
    number = f"#{subject['number']}" if subject["number"] else ""
    where = f"{event['repository'] or ''}{number}"
    by = f"by {event['sender'] or 'nobody'} ({event['trust']})"
    return Cell(event["name"], "bold"), Cell(where), Cell(by, _DIM)


def _print_rule(rule: Mapping[str, Any], screen: Screen) -> None:
    mark, works = _CLAUSES[rule["matched"]], rule["work"] is not None
    screen.section((mark, Cell(f"rule {rule['rule']}", "bold"), Cell(rule["reason"], _DIM)))
    for clause in rule["clauses"]:
        screen.title((_indented(_CLAUSES[clause["satisfied"]]), *_clause(clause)))
    for gate in _gathered(rule["gates"]):
        _print_gate(gate, screen)
    if works:
        screen.fields(_work(rule["work"]))
    screen.title((Cell("  →"), Cell(rule["end"], "" if rule["starts"] else _DIM)))


def _gathered(gates: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Tell what nobody could look at once, and not gate by gate."""
    unseen = [gate for gate in gates if gate["stand"] == "unknown" and gate["name"] in UNSEEN]
    yield from (gate for gate in gates if gate not in unseen)
    if unseen:
        yield {**unseen[0], "name": ", ".join(gate["name"] for gate in unseen)}


def _print_gate(gate: Mapping[str, Any], screen: Screen) -> None:
    until = () if gate["until"] is None else (screen.moment(gate["until"]),)
    name = Cell(gate["name"], _DIM)
    screen.title((_indented(_STANDS[gate["stand"]]), name, Cell(gate["why"]), *until))


def _indented(mark: Cell) -> Cell:
    return Cell(f"  {mark.text}", mark.style)


def _clause(clause: Mapping[str, Any]) -> tuple[Cell, ...]:
    values, wanted = ", ".join(clause["values"]), ", ".join(clause["conditions"])
    if clause["need"] is not None and clause["satisfied"] is None:
        has = f"is looked up ({clause['need']})"
    else:
        has = f"is {values}" if values else "is not told"
    asks = f"wants {wanted}" if wanted else ""
    return Cell(clause["name"], _DIM), Cell(has), Cell(asks, _DIM)


def _work(work: Mapping[str, Any]) -> Iterator[tuple[str, Cell]]:
    yield "key", Cell(work["key"])
    yield "meets", Cell(_meets(work["meets"]))
    yield "agent", Cell(_chain(work))
    yield "sandbox", Cell(_confinement(work))
    yield "timeout", Cell(_time(work))
    yield "checkout", Cell(work["checkout"])
    yield "publishes", Cell(_listed(work["publish"]))
    yield "tokens", Cell(_permissions(work["permissions"]))
    yield "budget", Cell(_budget(work["budget"]))


def _meets(meets: Mapping[str, Any] | None) -> str:
    if meets is None:
        return "not known: there was no store to look into"
    match meets["reason"]:
        case "same_work":
            return f"task {meets['task']}, {meets['state']}, generation {meets['generation']}"
        case "stale":
            return "something newer is known of its subject"
        case _:
            made = f"nothing: a new task, generation {meets['generation']}"
            older = meets["supersedes"]
            return f"{made}, in the place of {', '.join(older)}" if older else made


def _chain(work: Mapping[str, Any]) -> str:
    fallbacks = ", ".join(work["fallbacks"])
    return f"{work['agent']}, then {fallbacks}" if fallbacks else str(work["agent"])


def _confinement(work: Mapping[str, Any]) -> str:
    told = [str(work["sandbox"])]
    told += [f"as user {work['user']}"] if work["user"] else []
    told += [] if work["network"] else ["without a network"]
    return ", ".join(told)


def _time(work: Mapping[str, Any]) -> str:
    whole, idle = duration(work["timeout_s"]), work["idle_timeout_s"]
    return f"{whole}, or {duration(idle)} without a word" if idle else whole


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "nothing"


def _permissions(scope: Mapping[str, str]) -> str:
    told = ", ".join(f"{name}: {level}" for name, level in scope.items())
    return f"{told}; none of them is the agent's"


def _budget(budget: Mapping[str, Any] | None) -> str:
    if budget is None:
        return "not known: there was no store to look into"
    usd, tokens = budget["usd"], budget["tokens"]
    told = [f"{usd:.2f} USD"] if usd is not None else []
    told += [f"{tokens} tokens"] if tokens is not None else []
    return f"{' and '.join(told)} are left" if told else "nothing bounds it"
