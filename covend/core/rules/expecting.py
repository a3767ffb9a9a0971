"""Compares what rules make of a sample with what is expected of them, by the very routing that
webhooks go through.

What a look-up would tell is open: a rule that still needs one counts as wanting it, as it does
where webhooks come in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from covend.core.expected import Expected
from covend.core.model import Need
from covend.core.rules.explanation import why_not
from covend.core.rules.verdicts import Routing, TaskDraft


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """One thing that is not as expected: what was expected, what came, and why."""

    what: str
    expected: str
    came: str
    why: str = ""


def compare(expected: Expected, routing: Routing) -> tuple[Mismatch, ...]:
    """List everything that is not as expected; nothing where all of it is."""
    return tuple(_compare(expected, routing))


def _compare(expected: Expected, routing: Routing) -> Iterator[Mismatch]:
    drafts = {draft.rule: draft for draft in routing.drafts}
    rules = ", ".join(drafts) or "nothing"
    if expected.nothing and drafts:
        yield Mismatch(what="rule", expected="nothing", came=rules)
    if expected.tasks is not None and expected.tasks != len(drafts):
        yield Mismatch(what="tasks", expected=str(expected.tasks), came=f"{len(drafts)} ({rules})")
    if expected.reason is not None:
        yield from _reason(expected, expected.reason, routing)
    if expected.rule is None or _is_refusal(expected):
        return
    draft = drafts.get(expected.rule)
    if draft is None:
        why = _why(expected.rule, routing)
        yield Mismatch(what="rule", expected=expected.rule, came=rules, why=why)
        return
    yield from _of_draft(expected, draft)


def _is_refusal(expected: Expected) -> bool:
    """Say whether it names a rule for the reason alone by which that one starts nothing."""
    return expected.nothing or expected.tasks == 0


def _of_draft(expected: Expected, draft: TaskDraft) -> Iterator[Mismatch]:
    if expected.key is not None and expected.key != draft.key:
        yield Mismatch(what="key", expected=expected.key, came=draft.key)
    is_held = Need.APPROVAL in draft.needs
    if expected.held is not None and expected.held != is_held:
        words = {True: "held for an approval", False: "not held"}
        why = f"its trust is {draft.trust}"
        yield Mismatch(what="held", expected=words[expected.held], came=words[is_held], why=why)


def _reason(expected: Expected, wanted: str, routing: Routing) -> Iterator[Mismatch]:
    if expected.rule is None:
        came, why = str(routing.reason), ""
    else:
        verdicts = {verdict.rule: verdict for verdict in routing.verdicts}
        verdict = verdicts.get(expected.rule)
        came = "no such rule" if verdict is None else str(verdict.reason)
        why = _why(expected.rule, routing)
    if came != wanted:
        yield Mismatch(what="reason", expected=wanted, came=came, why=why)


def _why(rule: str, routing: Routing) -> str:
    """Give the clause by which a rule does not want it."""
    verdict = next((each for each in routing.verdicts if each.rule == rule), None)
    return "" if verdict is None or verdict.matched is not False else why_not(verdict)
