"""Reactions to comments, pull requests and issues: the same one of the same account is there once,
however often it is sent.

Refuses reviews: GitHub's REST API lets nobody react to one.
https://docs.github.com/en/rest/reactions/reactions
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from covend.core.effects.acknowledge import REVIEW_COMMENT, SUBJECT
from covend.core.model import Effect, SubjectType
from covend.core.scopes import COMMENT_ON, WRITE_PULLS, Scope
from covend.edges.github.client import (
    GitHubClient,
    Reach,
    Sent,
    found,
    in_path,
    repository_path,
    written,
)
from covend.edges.github.errors import NotFound, Refused

_COMMENTS: Mapping[str, str] = MappingProxyType(
    {"issue_comment": "issues/comments", "review_comment": "pulls/comments"}
)
"""By `Command.place`."""


async def send(client: GitHubClient, effect: Effect, previous: Sent | None) -> Sent:
    """React; GitHub answers as well where the reaction is there already, and what covend itself has
    given before is not even asked for.

    A comment that is not found is gone, or the permission is missing: the error names both.
    """
    if previous is not None:
        return previous
    path, scope = _path(effect), _scope(effect)
    try:
        answer = await client.request(
            "create_reaction",
            "POST",
            path,
            installation=effect.installation_id,
            repository=effect.request["repository"],
            permissions=scope,
            body=effect.request["body"],
        )
    except NotFound as error:
        needed = ", ".join(f"{name}={level}" for name, level in scope.items())
        message = f"{error} (what is reacted to is gone, or {needed} is not granted)"
        raise NotFound(message, status=error.status) from None
    return written(answer)


async def look_up(client: GitHubClient, effect: Effect) -> Sent | None:
    """Find the reaction of our own, on all pages."""
    own = await client.auth.own_login()
    reach = Reach(
        installation=effect.installation_id,
        repository=effect.request["repository"],
        permissions=_scope(effect),
    )
    content = effect.request["body"]["content"]
    query = {"content": content}
    async for reaction in client.pages("list_reactions", _path(effect), reach, query=query):
        author = (reaction.get("user") or {}).get("login")
        if (author, reaction.get("content")) == (own, content):
            return found(reaction)
    return None


def _path(effect: Effect) -> str:
    place = effect.request["place"]
    repository = repository_path(effect.request["repository"])
    if place == SUBJECT:
        return f"{repository}/issues/{effect.request['number']}/reactions"
    if place not in _COMMENTS:
        raise Refused(f"nobody can react to a {place}", status=0)
    comment = in_path(str(effect.request["comment_id"]))
    return f"{repository}/{_COMMENTS[place]}/{comment}/reactions"


def _scope(effect: Effect) -> Scope:
    if effect.request["place"] == REVIEW_COMMENT:
        return WRITE_PULLS
    return COMMENT_ON[SubjectType(effect.request["on"])]
