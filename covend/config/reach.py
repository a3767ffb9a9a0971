"""Rules that can never match, or that hold an event against what no event has; each is a warning.

What is asked is asked of the globs and of the rule's own `on` as they are at work, with made-up
names: nothing here has an opinion of its own of what a glob means.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product

from covend.config.github_events import (
    DECIDES_DRAFT,
    EVENTS_OF_APPS,
    FREE_ACTIONS,
    GITHUB_EVENTS,
    OWN_EVENTS,
)
from covend.config.inward import senders_in
from covend.config.locate import KeyPath
from covend.config.problems import Finding, closest, shown
from covend.config.rule_tables import RuleTable
from covend.config.schema import ConfigTable
from covend.core.rules.globs import Globs, compile_paths, compile_texts
from covend.core.rules.prepared import prepare_rule
from covend.core.settings import Rule

Pairs = Sequence[tuple[str, str | None]]

ASSOCIATIONS = (
    *("OWNER", "MEMBER", "COLLABORATOR", "CONTRIBUTOR", "FIRST_TIME_CONTRIBUTOR", "FIRST_TIMER"),
    *("MANNEQUIN", "NONE"),
)
"""https://docs.github.com/en/graphql/reference/enums#commentauthorassociation"""

CONCLUSIONS = (
    *("success", "failure", "neutral", "cancelled", "skipped", "timed_out", "action_required"),
    *("stale", "startup_failure", "needs_input"),
)
"""https://docs.github.com/en/rest/checks/runs, and what an agent's result may say."""

_WORDS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "association": (ASSOCIATIONS, "what GitHub calls an association"),
    "conclusion": (CONCLUSIONS, "a conclusion"),
}
_PATHS = frozenset({"repository", "paths"})
_IGNORES_CASE = frozenset({"repository", "author", "sender", "association", "labels"})
_LISTS = (
    *("repository", "base", "head", "author", "sender", "association", "labels", "paths"),
    *("title", "body", "event", "action", "conclusion", "ref"),
)
_MADE_UP: Mapping[str, tuple[str, ...]] = {
    "**": ("k", "k9/zz.y"),
    "*": ("k", "zz-9.y"),
    "?": ("k",),
}
"""What stands in for each sign when a glob is asked for a name that it matches."""
_NAMES_MAX = 64
"""So many made-up names of one glob are tried."""


def find_unreachable(config: ConfigTable, path: KeyPath, rule: RuleTable) -> Iterator[Finding]:
    """Give what keeps one rule from ever starting, as far as its own words show."""
    is_foreign = bool(senders_in(rule.on))
    for name in _LISTS:
        globs = getattr(rule.when, name)
        if globs is not None:
            where = (*path, "when", name)
            yield from _shapes(where, name, globs)
            yield from _contradiction(where, name, globs)
            # Another sender has words of its own.
            yield from () if is_foreign else _words(where, name, globs)
    pairs = _pairs(rule)
    if pairs is not None:
        yield from _of_events(path, rule, pairs)
    if config.github is not None and config.github.token is not None:
        yield from _only_for_apps(path, rule)


# --- one list by itself ---------------------------------------------------------------------------


def _shapes(path: KeyPath, name: str, globs: Sequence[str]) -> Iterator[Finding]:
    """Find globs of a form that no value of this clause has."""
    for index, written in enumerate(globs):
        negation, glob = ("!", written[1:]) if written.startswith("!") else ("", written)
        why, better = _misshapen(name, glob)
        if why:
            does = "refuses nothing" if negation else "matches nothing"
            yield Finding(
                path=_entry(path, globs, index),
                message=f"{does}: {why}",
                got=shown(path, written),
                suggestion=f'"{negation}{better}"',
            )


def _misshapen(name: str, glob: str) -> tuple[str, str]:
    if name == "repository" and "/" not in glob and "**" not in glob:
        better = "**" if glob == "*" else f"*/{glob}"
        return "a repository is OWNER/NAME, and no * crosses the /", better
    if name == "paths" and glob.startswith(("/", "./")):
        return "paths begin in the repository, without a /", glob.removeprefix(".").lstrip("/")
    if name == "paths" and glob.endswith("/"):
        return "it names a directory, and files are changed", f"{glob}**"
    if name in {"base", "head"} and glob.startswith("refs/heads/"):
        return "it is compared with the branch's short name", glob.removeprefix("refs/heads/")
    if name in {"author", "sender"} and glob.startswith("@"):
        return "a login is written without the @", glob.removeprefix("@")
    return "", ""


def _words(path: KeyPath, name: str, globs: Sequence[str]) -> Iterator[Finding]:
    """Find what is none of a closed set of words."""
    words, what = _WORDS.get(name, ((), ""))
    for index, glob in enumerate(globs):
        wanted = glob.removeprefix("!")
        if words and not _compile(name, [wanted]).accepts_one(words):
            yield Finding(
                path=_entry(path, globs, index),
                message=f"is not {what}: {', '.join(words)}",
                got=shown(path, glob),
                suggestion=closest(wanted, words),
            )


def _contradiction(path: KeyPath, name: str, globs: Sequence[str]) -> Iterator[Finding]:
    """Find a list whose `!` globs refuse all that its others ask for."""
    wanted = [glob for glob in globs if not glob.startswith("!")]
    if not wanted or len(wanted) == len(globs):
        return
    try:
        accepts = _compile(name, globs).accepts_one
    except ValueError:
        return  # the globs are wrong by themselves, which is an error already
    if not any(accepts(_names_for(glob)) for glob in wanted):
        message = 'can never be true: its own "!" refuses all that it asks for'
        yield Finding(path=path, message=message, is_about_key=True)


def _compile(name: str, globs: Sequence[str]) -> Globs:
    compiled: Callable[..., Globs] = compile_paths if name in _PATHS else compile_texts
    return compiled(globs, ignores_case=name in _IGNORES_CASE)


def _names_for(glob: str) -> list[str]:
    """Make up names that a glob matches, so different that no single other one covers them by
    chance.
    """
    parts: list[tuple[str, ...]] = []
    rest = glob
    while rest:
        sign = next((sign for sign in _MADE_UP if rest.startswith(sign)), rest[0])
        parts.append(_MADE_UP.get(sign, (sign,)))
        rest = rest[len(sign) :]
    names = ("".join(name) for name in product(*parts))
    return [name for _, name in zip(range(_NAMES_MAX), names, strict=False)]


def _entry(path: KeyPath, globs: Sequence[str], index: int) -> KeyPath:
    """Name an entry; what is written as a lone text has no place in a list."""
    return path if len(globs) == 1 else (*path, index)


# --- the events -----------------------------------------------------------------------------------


def _pairs(rule: RuleTable) -> Pairs | None:
    """Give every event with its action that the rule wants; None where not all can be named."""
    asked = [event for event in rule.on if not event.startswith("!")]
    if not asked or senders_in(rule.on) or not all(map(_is_listed, asked)):
        return None
    wants = prepare_rule(Rule(name="r", on=tuple(rule.on), agent="", prompt=""), {}).wants
    every = [
        (name, action)
        for name, actions in {**GITHUB_EVENTS, **OWN_EVENTS}.items()
        for action in actions or (None,)
    ]
    return [
        (name, action) for name, action in every if wants(f"{name}.{action}" if action else name)
    ]


def _is_listed(event: str) -> bool:
    """Say whether all that it stands for is in the table of GitHub's events."""
    name = event.partition(".")[0]
    return name in GITHUB_EVENTS and name not in FREE_ACTIONS


def _of_events(path: KeyPath, rule: RuleTable, pairs: Pairs) -> Iterator[Finding]:
    if not pairs and not any(event.startswith("!") for event in rule.on):
        return  # what it asks for is no event, which is an error already
    if not pairs:
        message = 'wants no event: its own "!" refuses all that it asks for'
        yield Finding(path=(*path, "on"), message=message, is_about_key=True)
        return
    yield from _one_of(path, "event", rule, [name for name, _ in pairs])
    yield from _one_of(path, "action", rule, [action or "" for _, action in pairs])
    decided = {DECIDES_DRAFT.get(pair) for pair in pairs}
    if rule.when.draft is not None and decided == {not rule.when.draft}:
        told = "ready for review" if rule.when.draft else "a draft"
        message = f"can never be true: what `on` names tells of pull requests that are {told}"
        yield Finding(path=(*path, "when", "draft"), message=message, is_about_key=True)


def _one_of(path: KeyPath, name: str, rule: RuleTable, values: Sequence[str]) -> Iterator[Finding]:
    """Find a clause `event` or `action` that refuses every event of `on`."""
    globs = getattr(rule.when, name)
    told = list(dict.fromkeys(value for value in values if value))
    if globs is None or compile_texts(globs).accepts_one(values):
        return
    has = f"`on` has only {', '.join(told[:8])}" if told else "no event in `on` has an action"
    where = (*path, "when", name)
    yield Finding(
        path=where,
        message=f"can never be true: {has}",
        got=shown(where, globs),
        suggestion=closest(globs[0], told),
        is_about_key=True,
    )


def _only_for_apps(path: KeyPath, rule: RuleTable) -> Iterator[Finding]:
    for index, event in enumerate(rule.on):
        name = event.partition(".")[0]
        if event in EVENTS_OF_APPS or name in EVENTS_OF_APPS:
            message = "never comes: GitHub sends it to Apps alone, and covend has a token"
            yield Finding(path=(*path, "on", index), message=message, got=shown(path, event))
