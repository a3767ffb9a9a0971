"""What is allowed, yet probably not what was meant; each is a warning and stops nothing.

Works on a file that fits the schema, or on what of it does.
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

from covend.config.assemble import MAY_COMMAND
from covend.config.budgets import find_budget_cautions
from covend.config.github_events import (
    COMMAND,
    EVENTS_WITH,
    MAY_NAME_PULL_REQUEST,
    MAY_NAME_SUBJECT,
    is_command,
    known_names,
)
from covend.config.inward import find_source_cautions, senders_in
from covend.config.locate import KeyPath
from covend.config.no_effect import find_no_effect
from covend.config.outward import find_callback_cautions
from covend.config.problems import Finding
from covend.config.reach import find_unreachable
from covend.config.rule_tables import RuleTable
from covend.config.same_work import find_key_cautions
from covend.config.schema import ConfigTable
from covend.config.trust import agents_in_use, confined_by_trust, find_trust_cautions
from covend.config.values import LOOPBACK, read_address
from covend.core.reconciling import LOG_KEPT_S
from covend.core.scopes import ON_THREADS


def find_cautions(config: ConfigTable) -> Iterator[Finding]:
    """Give every warning that the file's own text justifies."""
    yield from _listeners(config)
    yield from _idle_agents(config)
    yield from _unconfined(config)
    yield from _concurrency(config)
    yield from _retention(config)
    yield from find_budget_cautions(config)
    yield from find_callback_cautions(config)
    yield from find_source_cautions(config)
    yield from find_no_effect(config)
    if not config.rules:
        yield Finding(path=("rules",), message="are missing: every delivery will be ignored")
    for index, rule in enumerate(config.rules):
        yield from _rule(config, ("rules", index), rule)


def _listeners(config: ConfigTable) -> Iterator[Finding]:
    listen = config.admin.listen
    if not listen.startswith("unix:") and read_address(listen)[0] not in LOOPBACK:
        message = "can be reached from other machines, and speaks plain HTTP"
        yield Finding(path=("admin", "listen"), message=message, got=f'"{listen}"')


def _idle_agents(config: ConfigTable) -> Iterator[Finding]:
    used = agents_in_use(config)
    for name in config.agents:
        if name not in used:
            path = ("agents", name)
            yield Finding(path=path, message="is used by no rule", is_about_key=True)


def _concurrency(config: ConfigTable) -> Iterator[Finding]:
    limits = config.limits
    for name in ("concurrency_per_repository", "concurrency_per_installation"):
        if (getattr(limits, name) or 0) > limits.concurrency:
            message = f"is more than limits.concurrency = {limits.concurrency}: it never holds"
            yield Finding(path=("limits", name), message=message)


def _retention(config: ConfigTable) -> Iterator[Finding]:
    kept_s = config.store.retention.deliveries
    if config.github is not None and kept_s < LOG_KEPT_S:
        message = (
            "is shorter than the three days that GitHub's log of deliveries reaches back: what was"
            " missed for longer than nine tenths of it is not fetched any more"
        )
        yield Finding(path=("store", "retention", "deliveries"), message=message)


def _unconfined(config: ConfigTable) -> Iterator[Finding]:
    """Find what is written of a sandbox that is not there."""
    by_trust = confined_by_trust(config)
    for name, agent in config.agents.items():
        is_confined = bool({(name, "bubblewrap"), (name, "container")} & by_trust)
        if agent.sandbox == "none" and not agent.network:
            message = 'is not in force with sandbox = "none": the agent HAS the network'
            yield Finding(path=("agents", name, "network"), message=message)
        if agent.sandbox == "none" and agent.readable and not is_confined:
            message = 'has no effect with sandbox = "none": nothing is hidden from the agent'
            yield Finding(path=("agents", name, "readable"), message=message, is_about_key=True)
        is_contained = agent.sandbox == "container" or (name, "container") in by_trust
        if agent.container is not None and not is_contained:
            message = f'has no effect with sandbox = "{agent.sandbox}"'
            yield Finding(path=("agents", name, "container"), message=message, is_about_key=True)


def _rule(config: ConfigTable, path: KeyPath, rule: RuleTable) -> Iterator[Finding]:
    scheduled = {schedule.rule for schedule in config.schedules}
    if not rule.on and rule.name not in scheduled:
        message = "names no event: only a person or a program can start this rule"
        yield Finding(path=(*path, "on"), message=message, is_about_key=True)
    others = [event for event in rule.on if not is_command(event) and not event.startswith("!")]
    if rule.allow is None and others and any(map(is_command, rule.on)):
        message = (
            f"is missing because of the commands, so {', '.join(others)} is asked for"
            f" {', '.join(MAY_COMMAND)} as well: write it, or give the commands their own rule"
        )
        yield Finding(path=(*path, "allow"), message=message, is_about_key=True)
    yield from find_trust_cautions(config, path, rule, _events(rule))
    yield from _publish(config, path, rule)
    yield from _never(path, rule)
    yield from find_unreachable(config, path, rule)
    yield from find_key_cautions(path, rule, _events(rule))


def _publish(config: ConfigTable, path: KeyPath, rule: RuleTable) -> Iterator[Finding]:
    has_token = config.github is not None and config.github.token is not None
    about_pull_requests = bool(_events(rule) & MAY_NAME_PULL_REQUEST)
    for index, kind in enumerate(rule.publish):
        if kind == "check" and has_token:
            message = "becomes a commit status: only a GitHub App can make check runs"
            yield Finding(path=(*path, "publish", index), message=message)
        if kind == "review" and rule.on and not about_pull_requests:
            message = "needs a pull request, and no event in `on` is about one"
            yield Finding(path=(*path, "publish", index), message=message)
        if kind in ON_THREADS and rule.on and not _events(rule) & MAY_NAME_SUBJECT:
            message = "needs a pull request or an issue, and no event in `on` is about one"
            yield Finding(path=(*path, "publish", index), message=message)
        is_by_the_clock = not rule.on and rule.name in {each.rule for each in config.schedules}
        if kind not in {"pull_request", "callback"} and is_by_the_clock:
            message = "shows nothing of a schedule: its tick is about no pull request and no commit"
            yield Finding(path=(*path, "publish", index), message=message)
        if kind == "pull_request" and rule.checkout == "none":
            message = 'needs a checkout: with checkout = "none" the agent has nothing to commit to'
            yield Finding(path=(*path, "publish", index), message=message)


def _never(path: KeyPath, rule: RuleTable) -> Iterator[Finding]:
    """Find the clauses that no event of the rule can satisfy."""
    events = _events(rule)
    for name, able in EVENTS_WITH.items():
        asked = getattr(rule.when, name)
        if asked is None or not events or events & able or _only_refuses(asked):
            continue
        message = f"can never be true: {_listed(rule.on)} says nothing of it"
        yield Finding(path=(*path, "when", name), message=message, is_about_key=True)


def _only_refuses(asked: list[str] | bool) -> bool:  # noqa: FBT001
    """Say whether these are `!` globs alone, which hold where there is no value."""
    return not isinstance(asked, bool) and all(glob.startswith("!") for glob in asked)


def _events(rule: RuleTable) -> frozenset[str]:
    """Give the names, without actions, of all events that `on` can mean; none where another sender
    is among those who tell them, of whose events nothing is known.
    """
    if senders_in(rule.on):
        return frozenset()
    names = (*known_names(), COMMAND)
    wanted = [event for event in rule.on if not event.startswith("!")]
    found = {
        name.partition(".")[0] for name in names for event in wanted if fnmatchcase(name, event)
    }
    return frozenset({*found, *(event.partition(".")[0] for event in wanted if "*" not in event)})


def _listed(on: list[str]) -> str:
    return on[0] if len(on) == 1 else f"none of {', '.join(on)}"
