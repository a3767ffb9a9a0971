"""Reads GitHub's payloads as events; it trusts no shape and refuses nothing.

What GitHub sends breaks GitHub's own schema: every field is optional, and each is checked where it
is taken.

https://docs.github.com/en/webhooks/webhook-events-and-payloads
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct

from covend.core.model import Command, Envelope, Event, Json, Moment, Subject, SubjectType
from covend.core.rules import commands, facts
from covend.core.rules.trust import CHECKERS, ORGANISED, WRITERS, judge_trust

PATHS_MAX = 3_000
COMMITS_MAX = 2_048
"""GitHub cuts a push's list of commits there, and says nothing."""


class _Parts(Struct, frozen=True, kw_only=True):
    """A payload taken apart: the thing that the event is about, and who speaks in it."""

    payload: Json
    repository: Json
    thing: Json
    voice: Json
    """The comment or review, else the thing itself."""
    pull: Json
    """The pull request in full, or the short form that checks carry."""


_PULL_EVENTS = frozenset(
    {
        "pull_request",
        "pull_request_review",
        "pull_request_review_comment",
        "pull_request_review_thread",
        "pull_request_target",
    }
)
_THINGS: Mapping[str, str] = {
    **dict.fromkeys(_PULL_EVENTS, "pull_request"),
    "issues": "issue",
    "issue_comment": "issue",
    "deployment_status": "deployment",
    "discussion_comment": "discussion",
    "commit_comment": "comment",
}
"""Where a payload keeps what its event is about; all others keep it under the event's own name."""

_CHANGING = _PULL_EVENTS | {"issues", "issue_comment"}
"""Events whose thing tells when it was last changed, in its `updated_at`."""

_CLOSING = frozenset({"pull_request", "issues"})

_VOICES: Mapping[str, str] = {
    "issue_comment": "comment",
    "pull_request_review": "review",
    "pull_request_review_comment": "comment",
    "commit_comment": "comment",
    "discussion_comment": "comment",
}
_PLACES: Mapping[str, str] = {
    "issue_comment": "issue_comment",
    "pull_request_review": "review",
    "pull_request_review_comment": "review_comment",
}
"""Where commands are listened to, and how `Command.place` calls it."""


def read_event(envelope: Envelope, mention: str | None) -> Event:
    """Read what rules ask about; whatever is missing or misshapen stays empty."""
    name, payload = envelope.event, facts.mapping(envelope.payload)
    parts = _take_apart(name, payload)
    action = facts.name(payload.get("action"))
    updated_at = facts.moment(parts.thing.get("updated_at")) if name in _CHANGING else None
    sender = facts.mapping(payload.get("sender"))
    login, sender_type = facts.name(sender.get("login")), facts.name(sender.get("type"))
    association = facts.name(parts.voice.get("author_association"))
    subject = _SUBJECTS.get(name, _read_other)(parts)
    body = facts.text(parts.voice.get("body"))
    fork = _is_fork(parts.pull)
    speaker = _login(parts.voice)
    return Event(
        source=envelope.source,
        delivery=envelope.delivery,
        name=name,
        action=action,
        installation_id=facts.number(facts.mapping(payload.get("installation")).get("id")),
        repository_id=facts.number(parts.repository.get("id")),
        repository=facts.repository(parts.repository.get("full_name")),
        default_branch=facts.name(parts.repository.get("default_branch")),
        clone_url=facts.name(parts.repository.get("clone_url")),
        subject_updated_at=updated_at,
        before_sha=facts.sha(payload["before"]) if "before" in payload else None,
        closed_at=_read_closing(parts, updated_at) if _closes(name, action) else None,
        sender=login,
        sender_type=sender_type,
        author=subject.author or None,
        association=association,
        trust=judge_trust(
            is_bot=sender_type == "Bot",
            is_fork=fork is True,
            association=association if speaker == login else None,
            is_writer=_is_writer(name, action, parts, fork),
            is_insider=name in ORGANISED and None not in (speaker, login) and speaker != login,
        ),
        subject=subject,
        labels=_read_labels(parts.thing),
        draft=facts.flag(parts.thing.get("draft")),
        fork=fork,
        title=subject.title or None,
        body=body,
        conclusion=facts.name(parts.thing.get("conclusion")),
        ref=facts.name(payload.get("ref")) or facts.name(parts.thing.get("tag_name")),
        comment_id=facts.number(parts.voice.get("id")) if name in _VOICES else None,
        command=_read_command(name, parts, body, login, mention) if name in _PLACES else None,
        paths=_read_paths(payload) if name == "push" else None,
        payload=envelope.whole,
    )


def _take_apart(event: str, payload: Json) -> _Parts:
    thing = facts.mapping(payload.get(_THINGS.get(event, event)))
    repository = facts.mapping(payload.get("repository"))
    return _Parts(
        payload=payload,
        repository=repository,
        thing=thing,
        voice=facts.mapping(payload.get(_VOICES[event])) if event in _VOICES else thing,
        pull=thing if event in _PULL_EVENTS else _find_pull(thing, repository),
    )


def _find_pull(check: Json, repository: Json) -> Json:
    """Give the first pull request of a check that is into this repository; others are listed."""
    for pull in map(facts.mapping, facts.items(check.get("pull_requests"))):
        base = facts.mapping(facts.mapping(pull.get("base")).get("repo"))
        if base.get("id") == repository.get("id"):
            return pull
    return facts.NOTHING


def _login(voice: Json) -> str | None:
    return facts.name(facts.mapping(voice.get("user")).get("login"))


def _is_fork(pull: Json) -> bool | None:
    """Say whether the head lies in another repository; a deleted one (null) was another one."""
    if "head" not in pull:
        return None
    head, base = (_repository_of(pull, side) for side in ("head", "base"))
    return head.get("id") is None or head.get("id") != base.get("id")


def _repository_of(pull: Json, side: str) -> Json:
    return facts.mapping(facts.mapping(pull.get(side)).get("repo"))


def _closes(name: str, action: str | None) -> bool:
    return action == "closed" and name in _CLOSING


def _read_closing(parts: _Parts, updated_at: Moment | None) -> Moment | None:
    """Say when it was closed; what was opened again meanwhile is `closed_at` null by now."""
    closed_at = facts.moment(parts.thing.get("closed_at"))
    return updated_at if closed_at is None else closed_at


def _is_writer(event: str, action: str | None, parts: _Parts, fork: bool | None) -> bool:  # noqa: FBT001
    """Say whether only somebody who may write could cause this, and the code is not a stranger's.

    A fork's checks and pushes to its own branch look like anyone's: only what names a head in this
    very repository counts.
    """
    if event == "pull_request":
        return action == "synchronize" and fork is False
    if event == "status":
        return bool(facts.items(parts.payload.get("branches")))
    return event in WRITERS or (event in CHECKERS and fork is False)


def _read_labels(thing: Json) -> tuple[str, ...]:
    labels = (
        facts.text(facts.mapping(one).get("name"), facts.NAME_MAX)
        for one in facts.items(thing.get("labels"))
    )
    return tuple(label for label in labels if label)


def _read_paths(push: Json) -> tuple[str, ...] | None:
    """Give the paths that the commits of a push touch, or None where their list is not whole."""
    commits = facts.items(push.get("commits"), COMMITS_MAX)
    if not 0 < len(commits) < COMMITS_MAX:
        return None
    touched = (
        path
        for commit in map(facts.mapping, commits)
        for change in ("added", "modified", "removed")
        for path in facts.items(commit.get(change), PATHS_MAX)
    )
    paths = dict.fromkeys(clean for path in touched if (clean := facts.text(path, facts.PATH_MAX)))
    return tuple(paths) if len(paths) <= PATHS_MAX else None


def _read_command(
    event: str, parts: _Parts, body: str | None, actor: str | None, mention: str | None
) -> Command | None:
    found = commands.read_command(body, mention)
    comment_id = facts.number(parts.voice.get("id"))
    if not found or not actor or not comment_id or not _is_said_now(parts.payload, body, mention):
        return None
    verb, text = found
    return Command(verb=verb, text=text, actor=actor, comment_id=comment_id, place=_PLACES[event])


def _is_said_now(payload: Json, body: str | None, mention: str | None) -> bool:
    """Take words when they are said, or edited into what was no such command before."""
    action = facts.name(payload.get("action"))
    if action in {"created", "submitted"}:
        return True
    change = facts.mapping(facts.mapping(payload.get("changes")).get("body"))
    former = facts.text(change.get("from"))
    is_edit = action == "edited" and former is not None
    return is_edit and commands.says_something_new(body, former, mention)


# --- the subject ----------------------------------------------------------------------------------


def _read_pull(parts: _Parts) -> Subject:
    pull = parts.pull
    head, base = facts.mapping(pull.get("head")), facts.mapping(pull.get("base"))
    return Subject(
        type=SubjectType.PULL_REQUEST,
        number=facts.number(pull.get("number")),
        title=_title(pull.get("title")),
        url=facts.name(pull.get("html_url")) or "",
        author=_login(pull) or "",
        head_sha=facts.sha(head.get("sha")),
        base_sha=facts.sha(base.get("sha")),
        head_ref=facts.name(head.get("ref")),
        base_ref=facts.name(base.get("ref")),
        head_repository=facts.repository(facts.mapping(head.get("repo")).get("full_name")),
    )


def _read_issue(parts: _Parts) -> Subject:
    """Read an issue; a pull request's comments come with its issue side, which knows no head."""
    issue = parts.thing
    is_pull = isinstance(issue.get("pull_request"), dict)
    return Subject(
        type=SubjectType.PULL_REQUEST if is_pull else SubjectType.ISSUE,
        number=facts.number(issue.get("number")),
        title=_title(issue.get("title")),
        url=facts.name(issue.get("html_url")) or "",
        author=_login(issue) or "",
    )


def _read_check(parts: _Parts) -> Subject:
    """Read what was checked: the pull request where one is named, else the commit.

    The head is the checked one, which the pull request may have left behind.
    """
    check = parts.thing
    checked = facts.sha(check.get("head_sha"))
    if not parts.pull:
        return _commit(checked, check, facts.name(check.get("head_branch")))
    base = facts.mapping(parts.pull.get("base"))
    number = facts.number(parts.pull.get("number"))
    home = facts.name(parts.repository.get("html_url"))
    return Subject(
        type=SubjectType.PULL_REQUEST,
        number=number,
        url=f"{home}/pull/{number}" if home and number else "",
        head_sha=checked,
        base_sha=facts.sha(base.get("sha")),
        head_ref=facts.name(facts.mapping(parts.pull.get("head")).get("ref")),
        base_ref=facts.name(base.get("ref")),
    )


def _read_push(parts: _Parts) -> Subject:
    """Read the pushed commit; a deleted branch or tag has none (`after` is zeros)."""
    head = facts.mapping(parts.payload.get("head_commit"))
    author = facts.name(facts.mapping(head.get("author")).get("username"))
    return Subject(
        type=SubjectType.COMMIT,
        title=_title(head.get("message")).partition("\n")[0],
        url=facts.name(head.get("url")) or "",
        author=author or "",
        head_sha=facts.sha(parts.payload.get("after")),
        base_sha=facts.sha(parts.payload.get("before")),
    )


def _read_other(parts: _Parts) -> Subject:
    """Read a release, a discussion, a repository …: maybe with a title, but with no commit."""
    thing = parts.thing
    author = _login(thing) or facts.name(facts.mapping(thing.get("author")).get("login"))
    return Subject(
        title=_title(thing.get("title")) or _title(thing.get("name")),
        url=facts.name(thing.get("html_url")) or "",
        author=author or "",
    )


def _commit_at(key: str, *, in_payload: bool = False) -> Callable[[_Parts], Subject]:
    """Make the reader of an event whose thing (or payload) names its commit under `key`."""

    def read(parts: _Parts) -> Subject:
        holder = parts.payload if in_payload else parts.thing
        return _commit(facts.sha(holder.get(key)), parts.thing, facts.name(parts.thing.get("ref")))

    return read


def _commit(head_sha: str | None, thing: Json, ref: str | None) -> Subject:
    return Subject(
        type=SubjectType.COMMIT,
        title=_title(thing.get("name")),
        url=facts.name(thing.get("html_url")) or "",
        author=_login(thing) or "",
        head_sha=head_sha,
        head_ref=ref,
    )


def _title(value: object) -> str:
    return facts.text(value, facts.TITLE_MAX) or ""


_SUBJECTS: Mapping[str, Callable[[_Parts], Subject]] = {
    **dict.fromkeys(_PULL_EVENTS, _read_pull),
    "issues": _read_issue,
    "issue_comment": _read_issue,
    "check_run": _read_check,
    "check_suite": _read_check,
    "workflow_run": _read_check,
    "workflow_job": _read_check,
    "push": _read_push,
    "merge_group": _commit_at("head_sha"),
    "deployment": _commit_at("sha"),
    "deployment_status": _commit_at("sha"),
    "commit_comment": _commit_at("commit_id"),
    "status": _commit_at("sha", in_payload=True),
}
