"""Renamed and transferred repositories: the old name redirects, and the id leads there for ever.

https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api#follow-redirects
"""

import re
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

from covend.demo.github.answers import Refused, not_found
from covend.demo.github.routes import Route
from covend.demo.github.state import Hosted, State
from covend.demo.records import Account

BY_ID = "/repositories/{repository_id}{rest:.*}"
"""Every operation of a repository, without its name."""

_SEGMENT = re.compile(r"\{(\w+)\}")


def rename(state: State, hosted: Hosted, name: str, owner: Account | None = None) -> None:
    """Give a repository another name, or another owner as well; what was written stays with it, and
    tokens that reach it still do.
    """
    old = hosted.full_name
    new_owner = owner or hosted.repository.owner
    hosted.repository = replace(hosted.repository, name=name, owner=new_owner)
    state.hosted[hosted.full_name.lower()] = state.hosted.pop(old.lower())
    state.moved[old.lower()] = hosted.repository.id
    for listed in (getattr(state, each.name) for each in fields(state)):
        if isinstance(listed, list):
            listed[:] = [_moved(each, old, hosted.full_name) for each in listed]
    for token, held in state.tokens.items():
        if held.repositories is not None and old in held.repositories:
            reach = held.repositories - {old} | {hosted.full_name}
            state.tokens[token] = replace(held, repositories=reach)


def find_moved(state: State, full_name: str) -> Hosted | None:
    """Find what had a name once, where nothing has it now."""
    if full_name.lower() in state.hosted:
        return None
    return _by_id(state, state.moved.get(full_name.lower()))


def redirect(state: State, hosted: Hosted, method: str, rest: str, query: str) -> Refused:
    """Send a caller on: a GET for good, and what changes something with its body as it is."""
    address = f"{state.site.api}/repositories/{hosted.repository.id}{rest}"
    status, words = (301, "Moved Permanently") if method == "GET" else (307, "Temporary Redirect")
    return Refused(status, words, headers={"Location": f"{address}?{query}" if query else address})


def named_path(state: State, repository_id: str, rest: str) -> str:
    """Give the path by name of one by id."""
    hosted = _by_id(state, int(repository_id) if repository_id.isdecimal() else None)
    if hosted is None:
        raise not_found()
    return f"/repos/{hosted.full_name}{rest}"


def find_route(
    routes: Sequence[Route], slashed: Sequence[str], method: str, path: str
) -> tuple[Route, dict[str, str]] | None:
    """Find who answers a path, and what its parameters are."""
    for route in routes:
        template = _SEGMENT.sub(
            lambda name: f"(?P<{name[1]}>{'.+' if name[1] in slashed else '[^/]+'})", route.path
        )
        matched = re.fullmatch(template, path) if route.method == method else None
        if matched:
            return route, matched.groupdict()
    return None


def _by_id(state: State, repository_id: int | None) -> Hosted | None:
    hosted = state.hosted.values()
    return next((each for each in hosted if each.repository.id == repository_id), None)


def _moved(record: Any, old: str, new: str) -> Any:
    named = getattr(record, "repository", None)
    return replace(record, repository=new) if named == old else record
