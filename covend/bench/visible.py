"""Holds what the stand-in has been written against what covend's store says is done: each visible
thing there once, as its last effect would have it, and nothing beside them.

Refuses to believe either side alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from covend.core.effects.marker import carries
from covend.core.model import Effect, EffectKind
from covend.core.states import EffectState
from covend.demo.github.state import State
from covend.store.effects import StoredEffects
from covend.store.queries import load_queries
from covend.store.sqlite.connection import open_sqlite
from covend.store.sqlite.migrate import migrate

PAGE = 500
_MARKER = "<!-- covend:v1 slot="

Things = Sequence[bool]
"""Everything that takes a place: each says whether it is as the last effect would have it."""


@dataclass(slots=True, kw_only=True)
class Seen:
    """What became of the effects, counted; `wrong` names each place that is not as it should be."""

    effects: Counter[EffectState] = field(default_factory=Counter)
    once: Counter[EffectKind] = field(default_factory=Counter)
    twice: Counter[EffectKind] = field(default_factory=Counter)
    missing: Counter[EffectKind] = field(default_factory=Counter)
    strays: int = 0
    """What covend has written by the stand-in's record, and its store knows nothing of."""
    wrong: list[str] = field(default_factory=list)

    @property
    def is_right(self) -> bool:
        """Say whether everything is there once, and nothing is open or given up."""
        at_rest = {EffectState.DONE, EffectState.WITHHELD}
        return bool(self.once) and not self.wrong and not self.strays and {*self.effects} <= at_rest


async def read_effects(database: Path) -> Sequence[Effect]:
    """Read the whole outbox of a covend that has ended, oldest first."""
    queries = load_queries(files("covend.store.sqlite") / "queries")
    found: list[Effect] = []
    async with open_sqlite(database, queries, migrate) as connection:
        effects, cursor = StoredEffects(connection), None
        while True:
            page, cursor = await effects.page(limit=PAGE, cursor=cursor)
            found += page
            if cursor is None:
                return found[::-1]


def compare(effects: Sequence[Effect], state: State) -> Seen:
    """Count what is there once, more than once, or not at all."""
    seen = Seen(effects=Counter(effect.state for effect in effects))
    last = {effect.slot: effect for effect in effects if effect.state is EffectState.DONE}
    for effect in last.values():
        things = _FINDERS[effect.kind](effect, state)
        if not things or not all(things):
            seen.missing[effect.kind] += 1
            seen.wrong.append(f"{effect.slot}: missing, or not its last version")
        elif len(things) > 1:
            seen.twice[effect.kind] += 1
            seen.wrong.append(f"{effect.slot}: there {len(things)} times")
        else:
            seen.once[effect.kind] += 1
    seen.strays = max(0, _written_count(state) - _made_count(last.values()))
    return seen


def _made_count(effects: Iterable[Effect]) -> int:
    """Count the places that are things of their own on GitHub."""
    changes = {EffectKind.LABELS, EffectKind.DISMISSAL, EffectKind.STATUS}
    return sum(effect.kind not in changes for effect in effects)


def _written_count(state: State) -> int:
    bot, remarks, repositories = state.app.bot, state.review_comments, state.hosted.values()
    return (
        len(state.check_runs)
        + sum(each.author == bot for each in state.comments)
        + sum(each.author == bot for each in state.reviews)
        + sum(each.author == bot for each in state.reactions)
        + sum(each.author == bot and each.in_reply_to is not None for each in remarks)
        + sum(pull.author == bot for hosted in repositories for pull in hosted.pulls.values())
    )


# --- by kind --------------------------------------------------------------------------------------


def _checks(effect: Effect, state: State) -> Things:
    request, body = effect.request, effect.request["body"]
    at = (effect.repository, body["name"], request["head_sha"])
    found = [run for run in state.check_runs if (run.repository, run.name, run.head_sha) == at]
    return [
        run.external_id == body["external_id"]
        and run.conclusion == body.get("conclusion", run.conclusion)
        and len(run.annotations) == request.get("annotated", 0)
        for run in found
    ]


def _statuses(effect: Effect, state: State) -> Things:
    """The newest of a context is what is seen; those before it are history."""
    request, body = effect.request, effect.request["body"]
    at = (effect.repository, request["head_sha"], body["context"])
    found = [each for each in state.statuses if (each.repository, each.sha, each.context) == at]
    return [found[-1].state == body["state"]] if found else []


def _comments(effect: Effect, state: State) -> Things:
    request = effect.request
    place = state.review_comments if "thread" in request else state.comments
    texts = [each.body for each in place if each.repository == effect.repository]
    return _marked(texts, effect)


def _reviews(effect: Effect, state: State) -> Things:
    texts = [each.body for each in state.reviews if each.repository == effect.repository]
    return _marked(texts, effect)


def _pulls(effect: Effect, state: State) -> Things:
    pulls = state.find(str(effect.repository)).pulls.values()
    return _marked([pull.body or "" for pull in pulls], effect)


def _marked(texts: Iterable[str], effect: Effect) -> Things:
    marker: str = effect.request["marker"]
    slot = marker.removeprefix(_MARKER).partition(" ")[0]
    ours = [text for text in texts if f"{_MARKER}{slot} " in text]
    return [carries(text, marker) for text in ours]


def _reactions(effect: Effect, state: State) -> Things:
    request = effect.request
    on = request.get("comment_id", request.get("number"))
    at = (effect.repository, on, request["body"]["content"], state.app.bot)
    return [
        True
        for each in state.reactions
        if (each.repository, each.subject_id, each.content, each.author) == at
    ]


def _labels(effect: Effect, state: State) -> Things:
    hosted, number = state.find(str(effect.repository)), effect.request["number"]
    on = hosted.issues.get(number) or hosted.pulls[number]
    names = Counter(label.name.casefold() for label in on.labels)
    wanted = {name.casefold() for name in effect.request["body"]["labels"]}
    return [wanted <= {*names}] * max(names.values(), default=0)


def _dismissals(effect: Effect, state: State) -> Things:
    wanted = int(effect.request["review_id"])
    return [
        each.minimized is not None or each.state == "DISMISSED"
        for each in state.reviews
        if each.id == wanted
    ]


_FINDERS: Mapping[EffectKind, Callable[[Effect, State], Things]] = {
    EffectKind.CHECK: _checks,
    EffectKind.STATUS: _statuses,
    EffectKind.COMMENT: _comments,
    EffectKind.REVIEW: _reviews,
    EffectKind.PULL_REQUEST: _pulls,
    EffectKind.REACTION: _reactions,
    EffectKind.LABELS: _labels,
    EffectKind.DISMISSAL: _dismissals,
}


def as_json(seen: Seen) -> Mapping[str, Any]:
    """Give the counts as they are printed."""
    return {
        "effects": {state.value: count for state, count in sorted(seen.effects.items())},
        "visible_once": {kind.value: count for kind, count in sorted(seen.once.items())},
        "visible_twice": seen.twice.total(),
        "missing": seen.missing.total(),
        "unknown_to_the_store": seen.strays,
        "wrong": seen.wrong,
    }
