"""What is written and changes nothing: said twice, always overtaken, or taken for a word as it is;
each is a warning.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from covend.config.agent_tables import AgentTable
from covend.config.locate import KeyPath
from covend.config.problems import Finding, closest, shown
from covend.config.rule_tables import RuleTable
from covend.config.schema import ConfigTable

PLACEHOLDERS = ("{prompt}", "{brief}", "{result}", "{workspace}", "{session}", "{model}")
"""What stands for something in a command; a test holds it against what fills them in."""

_LIKE_A_PLACEHOLDER = re.compile(r"\{[a-z_]+\}")


def find_no_effect(config: ConfigTable) -> Iterator[Finding]:
    """Give all that has no effect, in agents and in rules."""
    for name, agent in config.agents.items():
        yield from _agent(config, ("agents", name), agent)
    for index, rule in enumerate(config.rules):
        path = ("rules", index)
        for key in ("on", "publish"):
            yield from _twice((*path, key), getattr(rule, key))
        yield from _twin(config.rules[:index], path, rule)


def _agent(config: ConfigTable, path: KeyPath, agent: AgentTable) -> Iterator[Finding]:
    yield from _twice((*path, "fallback"), agent.fallback)
    yield from _twice((*path, "env"), agent.env)
    if "idle_timeout" in agent.model_fields_set and agent.idle_timeout > agent.timeout:
        message = f"is longer than timeout ({agent.timeout:g} s), which is over before it"
        yield Finding(path=(*path, "idle_timeout"), message=message)
    if (agent.concurrency or 0) > config.limits.concurrency:
        message = f"is more than limits.concurrency = {config.limits.concurrency}: it never holds"
        yield Finding(path=(*path, "concurrency"), message=message)
    for index, word in enumerate(agent.command or ()):
        yield from _placeholder((*path, "command", index), word)


def _placeholder(path: KeyPath, word: str) -> Iterator[Finding]:
    found = _LIKE_A_PLACEHOLDER.search(word)
    if found is None or word in PLACEHOLDERS:
        return
    if found[0] in PLACEHOLDERS:
        message = f"is left as it is: {found[0]} is filled in only where it is a whole word"
        yield Finding(path=path, message=message, got=shown(path, word))
    elif found[0] == word:
        message = f"is left as it is: the placeholders are {' '.join(PLACEHOLDERS)}"
        near = closest(word, PLACEHOLDERS)
        yield Finding(path=path, message=message, got=shown(path, word), suggestion=near)


def _twice(path: KeyPath, words: Sequence[str]) -> Iterator[Finding]:
    for index, word in enumerate(words):
        if word in words[:index]:
            yield Finding(path=(*path, index), message="is there already", got=shown(path, word))


def _twin(earlier: Sequence[RuleTable], path: KeyPath, rule: RuleTable) -> Iterator[Finding]:
    """Find a rule that differs from an earlier one by its name alone: each event starts both."""
    own = rule.model_copy(update={"name": ""})
    twin = next((one for one in earlier if one.model_copy(update={"name": ""}) == own), None)
    if twin is not None and rule.on and twin.name != rule.name:
        message = f'says the same as the rule "{twin.name}": each event starts both'
        yield Finding(path=path, message=message, is_about_key=True)
