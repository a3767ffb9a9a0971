"""Reads GitLab's payloads as events; it trusts no shape and refuses nothing.

The name of an event is its `object_kind`; where there is none, its `event_name`.

https://docs.gitlab.com/user/project/integrations/webhook_events/
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from covend.core.model import Envelope, Event, Json, Moment, Subject, SubjectType
from covend.core.rules import facts

COMMITS_MAX = 2_048
PATHS_MAX = 3_000
_CLOSING = frozenset({"close", "merge"})
_PATH = re.compile(r"[A-Za-z0-9_.-]{1,255}(?:/[A-Za-z0-9_.-]{1,255}){1,20}")
_OLD_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d) UTC")


def name_of(payload: Json) -> str:
    """Give the event's name; empty where the payload has none."""
    return facts.name(payload.get("object_kind")) or facts.name(payload.get("event_name")) or ""


def read_event(envelope: Envelope, name: str) -> Event:
    """Read what rules ask about; whatever is missing or misshapen stays empty."""
    payload = facts.mapping(envelope.payload)
    project, thing = facts.mapping(payload.get("project")), _thing(name, payload)
    attributes = facts.mapping(payload.get("object_attributes"))
    action = facts.name(attributes.get("action")) or facts.name(payload.get("action"))
    subject = _SUBJECTS.get(name, _read_other)(payload, thing)
    updated_at = _moment(thing.get("updated_at")) if name in _CHANGING else None
    return Event(
        source=envelope.source,
        delivery=envelope.delivery,
        name=envelope.event,
        action=action,
        repository=_path(project.get("path_with_namespace")),
        default_branch=facts.name(project.get("default_branch")),
        clone_url=facts.name(project.get("git_http_url")),
        subject_updated_at=updated_at,
        before_sha=facts.sha(thing.get("oldrev")) or facts.sha(payload.get("before")),
        closed_at=updated_at if name in _CHANGING and action in _CLOSING else None,
        sender=_sender(payload),
        author=subject.author or None,
        subject=subject,
        labels=_labels(payload),
        draft=_draft(thing),
        fork=_is_fork(thing),
        title=subject.title or None,
        body=facts.text(attributes.get("note" if name == "note" else "description")),
        conclusion=_conclusion(name, payload, attributes),
        ref=facts.name(payload.get("ref")) or facts.name(attributes.get("ref")),
        comment_id=facts.number(attributes.get("id")) if name == "note" else None,
        paths=_paths(payload) if name == "push" else None,
        payload=envelope.whole,
    )


def _thing(name: str, payload: Json) -> Json:
    """Give what the event is about: of a comment that which was commented on."""
    if name != "note":
        return facts.mapping(payload.get("object_attributes"))
    return next(
        (found for key in _NOTED if (found := facts.mapping(payload.get(key)))), facts.NOTHING
    )


def _path(value: object) -> str | None:
    """Give `group/…/name`, of any depth."""
    if not isinstance(value, str) or len(value) > facts.NAME_MAX or not _PATH.fullmatch(value):
        return None
    return None if {".", ".."} & set(value.split("/")) else value


def _moment(value: object) -> Moment | None:
    """Give the milliseconds of a moment, also as older versions write it."""
    old = _OLD_MOMENT.fullmatch(value) if isinstance(value, str) else None
    return facts.moment(f"{old[1]}T{old[2]}Z" if old else value)


def _sender(payload: Json) -> str | None:
    user = facts.mapping(payload.get("user"))
    return facts.name(user.get("username")) or facts.name(payload.get("user_username"))


def _labels(payload: Json) -> tuple[str, ...]:
    titles = (
        facts.text(facts.mapping(one).get("title"), facts.NAME_MAX)
        for one in facts.items(payload.get("labels"))
    )
    return tuple(title for title in titles if title)


def _draft(thing: Json) -> bool | None:
    draft = facts.flag(thing.get("draft"))
    return facts.flag(thing.get("work_in_progress")) if draft is None else draft


def _is_fork(thing: Json) -> bool | None:
    """Say whether a merge request comes from another project."""
    source, target = (
        facts.number(thing.get(f"{side}_project_id")) for side in ("source", "target")
    )
    return None if source is None or target is None else source != target


def _conclusion(name: str, payload: Json, attributes: Json) -> str | None:
    """Give how a pipeline, job or deployment stands."""
    match name:
        case "pipeline":
            return facts.name(attributes.get("status"))
        case "build":
            return facts.name(payload.get("build_status"))
        case "deployment":
            return facts.name(payload.get("status"))
        case _:
            return None


def _paths(push: Json) -> tuple[str, ...] | None:
    """Give the paths that a push touches, or None where it does not list all of its commits."""
    commits = facts.items(push.get("commits"), COMMITS_MAX)
    if not commits or facts.number(push.get("total_commits_count")) != len(commits):
        return None
    touched = (
        path
        for commit in map(facts.mapping, commits)
        for change in ("added", "modified", "removed")
        for path in facts.items(commit.get(change), PATHS_MAX)
    )
    paths = dict.fromkeys(clean for path in touched if (clean := facts.text(path, facts.PATH_MAX)))
    return tuple(paths) if len(paths) <= PATHS_MAX else None


# --- the subject ----------------------------------------------------------------------------------


def _title(value: object) -> str:
    return (facts.text(value, facts.TITLE_MAX) or "").partition("\n")[0]


def _url(thing: Json) -> str:
    return facts.name(thing.get("url")) or ""


def _author(payload: Json, thing: Json) -> str:
    """Give the author's name, which is told only where the author is the one who acts."""
    actor = facts.number(facts.mapping(payload.get("user")).get("id"))
    is_author = actor is not None and actor == facts.number(thing.get("author_id"))
    return (_sender(payload) or "") if is_author else ""


def _read_merge_request(payload: Json, thing: Json) -> Subject:
    source = _path(facts.mapping(thing.get("source")).get("path_with_namespace"))
    return Subject(
        type=SubjectType.PULL_REQUEST,
        number=facts.number(thing.get("iid")),
        title=_title(thing.get("title")),
        url=_url(thing),
        author=_author(payload, thing),
        head_sha=facts.sha(facts.mapping(thing.get("last_commit")).get("id")),
        head_ref=facts.name(thing.get("source_branch")),
        base_ref=facts.name(thing.get("target_branch")),
        head_repository=source,
    )


def _read_issue(payload: Json, thing: Json) -> Subject:
    return Subject(
        type=SubjectType.ISSUE,
        number=facts.number(thing.get("iid")),
        title=_title(thing.get("title")),
        url=_url(thing),
        author=_author(payload, thing),
    )


def _read_note(payload: Json, thing: Json) -> Subject:
    if facts.mapping(payload.get("merge_request")):
        return _read_merge_request(payload, thing)
    if facts.mapping(payload.get("issue")):
        return _read_issue(payload, thing)
    if facts.mapping(payload.get("commit")):
        return _read_commit(thing, facts.sha(thing.get("id")))
    return _read_other(payload, thing)


def _read_push(payload: Json, _thing: Json) -> Subject:
    """Read the pushed commit; a deleted branch or tag has none (`after` is zeros)."""
    after = facts.sha(payload.get("after"))
    commits = map(facts.mapping, facts.items(payload.get("commits"), COMMITS_MAX))
    newest = next((each for each in commits if each.get("id") == after), facts.NOTHING)
    commit = _read_commit(newest, after)
    return Subject(
        type=commit.type,
        title=commit.title,
        url=commit.url,
        head_sha=after,
        base_sha=facts.sha(payload.get("before")),
    )


def _read_pipeline(payload: Json, thing: Json) -> Subject:
    commit = facts.mapping(payload.get("commit"))
    return _read_commit(commit, facts.sha(thing.get("sha")))


def _read_build(payload: Json, _thing: Json) -> Subject:
    commit = facts.mapping(payload.get("commit"))
    return _read_commit(commit, facts.sha(payload.get("sha")))


def _read_commit(commit: Json, head_sha: str | None) -> Subject:
    title, url = _title(commit.get("message")), _url(commit)
    return Subject(type=SubjectType.COMMIT, title=title, url=url, head_sha=head_sha)


def _read_other(_payload: Json, thing: Json) -> Subject:
    return Subject(title=_title(thing.get("title")), url=_url(thing))


_NOTED = ("merge_request", "issue", "commit", "snippet")
_CHANGING = frozenset({"merge_request", "issue", "work_item"})
"""Events whose thing tells when it was last changed."""

_SUBJECTS: Mapping[str, Callable[[Json, Json], Subject]] = {
    "merge_request": _read_merge_request,
    "issue": _read_issue,
    "work_item": _read_issue,
    "note": _read_note,
    "push": _read_push,
    "tag_push": _read_push,
    "pipeline": _read_pipeline,
    "build": _read_build,
}
