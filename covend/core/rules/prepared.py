"""Rules with all that can be done before the first event comes: globs, clauses and keys compiled.

Refuses what cannot be read, by the error of whatever could not read it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from covend.core.model import Trust
from covend.core.rules.admission import Treatments, prepare_treatments
from covend.core.rules.clauses import Clause, prepare_allow, prepare_when
from covend.core.rules.globs import Globs, compile_texts
from covend.core.rules.keys import MakeKey, prepare_key
from covend.core.settings import Policy, Rule

NO_GLOBS = compile_texts(())
FOLLOWING = "task"
"""The event of covend's own source: the end of a task."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A policy as a draft names it."""

    policy: str
    agent: str
    fallbacks: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedRule:
    """A rule with all that can be done before the first event comes."""

    rule: Rule
    policies: Mapping[Trust, Chosen]
    """What its tasks are routed by; empty where it is only asked whether it matches."""
    wants: Callable[[str], bool]
    clauses: tuple[Clause, ...]
    treatments: Treatments
    make_key: MakeKey


def prepare_rule(rule: Rule, policies: Mapping[Trust, Chosen]) -> PreparedRule:
    """Compile one rule.

    ValueError for an unreadable glob, jinja2.TemplateSyntaxError for an unreadable `key`.
    """
    allow = () if rule.allow is None else (prepare_allow(rule.allow),)
    return PreparedRule(
        rule=rule,
        policies=policies,
        wants=_prepare_on(rule.on),
        clauses=(*prepare_when(rule.when), *allow),
        treatments=prepare_treatments(rule),
        make_key=prepare_key(rule.name, rule.key),
    )


def choose(policy: Policy) -> Chosen:
    """Name a policy as drafts do."""
    fallbacks = tuple(agent.name for agent in policy.fallbacks)
    return Chosen(policy=policy.sha256, agent=policy.agent.name, fallbacks=fallbacks)


def _prepare_on(on: Sequence[str]) -> Callable[[str], bool]:
    """Compile `on`: globs of `name.action`, or of a `name` alone, which stands for any action.

    The end of a task is wanted only where it is named: `*` would follow itself. So are the events
    of other senders than GitHub, of which nothing is checked out or published.
    """
    globs = _compile_on(on)
    following = _compile_named(on, [one for one in on if one.startswith(FOLLOWING)])
    foreign = _compile_named(on, [one for one in on if is_foreign(one) and one[0] != "!"])

    def wants(name: str) -> bool:
        if name.startswith(f"{FOLLOWING}."):
            return following.accepts((name,))
        return (foreign if is_foreign(name) else globs).accepts((name,))

    return wants


def is_foreign(name: str) -> bool:
    """Say whether a name, or what `on` asks for, is of another sender than GitHub's events:
    `forge:push`.
    """
    return ":" in name.partition(".")[0]


def _compile_named(on: Sequence[str], named: Sequence[str]) -> Globs:
    """Compile some entries with all that refuse; nothing is wanted where none is named."""
    refusing = [one for one in on if one.startswith("!")]
    return _compile_on([*named, *refusing]) if named else NO_GLOBS


def _compile_on(on: Sequence[str]) -> Globs:
    any_action = [f"{one}.*" for one in on if "." not in one]
    return compile_texts([*on, *any_action])
