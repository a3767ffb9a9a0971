"""Makes the `[[tests]]` of a configuration, and tells of each what was expected and what came.

They are judged by the routing that webhooks go through, in this process: nothing is asked, started
or written.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from rich.console import Console
from rich.text import Text

from covend.cli.render import safe
from covend.core import intake
from covend.core.expected import Expected, Sample
from covend.core.intake import Refused
from covend.core.rules.expecting import Mismatch, compare
from covend.core.rules.routing import Router, prepare
from covend.core.settings import Settings

NOBODY = "covend"
"""The name that hears commands where none is configured."""
_DELIVERY = str(UUID(int=0))


class Made(NamedTuple):
    """A test that was made; it is good where nothing is amiss."""

    sample: Sample
    mismatches: tuple[Mismatch, ...]


def make_all(settings: Settings) -> tuple[Made, ...]:
    """Make every test, in order."""
    router = prepare(
        settings.rules,
        settings.policies,
        (),
        settings.github.ignore_senders,
        policies_by_trust=settings.policies_by_trust,
        chain_depth=settings.limits.chain_depth,
    )
    mention = settings.github.mention or NOBODY
    return tuple(Made(each, _make(each, router, mention)) for each in settings.tests)


def _make(sample: Sample, router: Router, mention: str) -> tuple[Mismatch, ...]:
    headers = {
        "content-type": "application/json",
        "x-github-event": sample.event,
        "x-github-delivery": _DELIVERY,
    }
    read = intake.reopen(headers, sample.body, mention)
    if isinstance(read, Refused):
        return (Mismatch(what="event", expected=sample.event, came=read.message),)
    return compare(sample.expected, router.route(read.event))


def print_all(made: Sequence[Made]) -> None:
    """Print them for people."""
    console = Console(soft_wrap=True)
    for one in made:
        is_good = not one.mismatches
        mark = ("✓", "green") if is_good else ("✗", "bold red")
        name = safe(f"{one.sample.event} {one.sample.payload}")
        console.print(Text.assemble(mark, f" {name}", (f"  {_wanted(one.sample)}", "dim")))
        for each in one.mismatches:
            why = f" ({safe(each.why)})" if each.why else ""
            told = f"    {each.what}: expected {safe(each.expected)}, came {safe(each.came)}{why}"
            console.print(Text(told))
    if not made:
        console.print(Text("there are no [[tests]] in it", style="yellow"))
        return
    failed = sum(bool(one.mismatches) for one in made)
    total = f"{len(made)} test{'' if len(made) == 1 else 's'}"
    said = f"{failed} of {total} failed" if failed else f"{total}, all good"
    console.print(Text(said, style="bold red" if failed else "bold green"))


def _wanted(sample: Sample) -> str:
    """Name what is expected: `rule review, not held`."""
    expected = sample.expected
    told = [f"rule {expected.rule}"] if expected.rule else []
    told += ["nothing"] if expected.nothing else []
    told += [f"{expected.tasks} tasks"] if expected.tasks is not None else []
    told += [f"because of {expected.reason}"] if expected.reason else []
    told += [] if expected.held is None else ["held" if expected.held else "not held"]
    return safe(", ".join(told))


def as_json(made: Sequence[Made]) -> list[dict[str, Any]]:
    """Give them for programs."""
    return [
        {
            "payload": one.sample.payload,
            "event": one.sample.event,
            "ok": not one.mismatches,
            "expected": _given(one.sample.expected),
            "mismatches": [
                {"what": each.what, "expected": each.expected, "came": each.came, "why": each.why}
                for each in one.mismatches
            ],
        }
        for one in made
    ]


def _given(expected: Expected) -> dict[str, Any]:
    fields = {
        "rule": expected.rule,
        "key": expected.key,
        "tasks": expected.tasks,
        "nothing": expected.nothing or None,
        "reason": expected.reason,
        "held": expected.held,
    }
    return {name: value for name, value in fields.items() if value is not None}
