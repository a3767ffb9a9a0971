"""Judges a rule's `when`, one clause at a time: each says what it compared, and none stops another.

Lists are globs (see `globs`): one must match and no `!` one may. A value that the payload lacks
matches nothing, so only a list of `!` globs accepts it. What a look-up will tell is not guessed:
the clause is then neither satisfied nor refused, and names its `Need`. Of another sender's things
nothing can be looked up: what its payload lacks stays unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from covend.core.model import Event, Need, SubjectType
from covend.core.rules import facts
from covend.core.rules.globs import compile_paths, compile_texts
from covend.core.rules.verdicts import ClauseResult, Known
from covend.core.settings import When

SHOWN_MAX = 20
"""How many of the compared values a result keeps, each cut to `SHOWN_LENGTH_MAX` characters."""

SHOWN_LENGTH_MAX = 120

Values = tuple[str, ...]
Read = Callable[[Event, Known], Values | Need]
Accept = Callable[[Sequence[str]], bool]
Compile = Callable[[Sequence[str]], Accept]
Condition = Sequence[str] | Mapping[str, Sequence[str]] | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """One clause of one rule, compiled."""

    name: str
    conditions: tuple[str, ...]
    read: Read
    accept: Accept


def prepare_when(when: When) -> tuple[Clause, ...]:
    """Compile the clauses that a rule has, in the order of `CLAUSES`; ValueError for a bad glob."""
    asked = ((prepare, getattr(when, key)) for key, prepare in CLAUSES.items())
    return tuple(
        clause
        for prepare, condition in asked
        if condition is not None
        for clause in prepare(condition)
    )


def prepare_allow(roles: Iterable[str]) -> Clause:
    """Compile `allow`: the sender's live permission must be one of these roles, by name."""
    conditions = tuple(roles)
    return Clause(
        name="allow",
        conditions=conditions,
        read=_permission,
        accept=_texts_ignoring_case(conditions),
    )


def judge(clause: Clause, event: Event, known: Known) -> ClauseResult:
    """Let one clause look at an event and at what look-ups have found."""
    values = clause.read(event, known)
    if isinstance(values, Need) and event.is_foreign:
        values = ()  # nobody can be asked
    if isinstance(values, Need):
        return ClauseResult(
            name=clause.name, satisfied=None, conditions=clause.conditions, need=values
        )
    return ClauseResult(
        name=clause.name,
        satisfied=clause.accept(values),
        values=tuple([_shorten(value) for value in values[:SHOWN_MAX]]),
        conditions=clause.conditions,
    )


def _shorten(value: str) -> str:
    return value if len(value) <= SHOWN_LENGTH_MAX else f"{value[:SHOWN_LENGTH_MAX]}…"


# --- how values are compared ----------------------------------------------------------------------


def _texts(patterns: Sequence[str]) -> Accept:
    return compile_texts(patterns).accepts


def _texts_ignoring_case(patterns: Sequence[str]) -> Accept:
    return compile_texts(patterns, ignores_case=True).accepts


def _repositories(patterns: Sequence[str]) -> Accept:
    return compile_paths(patterns, ignores_case=True).accepts


def _any_path(patterns: Sequence[str]) -> Accept:
    """Ask each path by itself: one that is wanted is not outweighed by another that is not."""
    return compile_paths(patterns).accepts_one


# --- what each clause reads -----------------------------------------------------------------------


def _repository(event: Event, _: Known) -> Values:
    """`repository.full_name`; case does not matter, `*` does not cross the `/`."""
    return _maybe(event.repository)


def _base(event: Event, known: Known) -> Values | Need:
    """`pull_request.base.ref`; looked up for a comment on a pull request."""
    return _of_pull(event, known, event.subject.base_ref, known.base_ref)


def _head(event: Event, known: Known) -> Values | Need:
    """`pull_request.head.ref` or a check's `head_branch`; looked up as for `base`."""
    return _of_pull(event, known, event.subject.head_ref, known.head_ref)


def _author(event: Event, _: Known) -> Values:
    """`user.login` of the pull request or issue, whoever acts now; case does not matter."""
    return _maybe(event.author)


def _sender(event: Event, _: Known) -> Values:
    """`sender.login`: who acts now; case does not matter."""
    return _maybe(event.sender)


def _association(event: Event, _: Known) -> Values:
    """`author_association` of the comment, review, pull request or issue; case does not matter."""
    return _maybe(event.association)


def _labels(event: Event, _: Known) -> Values:
    """`labels[].name` of the pull request or issue; case does not matter, as on GitHub."""
    return event.labels


def _draft(event: Event, known: Known) -> Values | Need:
    """`draft` of the pull request, issue or release; looked up for a check of a pull request."""
    return _of_pull(event, known, _as_text(event.draft), _as_text(known.draft))


def _fork(event: Event, known: Known) -> Values | Need:
    """Whether `pull_request.head.repo` is not its `base.repo`; looked up as for `base`."""
    return _of_pull(event, known, _as_text(event.fork), _as_text(known.fork))


def _paths(event: Event, known: Known) -> Values | Need:
    """The changed paths: `commits[]` of a push, else looked up; one must pass by itself."""
    paths = known.paths if known.paths is not None else event.paths
    if paths is not None:
        return paths
    has_changes = event.subject.type in {SubjectType.PULL_REQUEST, SubjectType.COMMIT}
    return Need.PATHS if has_changes else ()


def _title(event: Event, _: Known) -> Values:
    """`title` of the pull request, issue or release (its `name`)."""
    return _maybe(event.title)


def _body(event: Event, _: Known) -> Values:
    """`body` of the comment or review, else of the pull request, issue or release."""
    return _maybe(event.body)


def _event(event: Event, _: Known) -> Values:
    """`X-GitHub-Event`."""
    return (event.name,)


def _action(event: Event, _: Known) -> Values:
    """`action`."""
    return _maybe(event.action)


def _conclusion(event: Event, _: Known) -> Values:
    """`conclusion` of the check run, check suite, workflow run or job; of `task.*` the task's."""
    return _maybe(event.conclusion)


def _ref(event: Event, _: Known) -> Values:
    """`ref`, or a release's `tag_name`: both as sent (`refs/heads/main`) and short (`main`)."""
    ref = event.ref or ""
    short = ref.removeprefix("refs/heads/").removeprefix("refs/tags/")
    return _maybe(event.ref) if short == ref else (ref, short)


def _permission(event: Event, known: Known) -> Values | Need:
    """The sender's live permission, always looked up; an event without a sender has none."""
    if known.permission is not None:
        return (known.permission,)
    return Need.PERMISSION if event.sender else ()


def _of_pull(event: Event, known: Known, told: str | None, found: str | None) -> Values | Need:
    """Give what the payload tells, else what was found with the head, else ask for that look-up."""
    value = told if told is not None else found
    is_pull = event.subject.type is SubjectType.PULL_REQUEST
    return Need.HEAD if value is None and is_pull and known.head_sha is None else _maybe(value)


def _maybe(value: str | None) -> Values:
    return () if value is None else (value,)


def _as_text(flag: bool | None) -> str | None:  # noqa: FBT001
    return None if flag is None else facts.scalar(flag)


# --- the table ------------------------------------------------------------------------------------


def _clause(key: str, read: Read, compile_: Compile) -> Callable[[Condition], tuple[Clause, ...]]:
    """Make the function that compiles one key's condition."""

    def prepare(condition: Condition) -> tuple[Clause, ...]:
        assert not isinstance(condition, Mapping)
        globs = (
            (facts.scalar(condition) or "",) if isinstance(condition, bool) else tuple(condition)
        )
        clause = Clause(name=f"when.{key}", conditions=globs, read=read, accept=compile_(globs))
        return (clause,)

    return prepare


def _payload(condition: Condition) -> tuple[Clause, ...]:
    """Compile `payload = { "a.b.c" = globs }`: a clause for each path, satisfied by any value
    there.

    An array on the way stands for each of its elements; booleans read `true` and `false`; null is
    nothing.
    """
    assert isinstance(condition, Mapping)
    return tuple(
        Clause(
            name=f"when.payload.{path}",
            conditions=tuple(globs),
            read=_at(path.split(".")),
            accept=_texts(globs),
        )
        for path, globs in condition.items()
    )


def _at(keys: Sequence[str]) -> Read:
    return lambda event, _: facts.dig(dict(event.payload), keys)


CLAUSES: Mapping[str, Callable[[Condition], tuple[Clause, ...]]] = {
    "repository": _clause("repository", _repository, _repositories),
    "base": _clause("base", _base, _texts),
    "head": _clause("head", _head, _texts),
    "author": _clause("author", _author, _texts_ignoring_case),
    "sender": _clause("sender", _sender, _texts_ignoring_case),
    "association": _clause("association", _association, _texts_ignoring_case),
    "labels": _clause("labels", _labels, _texts_ignoring_case),
    "draft": _clause("draft", _draft, _texts),
    "fork": _clause("fork", _fork, _texts),
    "paths": _clause("paths", _paths, _any_path),
    "title": _clause("title", _title, _texts),
    "body": _clause("body", _body, _texts),
    "event": _clause("event", _event, _texts),
    "action": _clause("action", _action, _texts),
    "conclusion": _clause("conclusion", _conclusion, _texts),
    "ref": _clause("ref", _ref, _texts),
    "payload": _payload,
}
"""Every `when` key, in the order of `settings.When`, and what compiles its condition."""
