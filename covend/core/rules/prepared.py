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

    The end of a task is wanted only where it is named: `*` would follow itself.
    """
    globs = _compile_on(on)
    named = [one for one in on if one.startswith((FOLLOWING, "!"))]
    following = _compile_on(named) if any(not one.startswith("!") for one in named) else NO_GLOBS
    return lambda name: (following if name.startswith(f"{FOLLOWING}.") else globs).accepts((name,))


def _compile_on(on: Sequence[str]) -> Globs:
    any_action = [f"{one}.*" for one in on if "." not in one]
    return compile_texts([*on, *any_action])
