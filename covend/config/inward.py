"""What comes in beside GitHub's events: the settings of `[sources.NAME]` and `[[schedules]]`, and
what is wrong or unwise in them and in the rules that they start.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from covend.config.github_events import CHECKS, COMMAND, SCHEDULE, TASK
from covend.config.locate import KeyPath
from covend.config.outside import ScheduleTable, SourceTable
from covend.config.problems import Finding, closest, shown
from covend.config.schema import ConfigTable
from covend.config.tables import named_tables, table, tables_in, texts_in
from covend.core.model import Trust
from covend.core.outside import Missed, Schedule, Source, SourceKind
from covend.core.secret import Secret
from covend.core.sources import foreign, github, own, standard, submission

Tables = Mapping[str, Any]

TAKEN: Mapping[str, str] = {
    github.NAME: "GitHub itself",
    **dict.fromkeys(
        (own.NAME, submission.NAME, COMMAND, TASK, CHECKS, SCHEDULE), "covend's own events"
    ),
}
"""Names that no other source may have: nobody could tell their events apart."""

_KINDS: Mapping[str, SourceKind] = {
    **{kind.value: kind for kind in SourceKind},
    "forgejo": SourceKind.GITEA,
}
_TRUST: Mapping[SourceKind, Trust] = {
    SourceKind.STANDARD_WEBHOOKS: Trust.MEMBER,
    SourceKind.HMAC: Trust.MEMBER,
    SourceKind.GITEA: Trust.NONE,
    SourceKind.GITLAB: Trust.NONE,
}
"""A forge's events tell of what strangers do, another sender's of what it does itself."""

_KEYS_OF: Mapping[str, frozenset[str]] = {
    "standard-webhooks": frozenset({"tolerance", "event_header"}),
    "hmac": frozenset(
        {
            *("header", "algorithm", "encoding", "prefix", "timestamp_header", "tolerance"),
            *("event_header", "id_header"),
        }
    ),
    "gitea": frozenset(),
    "forgejo": frozenset(),
    "gitlab": frozenset({"tolerance"}),
}
"""What each kind knows beside `kind`, `secrets` and `trust`."""

_SIGNED_BY_STANDARD = frozenset({"standard-webhooks", "gitlab"})


def sources_of(
    tables: Mapping[str, SourceTable], secrets: Mapping[KeyPath, Secret]
) -> Mapping[str, Source]:
    """Give the senders by name; without their secrets where none were read."""
    return {name: _source(name, each, secrets) for name, each in tables.items()}


def _source(name: str, source: SourceTable, secrets: Mapping[KeyPath, Secret]) -> Source:
    kind = _KINDS[source.kind]
    paths = (("sources", name, "secrets", index) for index in range(len(source.secrets)))
    written = source.model_dump(
        include={"header", "algorithm", "encoding", "prefix", "event_header", "id_header"}
        | {"timestamp_header"},
        exclude_none=True,
    )
    if source.tolerance is not None:
        written["tolerance_s"] = source.tolerance
    return Source(
        name=name,
        kind=kind,
        secrets=tuple(secrets[path] for path in paths if path in secrets),
        trust=Trust(source.trust) if source.trust else _TRUST[kind],
        **written,
    )


def schedules_of(tables: list[ScheduleTable]) -> tuple[Schedule, ...]:
    """Give the schedules in their order."""
    return tuple(
        Schedule(
            name=each.name,
            cron=each.cron,
            rule=each.rule,
            repository=each.repository,
            missed=Missed(each.missed),
        )
        for each in tables
    )


# --- errors: senders ------------------------------------------------------------------------------


def check_sources(tables: Tables) -> Iterator[Finding]:
    """Find names that are taken, and keys that a kind lacks, or does not know."""
    for name, source in named_tables(tables.get("sources")):
        path = ("sources", name)
        if name in TAKEN:
            message = f"is taken by {TAKEN[name]}"
            yield Finding(path=path, message=message, is_about_key=True)
        if source.get("kind") == "hmac" and "header" not in source:
            message = "is missing: the header that carries the signature"
            yield Finding(path=(*path, "header"), message=message, is_about_key=True)
        yield from _useless_keys(path, source)


def _useless_keys(path: KeyPath, source: Tables) -> Iterator[Finding]:
    kind = source.get("kind")
    known = _KEYS_OF.get(kind) if isinstance(kind, str) else None
    if known is None:
        return  # the schema says what is wrong with it
    for key in source.keys() & (_KEYS_OF["hmac"] - known):
        message = f'means nothing to kind = "{kind}", which has a way of its own'
        yield Finding(path=(*path, key), message=message, is_about_key=True)
    if kind == "hmac" and "tolerance" in source and "timestamp_header" not in source:
        message = "means nothing without timestamp_header: nobody knows when it was signed"
        yield Finding(path=(*path, "tolerance"), message=message, is_about_key=True)


def check_secrets(tables: Tables, secrets: Mapping[KeyPath, Secret]) -> Iterator[Finding]:
    """Find secrets of Standard Webhooks that could never verify anything."""
    for name, source in named_tables(tables.get("sources")):
        if str(source.get("kind")) not in _SIGNED_BY_STANDARD:
            continue
        for index, _ in tables_in(source.get("secrets")):
            path = ("sources", name, "secrets", index)
            if path in secrets and not standard.keys_of(secrets[path]):
                message = f"begins with {standard.SECRET_PREFIX}, and what follows is no base64"
                yield Finding(path=path, message=message)


def check_foreign_event(path: KeyPath, event: str, tables: Tables) -> Iterator[Finding]:
    """Find what is wrong with `NAME:event` or `NAME:event.action`."""
    sender, _, rest = event.removeprefix("!").partition(":")
    names = table(tables.get("sources"))
    if sender == github.NAME:
        message = "must be without a name: GitHub's events are written as they are"
        suggestion = f'"{rest}"' if rest else None
        yield Finding(path=path, message=message, got=shown(path, event), suggestion=suggestion)
    elif sender not in names:
        message = f"names a sender that is not there: add [sources.{sender}]"
        suggestion = closest(event, [f"{name}:{rest}" for name in names])
        yield Finding(path=path, message=message, got=shown(path, event), suggestion=suggestion)
    elif not rest.partition(".")[0] or len(rest) > foreign.NAME_MAX:
        message = f"must name an event behind the colon: {sender}:EVENT or {sender}:EVENT.ACTION"
        yield Finding(path=path, message=message, got=shown(path, event))


def senders_in(on: Any) -> list[str]:
    """List whose events an `on` wants, beside GitHub's and covend's own, each once."""
    wanted = (event for _, event in texts_in(on) if not event.startswith("!"))
    found = (event.partition(":")[0] for event in wanted if ":" in event.partition(".")[0])
    return list(dict.fromkeys(found))


def check_foreign_rules(tables: Tables) -> Iterator[Finding]:
    """Find what a rule asks for that only GitHub's events can have."""
    for index, rule in tables_in(tables.get("rules")):
        senders = senders_in(rule.get("on"))
        if not senders:
            continue
        path, whose = ("rules", index), f"events of {senders[0]}"
        if rule.get("checkout", "head") != "none":
            message = f'must be "none" for {whose}: only GitHub\'s repositories are checked out'
            got = shown((*path, "checkout"), rule.get("checkout", "head"))
            yield Finding(path=(*path, "checkout"), message=message, got=got)
        for position, kind in texts_in(rule.get("publish")):
            if kind != "callback":
                message = f'cannot be published for {whose}: only "callback" can'
                where = (*path, "publish", position)
                yield Finding(path=where, message=message, got=shown(where, kind))
        if "allow" in rule:
            message = f"cannot be asked for {whose}: it is a permission on GitHub; see `trust`"
            yield Finding(path=(*path, "allow"), message=message, is_about_key=True)


# --- errors: schedules ----------------------------------------------------------------------------


def check_schedules(tables: Tables) -> Iterator[Finding]:
    """Find schedules whose rule would check out what is not there, and rules that wait for the
    tick of another's.
    """
    rules = {str(rule.get("name")): rule for _, rule in tables_in(tables.get("rules"))}
    started = {}
    for index, schedule in tables_in(tables.get("schedules")):
        rule = rules.get(str(schedule.get("rule")))
        started[f"{SCHEDULE}.{schedule.get('name')}"] = schedule.get("rule")
        checkout = rule.get("checkout", "head") if rule is not None else "none"
        if checkout != "none" and "repository" not in schedule:
            message = (
                f'is missing: the rule has checkout = "{checkout}"; name a repository here,'
                ' or write checkout = "none" there'
            )
            path = ("schedules", index, "repository")
            yield Finding(path=path, message=message, is_about_key=True)
    for index, rule in tables_in(tables.get("rules")):
        for position, event in texts_in(rule.get("on")):
            if event in started and started[event] != rule.get("name"):
                where = ("rules", index, "on", position)
                message = f"is the tick of a schedule that starts its own rule, {started[event]}"
                yield Finding(path=where, message=message, got=shown(where, event))


# --- cautions -------------------------------------------------------------------------------------


def find_source_cautions(config: ConfigTable) -> Iterator[Finding]:
    """Find senders to whom no rule listens."""
    heard = {sender for rule in config.rules for sender in senders_in(rule.on)}
    for name in config.sources:
        if name not in heard:
            message = f'is heard by no rule: none has "{name}:…" in `on`'
            yield Finding(path=("sources", name), message=message, is_about_key=True)
