"""How a command is acknowledged where it was said: a reaction to its comment, and a short answer
where one is needed, in the thread where it stands in one.

A review has no reactions in GitHub's REST API, so that there a short comment says the same.
https://docs.github.com/en/rest/reactions/reactions
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from covend.core.commanding import CommandWish
from covend.core.effects.drafting import subject_key, target_of, version_of
from covend.core.effects.marker import Marker, sign
from covend.core.effects.texts import code, one_line, seal
from covend.core.model import Command, EffectDraft, EffectKind, SubjectType, Task

REVIEW = "review"
"""The place of a command that nobody can react to."""
REVIEW_COMMENT = "review_comment"
"""The place of a command that stands in a thread on lines of the diff."""
SUBJECT = "subject"
"""The place of a reaction to the pull request or issue itself."""
VERB_MAX = 32

_ANSWERED = frozenset({SubjectType.PULL_REQUEST, SubjectType.ISSUE})


class Reaction(StrEnum):
    """What covend has to say by a sign alone; GitHub's names."""

    SEEN = "eyes"
    DONE = "+1"
    REFUSED = "-1"
    PUZZLED = "confused"


_SIGNS: Mapping[Reaction, str] = {
    Reaction.SEEN: "👀",
    Reaction.DONE: "👍",
    Reaction.REFUSED: "👎",
    Reaction.PUZZLED: "😕",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """A command, and where it was said."""

    repository: str
    repository_key: str
    """What never changes about the repository."""
    subject_type: SubjectType
    subject_number: int
    command: Command
    version: str
    """Of what answers it, for the marker."""


def acknowledge_wish(
    wish: CommandWish, reaction: Reaction, *, key: bytes, words: str = ""
) -> tuple[EffectDraft, ...]:
    """Acknowledge what was said to covend itself; `key` signs the marker of the answer.

    `words` is Markdown of covend's own making; what is from outside in it has been made harmless.
    """
    spoken = _spoken(wish, wish.repository_key, wish.delivery)
    return () if spoken is None else tuple(_drafts(spoken, reaction, key, words))


def acknowledge_task(task: Task, reaction: Reaction, *, key: bytes) -> tuple[EffectDraft, ...]:
    """Acknowledge the command that a task was made by; nothing, where it was made by none."""
    spoken = _spoken(task, task.repository_key, version_of(task))
    return () if spoken is None else tuple(_drafts(spoken, reaction, key, ""))


def react_to_task(task: Task, reaction: Reaction, *, key: bytes) -> tuple[EffectDraft, ...]:
    """React to the command that a task was made by; where it was made by none, to its pull request
    or issue itself; nowhere, where there is none.
    """
    if task.command is not None:
        return acknowledge_task(task, reaction, key=key)
    subject = task.subject
    if not task.repository or subject.number is None or subject.type not in _ANSWERED:
        return ()
    on = subject_key(task)
    request = {
        "repository": task.repository,
        "on": subject.type,
        "place": SUBJECT,
        "number": subject.number,
        "body": {"content": reaction},
    }
    return (
        EffectDraft(
            kind=EffectKind.REACTION,
            slot=f"reaction/{on}/{reaction}",
            subject=f"{on}/reactions",
            target=target_of(task),
            request=request,
        ),
    )


def _spoken(said: CommandWish | Task, repository_key: str, version: str) -> Spoken | None:
    if isinstance(said, Task):
        kind, number = said.subject.type, said.subject.number
    else:
        kind, number = said.subject_type, said.subject_number
    if said.command is None or not said.repository or number is None or kind not in _ANSWERED:
        return None
    return Spoken(
        repository=said.repository,
        repository_key=repository_key,
        subject_type=kind,
        subject_number=number,
        command=said.command,
        version=version,
    )


def _drafts(spoken: Spoken, reaction: Reaction, key: bytes, words: str) -> Iterator[EffectDraft]:
    if spoken.command.place != REVIEW:
        yield _reaction(spoken, reaction)
    elif not words:
        words = f"{_SIGNS[reaction]} {code(one_line(spoken.command.verb, VERB_MAX))}"
    if words:
        yield _reply(spoken, words, key)


def _reaction(spoken: Spoken, reaction: Reaction) -> EffectDraft:
    command = spoken.command
    request = {
        "on": spoken.subject_type,
        "place": command.place,
        "comment_id": command.comment_id,
        "body": {"content": reaction},
    }
    slot = f"reaction/{command.place}/{command.comment_id}/{reaction}"
    return _draft(spoken, EffectKind.REACTION, slot, request)


def _reply(spoken: Spoken, words: str, key: bytes) -> EffectDraft:
    slot = f"reply/{spoken.command.place}/{spoken.command.comment_id}"
    marker = sign(Marker(slot=slot, task=spoken.version), key)
    request = {
        "number": spoken.subject_number,
        "on": spoken.subject_type,
        "marker": marker,
        "body": {"body": seal(words, marker)},
    }
    if spoken.command.place == REVIEW_COMMENT:
        request["thread"] = spoken.command.comment_id
    return _draft(spoken, EffectKind.COMMENT, slot, request)


def _draft(spoken: Spoken, kind: EffectKind, slot: str, request: dict[str, Any]) -> EffectDraft:
    """A subject of its own: an answer waits for no review, and no review for an answer."""
    command = spoken.command
    return EffectDraft(
        kind=kind,
        slot=slot,
        subject=f"{spoken.repository_key}/{command.place}/{command.comment_id}",
        target=f"{spoken.repository}#{spoken.subject_number}",
        request={"repository": spoken.repository, **request},
    )
