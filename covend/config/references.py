"""What one part of the file says of another, and cannot be right: every such error, whatever else
is wrong.

Works on the raw tables. What is merely unwise, or never true, is in `cautions`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from itertools import chain
from typing import Any

import jinja2
from jinja2 import meta

from covend.config.github_events import COMMAND, FREE_ACTIONS, SCHEDULE, known_names
from covend.config.inward import (
    check_foreign_event,
    check_foreign_rules,
    check_schedules,
    check_sources,
)
from covend.config.locate import KeyPath
from covend.config.outward import check_callbacks
from covend.config.presets import NEEDS_PROMPT, preset_of
from covend.config.problems import Finding, closest, shown
from covend.config.tables import named_tables, table, tables_in, texts_in
from covend.config.trust import agents_of, check_trust, terms_in
from covend.core.commanding import Verb
from covend.core.model import DeliveryId, Event, Subject
from covend.core.rules.globs import compile_paths
from covend.core.rules.keys import compile_template, template_values
from covend.core.settings import Preset
from covend.core.units import UnitError, parse_duration

Tables = Mapping[str, Any]

_VERB = re.compile(r"[a-z][a-z0-9-]{0,31}|\*")
_KEY_NAMES = frozenset(
    template_values(Event(source="", delivery=DeliveryId(""), name=""), Subject())
)


def check_references(tables: Tables, templates: Mapping[int, str]) -> list[Finding]:
    """Find every error; `templates` are the prompts by the position of their rule."""
    findings = chain.from_iterable(check(tables) for check in _CHECKS)
    return [*findings, *_prompts(tables, templates)]


def _github(tables: Tables) -> Iterator[Finding]:
    if "github" not in tables:
        if "sources" not in tables:
            yield Finding(path=("github",), message="is missing: without it nothing comes in")
        return
    github = table(tables["github"])
    has_app = "app_id" in github or "private_key" in github
    if has_app and "token" in github:
        message = "cannot stand beside app_id and private_key: covend is an App, or has a token"
        yield Finding(path=("github", "token"), message=message, is_about_key=True)
    if not has_app and "token" not in github:
        message = "needs app_id and private_key of a GitHub App, or a token"
        yield Finding(path=("github",), message=message, is_about_key=True)
    for one, other in (("app_id", "private_key"), ("private_key", "app_id")):
        if one in github and other not in github:
            message = f"is missing: {one} is of no use without it"
            yield Finding(path=("github", other), message=message, is_about_key=True)


def _listeners(tables: Tables) -> Iterator[Finding]:
    public = table(tables.get("server")).get("listen", "127.0.0.1:8787")
    admin = table(tables.get("admin")).get("listen", "127.0.0.1:8788")
    if public == admin and not str(public).endswith(":0"):
        message = "is the address of the public listener too: they must not be the same"
        yield Finding(path=("admin", "listen"), message=message, got=f'"{admin}"')


def _agents(tables: Tables) -> Iterator[Finding]:
    for name, agent in named_tables(tables.get("agents")):
        path = ("agents", name)
        if "command" not in agent and agent.get("preset", "command") == "command":
            message = 'needs a command, or a preset such as "claude"'
            yield Finding(path=path, message=message, is_about_key=True)
        yield from _fallbacks(tables, name, agent)
        yield from _retry(path, table(agent.get("retry")))
        if agent.get("sandbox") == "container" and "container" not in agent:
            message = 'is missing: sandbox = "container" needs container = { image = "…" }'
            yield Finding(path=(*path, "container"), message=message, is_about_key=True)
        yield from _readable(path, agent)


def _readable(path: KeyPath, agent: Tables) -> Iterator[Finding]:
    """Refuse what a sandbox has of its own: the machine's would lie over it."""
    for index, place in texts_in(agent.get("readable")):
        if place.lstrip("/").partition("/")[0] in {"proc", "sys", "dev"}:
            message = "would lie over what a sandbox has of its own"
            yield Finding(path=(*path, "readable", index), message=message, got=f'"{place}"')


def _fallbacks(tables: Tables, name: str, agent: Tables) -> Iterator[Finding]:
    agents = table(tables.get("agents"))
    for index, fallback in texts_in(agent.get("fallback")):
        path = ("agents", name, "fallback", index)
        if fallback == name:
            yield Finding(path=path, message="is the agent itself", got=shown(path, fallback))
        else:
            yield from _unknown(path, fallback, agents, "agent")


def _retry(agent: tuple[str, str], retry: Tables) -> Iterator[Finding]:
    try:
        base, longest = (
            parse_duration(retry.get("base", "30s")),
            parse_duration(retry.get("max", "15m")),
        )
    except (UnitError, AttributeError, TypeError):
        return  # the schema says what is wrong with it
    if base > longest:
        path = (*agent, "retry", "base")
        yield Finding(path=path, message="is longer than max", got=shown(path, retry.get("base")))


def _rules(tables: Tables) -> Iterator[Finding]:
    yield from _twice(tables, "rules", "rule")
    agents = table(tables.get("agents"))
    for index, rule in tables_in(tables.get("rules")):
        path = ("rules", index)
        for where, named in ((path, rule), *_trusting(path, rule)):
            if isinstance(named.get("agent"), str):
                yield from _unknown((*where, "agent"), named["agent"], agents, "agent")
        for position, event in texts_in(rule.get("on")):
            yield from _event((*path, "on", position), event, tables)
        yield from _globs((*path, "when"), table(rule.get("when")))
        yield from _key((*path, "key"), rule.get("key"))


def _trusting(path: KeyPath, rule: Tables) -> Iterator[tuple[KeyPath, Tables]]:
    return (((*path, "trust", trust), terms) for trust, terms in terms_in(rule))


def _globs(path: tuple[str | int, ...], when: Tables) -> Iterator[Finding]:
    for name in ("repository", "paths"):
        written = when.get(name)
        globs = [(0, written)] if isinstance(written, str) else texts_in(written)
        for position, glob in globs:
            try:
                compile_paths([glob])
            except ValueError as error:
                where = (*path, name) if isinstance(written, str) else (*path, name, position)
                yield Finding(path=where, message=f"is no glob: {error}", got=shown(where, glob))


def _key(path: tuple[str | int, ...], template: Any) -> Iterator[Finding]:
    if not isinstance(template, str):
        return
    try:
        names = meta.find_undeclared_variables(jinja2.Environment(autoescape=True).parse(template))
        compile_template(template)  # filters and tests are looked up only there
    except jinja2.TemplateError as error:
        yield Finding(path=path, message=f"is no template: {error.message}")
        return
    for name in sorted(names - _KEY_NAMES):
        message = f"has the unknown name {name!r}"
        yield Finding(path=path, message=message, suggestion=closest(name, _KEY_NAMES))


def _event(path: tuple[str | int, ...], event: str, tables: Tables) -> Iterator[Finding]:
    wanted = event.removeprefix("!")
    name, _, action = wanted.partition(".")
    if ":" in name:
        yield from check_foreign_event(path, event, tables)
    elif name == COMMAND:
        yield from _command(path, event, action)
    elif name == SCHEDULE:
        yield from _tick(path, event, tables)
    elif name in table(tables.get("sources")):
        message = f"must have a colon behind the name of a sender: {name}:{action or 'EVENT'}"
        yield Finding(path=path, message=message, got=shown(path, event))
    elif name in FREE_ACTIONS and action:
        return
    elif not any(fnmatchcase(known, wanted) for known in known_names()):
        message = "is no event that GitHub sends" if "." not in event else _why_no_event(name)
        suggestion = closest(event, known_names())
        yield Finding(path=path, message=message, got=shown(path, event), suggestion=suggestion)


def _command(path: tuple[str | int, ...], event: str, verb: str) -> Iterator[Finding]:
    if verb and not _VERB.fullmatch(verb):
        message = "must be a command's verb: small letters, digits and '-', at most 32"
        yield Finding(path=path, message=message, got=shown(path, event))
    if verb in tuple(Verb) and not event.startswith("!"):
        message = (
            f"is covend's own: it does {verb!r} itself, without a rule; choose another verb"
            f" (not {', '.join(Verb)})"
        )
        yield Finding(path=path, message=message, got=shown(path, event))


def _tick(path: tuple[str | int, ...], event: str, tables: Tables) -> Iterator[Finding]:
    """Refuse the tick of a schedule that is not there; `schedule` alone is that of any."""
    schedules = tables_in(tables.get("schedules"))
    names = [f"{SCHEDULE}.{schedule.get('name')}" for _, schedule in schedules]
    wanted = event.removeprefix("!")
    if not any(fnmatchcase(name, wanted) for name in (SCHEDULE, *names)):
        message = "names a schedule that is not there: add it to [[schedules]]"
        suggestion = closest(event, names)
        yield Finding(path=path, message=message, got=shown(path, event), suggestion=suggestion)


def _why_no_event(name: str) -> str:
    is_event = name in known_names()
    return f"is no action of {name}" if is_event else "is no event that GitHub sends"


def _schedules(tables: Tables) -> Iterator[Finding]:
    yield from _twice(tables, "schedules", "schedule")
    for index, schedule in tables_in(tables.get("schedules")):
        if isinstance(schedule.get("rule"), str):
            path = ("schedules", index, "rule")
            yield from _unknown(path, schedule["rule"], _rule_names(tables), "rule")


def _samples(tables: Tables) -> Iterator[Finding]:
    for index, sample in tables_in(tables.get("tests")):
        expected = table(sample.get("expect")).get("rule")
        if isinstance(expected, str):
            path = ("tests", index, "expect", "rule")
            yield from _unknown(path, expected, _rule_names(tables), "rule")
        if isinstance(sample.get("event"), str):
            yield from _event(("tests", index, "event"), sample["event"], tables)


def _prompts(tables: Tables, templates: Mapping[int, str]) -> Iterator[Finding]:
    agents = table(tables.get("agents"))
    for index, rule in tables_in(tables.get("rules")):
        presets = _presets(rule, agents)
        needy = next((preset for preset in presets if preset in NEEDS_PROMPT), None)
        if needy and "prompt" not in rule:
            message = f"is missing: {needy} has nothing to do without one"
            yield Finding(path=("rules", index, "prompt"), message=message, is_about_key=True)
        if Preset.CLAUDE in presets and templates.get(index, "").lstrip().startswith("/"):
            message = 'begins with "/", which claude takes for a command of its own'
            yield Finding(path=("rules", index, "prompt"), message=message)


def _presets(rule: Tables, agents: Tables) -> list[Preset | None]:
    """Give the presets of all agents that a rule may come to: by trust, or as fallbacks."""
    names = (rule.get("agent"), *(terms.get("agent") for _, terms in terms_in(rule)))
    return [_preset(agent) for name in names for _, agent in agents_of(name, agents)]


def _preset(agent: Tables) -> Preset | None:
    command = agent.get("command")
    words = (
        command if isinstance(command, list) and all(isinstance(w, str) for w in command) else None
    )
    try:
        return preset_of(agent.get("preset"), words)
    except ValueError:
        return None


def _rule_names(tables: Tables) -> set[str]:
    return {str(rule.get("name")) for _, rule in tables_in(tables.get("rules"))}


def _twice(tables: Tables, section: str, noun: str) -> Iterator[Finding]:
    seen: set[str] = set()
    for index, entry in tables_in(tables.get(section)):
        name = entry.get("name")
        if not isinstance(name, str):
            continue
        if name in seen:
            path = (section, index, "name")
            message = f"is the name of an earlier {noun}"
            yield Finding(path=path, message=message, got=shown(path, name))
        seen.add(name)


def _unknown(
    path: tuple[str | int, ...], name: str, names: Iterable[str], noun: str
) -> Iterator[Finding]:
    known = list(names)
    if name not in known:
        message = (
            f"names an {noun} that is not there"
            if noun == "agent"
            else f"names a {noun} that is not there"
        )
        yield Finding(
            path=path, message=message, got=shown(path, name), suggestion=closest(name, known)
        )


_CHECKS: tuple[Callable[[Tables], Iterator[Finding]], ...] = (
    _github,
    _listeners,
    _agents,
    _rules,
    check_trust,
    _schedules,
    _samples,
    check_sources,
    check_foreign_rules,
    check_schedules,
    check_callbacks,
)
