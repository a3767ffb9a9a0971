"""Budgets that cannot do what they seem to: each is a warning and stops nothing.

Works on a file that fits the schema.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from covend.config.agent_tables import Budgets
from covend.config.locate import KeyPath
from covend.config.presets import preset_of
from covend.config.problems import Finding, shown
from covend.config.schema import ConfigTable
from covend.config.trust import agents_in_use, terms_of
from covend.core.settings import Preset

UNITS = ("usd", "tokens")

ON_THE_WAY: Mapping[Preset, frozenset[str]] = {
    Preset.CLAUDE: frozenset({"tokens"}),
    Preset.CODEX: frozenset({"tokens"}),
}
"""What a tool tells before it ends; by anything else no attempt can be stopped."""


def find_budget_cautions(config: ConfigTable) -> Iterator[Finding]:
    """Give every budget that another one always comes before, or that nothing is counted on."""
    for path, table, agent in _tables(config):
        yield from _overtaken(config, path, table, "tokens")
        if _tells_no_cost(config, agent):
            yield from _never_counted(path, table, agent)
        else:
            yield from _overtaken(config, path, table, "usd")
            yield from _stopping_nothing(config, path, table, agent)
    yield from _of_the_day(config)


def _tables(config: ConfigTable) -> Iterator[tuple[KeyPath, Budgets, str]]:
    """Give each table that can hold budgets, with the agent that it is about."""
    for name, agent in config.agents.items():
        yield ("agents", name), agent, name
    for index, rule in enumerate(config.rules):
        yield ("rules", index), rule, rule.agent
        for trust, terms in terms_of(rule):
            yield ("rules", index, "trust", trust.value), terms, terms.agent or rule.agent


def _overtaken(config: ConfigTable, path: KeyPath, table: Budgets, unit: str) -> Iterator[Finding]:
    written = getattr(table, f"budget_{unit}_per_attempt")
    wider = {
        f"budget_{unit}_per_subject": getattr(table, f"budget_{unit}_per_subject"),
        **{f"limits.{name}": getattr(config.limits, name) for name in _daily(unit)},
    }
    yield from _more((*path, f"budget_{unit}_per_attempt"), written, wider)


def _of_the_day(config: ConfigTable) -> Iterator[Finding]:
    for unit in UNITS:
        whole, repository = _daily(unit)
        wider = {f"limits.{whole}": getattr(config.limits, whole)}
        yield from _more(("limits", repository), getattr(config.limits, repository), wider)
        if getattr(config.limits, whole) is not None and unit == "usd":
            for name in sorted(agents_in_use(config)):
                if _tells_no_cost(config, name):
                    message = f"does not count agent {name}: codex tells tokens and no cost"
                    yield Finding(path=("limits", whole), message=message)


def _more(
    path: KeyPath, written: float | None, wider: dict[str, float | None]
) -> Iterator[Finding]:
    """Find the first of the wider budgets that is used up before what is written."""
    for name, amount in wider.items():
        if written is not None and amount is not None and written > amount:
            message = f"is more than {name} = {amount:g}, which is used up before it"
            yield Finding(path=path, message=message, got=shown(path, written))
            return


def _never_counted(path: KeyPath, table: Budgets, agent: str) -> Iterator[Finding]:
    for name in ("budget_usd_per_attempt", "budget_usd_per_subject"):
        if getattr(table, name) is not None:
            message = (
                f"is never reached by agent {agent}: codex tells tokens and no cost;"
                f" write {name.replace('usd', 'tokens')}"
            )
            yield Finding(path=(*path, name), message=message, is_about_key=True)


def _stopping_nothing(
    config: ConfigTable, path: KeyPath, table: Budgets, agent: str
) -> Iterator[Finding]:
    preset = _preset(config, agent)
    told = ON_THE_WAY.get(preset, frozenset()) if preset else frozenset(UNITS)
    for unit in UNITS:
        name = f"budget_{unit}_per_attempt"
        if getattr(table, name) is not None and unit not in told:
            what = "what it has used" if not told else "its cost"
            mend = "; write budget_tokens_per_attempt" if told else ""
            message = f"stops no attempt of agent {agent}: {preset} tells {what} at the end{mend}"
            yield Finding(path=(*path, name), message=message, is_about_key=True)


def _daily(unit: str) -> tuple[str, str]:
    return f"budget_{unit}_per_day", f"budget_{unit}_per_repository_per_day"


def _tells_no_cost(config: ConfigTable, agent: str) -> bool:
    return _preset(config, agent) is Preset.CODEX


def _preset(config: ConfigTable, agent: str) -> Preset | None:
    table = config.agents.get(agent)
    return None if table is None else preset_of(table.preset, table.command)
