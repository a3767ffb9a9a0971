"""Comments on issues and pull requests, and replies in review threads: written, edited in place,
and found again by their marker.

https://docs.github.com/en/rest/issues/comments
https://docs.github.com/en/rest/pulls/comments#create-a-reply-for-a-review-comment
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from covend.core.effects.marker import carries
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
from covend.edges.github.errors import NotFound
from covend.edges.github.wire import Answer

LOOK_BACK = timedelta(days=1)
"""Comments last touched this long before the effect was written are not read; covers any clock's
error.
"""


async def send(client: GitHubClient, effect: Effect, previous: Sent | None) -> Sent:
    """Edit the slot's comment, or write one where there is none (any more)."""
    if previous is not None:
        path = f"{_repository(effect)}/{_kind(effect)}/comments/{in_path(previous.remote_id)}"
        try:
            return written(await _write(client, effect, "update_comment", "PATCH", path))
        except NotFound:
            pass  # somebody deleted it; certainly without effect
    if _is_reply(effect):
        return await _reply(client, effect)
    path = f"{_all(effect)}/comments"
    return written(await _write(client, effect, "create_comment", "POST", path))


async def look_up(client: GitHubClient, effect: Effect) -> Sent | None:
    """Find the comment of our own that carries the effect's marker, on all pages."""
    own = await client.auth.own_login()
    reach = Reach(
        installation=effect.installation_id,
        repository=effect.request["repository"],
        permissions=_scope(effect),
    )
    since = datetime.fromtimestamp(effect.created_at / 1000, UTC) - LOOK_BACK
    query = {"since": since.strftime("%Y-%m-%dT%H:%M:%SZ")}
    path = f"{_all(effect)}/comments"
    async for comment in client.pages("list_comments", path, reach, query=query):
        author = (comment.get("user") or {}).get("login")
        if author == own and carries(comment.get("body") or "", effect.request["marker"]):
            return found(comment)
    return None


async def _reply(client: GitHubClient, effect: Effect) -> Sent:
    """Answer in the thread; GitHub lets nobody reply to a reply, only to what began the thread."""
    try:
        top = await _beginning(client, effect)
        path = f"{_all(effect)}/comments/{top}/replies"
        return written(await _write(client, effect, "create_reply", "POST", path))
    except NotFound as error:
        needed = ", ".join(f"{name}={level}" for name, level in _scope(effect).items())
        message = f"{error} (the thread is gone, or {needed} is not granted)"
        raise NotFound(message, status=error.status) from None


async def _beginning(client: GitHubClient, effect: Effect) -> int:
    said: int = effect.request["thread"]
    answer = await client.request(
        "get_review_comment",
        "GET",
        f"{_repository(effect)}/pulls/comments/{said}",
        installation=effect.installation_id,
        repository=effect.request["repository"],
        permissions=_scope(effect),
    )
    top = answer.data.get("in_reply_to_id") if isinstance(answer.data, dict) else None
    return top if isinstance(top, int) else said


async def _write(
    client: GitHubClient, effect: Effect, operation: str, method: str, path: str
) -> Answer:
    return await client.request(
        operation,
        method,
        path,
        installation=effect.installation_id,
        repository=effect.request["repository"],
        permissions=_scope(effect),
        body=effect.request["body"],
    )


def _is_reply(effect: Effect) -> bool:
    return "thread" in effect.request


def _kind(effect: Effect) -> str:
    """Comments of threads are a list of their own, with ids of their own."""
    return "pulls" if _is_reply(effect) else "issues"


def _all(effect: Effect) -> str:
    return f"{_repository(effect)}/{_kind(effect)}/{effect.request['number']}"


def _repository(effect: Effect) -> str:
    return repository_path(effect.request["repository"])


def _scope(effect: Effect) -> Scope:
    return WRITE_PULLS if _is_reply(effect) else COMMENT_ON[SubjectType(effect.request["on"])]
