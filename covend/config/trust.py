"""What a rule's `trust` cannot mean (errors), and what it probably should not (cautions).

Errors are found in the raw tables, whatever else is wrong there; cautions in a file that fits the
schema.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from covend.config.agent_tables import AgentTable
from covend.config.github_events import EVENTS_WITH, EVENTS_WITH_ASSOCIATION
from covend.config.locate import KeyPath
from covend.config.problems import Finding, shown
from covend.config.rule_tables import RuleTable, TermsTable
from covend.config.schema import ConfigTable
from covend.config.tables import named_tables, table, tables_in, texts_in
from covend.core.model import Trust
from covend.core.settings import HELD_BY_DEFAULT, Sandbox

Tables = Mapping[str, Any]

CONFINEMENT = (Sandbox.NONE, Sandbox.BUBBLEWRAP, Sandbox.CONTAINER)
"""From the least to the most: trust may add a sandbox to an agent, and takes none away."""

EVENTS_WITH_TRUST: Mapping[Trust, frozenset[str]] = {
    Trust.FORK: EVENTS_WITH["fork"],
    Trust.MEMBER: EVENTS_WITH_ASSOCIATION,
    Trust.FIRST_TIME: EVENTS_WITH_ASSOCIATION,
}
"""For each trust that not every event can have: those that can."""


def terms_in(rule: Tables) -> Iterator[tuple[str, Tables]]:
    """Give the tables in a rule's `trust` by its degree; a text alone is none."""
    return named_tables(rule.get("trust"))


def agents_of(name: Any, agents: Tables) -> Iterator[tuple[str, Tables]]:
    """Give an agent and its fallbacks, as far as they are there, each once."""
    first = table(agents.get(str(name)))
    names = (str(name), *(fallback for _, fallback in texts_in(first.get("fallback"))))
    return ((one, table(agents[one])) for one in dict.fromkeys(names) if one in agents)


# --- errors ---------------------------------------------------------------------------------------


def check_trust(tables: Tables) -> Iterator[Finding]:
    """Find every sandbox that trust asks for and that its agents cannot have."""
    agents = table(tables.get("agents"))
    for index, rule in tables_in(tables.get("rules")):
        for trust, terms in terms_in(rule):
            path = ("rules", index, "trust", trust, "sandbox")
            if terms.get("sandbox") in CONFINEMENT:
                sandbox = Sandbox(terms["sandbox"])
                name = terms.get("agent", rule.get("agent"))
                yield from _sandbox(path, sandbox, dict(agents_of(name, agents)))


def _sandbox(path: KeyPath, sandbox: Sandbox, agents: Tables) -> Iterator[Finding]:
    for place, (name, agent) in enumerate(agents.items()):
        own = agent.get("sandbox", Sandbox.NONE)
        is_less = own in CONFINEMENT and CONFINEMENT.index(own) > CONFINEMENT.index(sandbox)
        if is_less and place == 0:
            message = (
                f"would take away agents.{name}.sandbox: trust only adds to it;"
                " name an agent of its own here"
            )
            yield Finding(path=path, message=message, got=shown(path, sandbox))
        if sandbox is Sandbox.CONTAINER and "container" not in agent:
            message = f'needs agents.{name}.container = {{ image = "…" }}'
            yield Finding(path=path, message=message, got=shown(path, sandbox))


# --- cautions -------------------------------------------------------------------------------------


def find_trust_cautions(
    config: ConfigTable, path: KeyPath, rule: RuleTable, events: frozenset[str]
) -> Iterator[Finding]:
    """Give what is unwise in one rule's `trust`; `events` are the names of all that it wants."""
    for trust in Trust:
        terms: TermsTable | None = getattr(rule.trust, trust)
        if terms is None:
            continue
        where = (*path, "trust", trust.value)
        able = EVENTS_WITH_TRUST.get(trust)
        if able is not None and events and not events & able:
            message = "never comes: no event in `on` can tell of it"
            yield Finding(path=where, message=message, is_about_key=True)
        if terms.do == "refuse" and terms.changes():
            message = 'says how to work beside do = "refuse", where nothing is done'
            yield Finding(path=where, message=message, is_about_key=True)
        yield from _unconfined(config, where, rule, trust, terms)


def _unconfined(
    config: ConfigTable, path: KeyPath, rule: RuleTable, trust: Trust, terms: TermsTable
) -> Iterator[Finding]:
    """Find the first agent that has all of covend's rights and would do a stranger's work."""
    is_awaited = not (trust is Trust.FORK and rule.when.fork is False)
    if trust not in HELD_BY_DEFAULT or terms.do != "run" or not is_awaited:
        return
    names = _names(config, terms.agent or rule.agent)
    free = [name for name in names if _is_free(config.agents[name], terms)]
    if free:
        message = (
            f"lets agent {free[0]} do the work of strangers with all of covend's own rights:"
            ' give it a sandbox or a user, or "hold" it'
        )
        yield Finding(path=path, message=message, is_about_key=True)


def _is_free(agent: AgentTable, terms: TermsTable) -> bool:
    return agent.sandbox == "none" and agent.user is None and terms.sandbox in {None, "none"}


def _names(config: ConfigTable, agent: str) -> Iterable[str]:
    """Name an agent and its fallbacks, as far as they are there, each once."""
    first = config.agents.get(agent)
    names = dict.fromkeys((agent, *(first.fallback if first else ())))
    return (name for name in names if name in config.agents)


def agents_in_use(config: ConfigTable) -> frozenset[str]:
    """Name every agent that a rule may come to."""
    wanted = {
        name
        for rule in config.rules
        for name in (rule.agent, *(terms.agent for _, terms in terms_of(rule)))
        if name is not None
    }
    return frozenset(name for agent in wanted for name in _names(config, agent))


def confined_by_trust(config: ConfigTable) -> frozenset[tuple[str, str]]:
    """Give each agent with a sandbox that some rule's trust puts it in."""
    return frozenset(
        (name, terms.sandbox)
        for rule in config.rules
        for _, terms in terms_of(rule)
        if terms.sandbox is not None
        for name in _names(config, terms.agent or rule.agent)
    )


def terms_of(rule: RuleTable) -> Iterator[tuple[Trust, TermsTable]]:
    found = ((trust, getattr(rule.trust, trust)) for trust in Trust)
    return ((trust, terms) for trust, terms in found if terms is not None)
