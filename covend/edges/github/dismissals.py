"""Covend's own outdated reviews: one that asks for changes is dismissed, any other is folded away.

Refuses to do either twice: what is dismissed or folded away already, or gone, is done.
https://docs.github.com/en/rest/pulls/reviews#dismiss-a-review-for-a-pull-request
https://docs.github.com/en/graphql/reference/mutations#minimizecomment
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from covend.core.model import Effect
from covend.core.scopes import WRITE_PULLS
from covend.edges.github.client import GitHubClient, Reach, Sent, in_path, repository_path
from covend.edges.github.errors import NotFound, Refused
from covend.edges.github.wire import Answer

DEMANDS = "CHANGES_REQUESTED"
DISMISSED = "DISMISSED"

MINIMIZE = """\
mutation MinimizeReview($id: ID!) {
  minimizeComment(input: {subjectId: $id, classifier: OUTDATED}) {
    minimizedComment { isMinimized }
  }
}"""
IS_MINIMIZED = """\
query ReviewIsMinimized($id: ID!) {
  node(id: $id) { ... on PullRequestReview { isMinimized } }
}"""


async def send(client: GitHubClient, effect: Effect, previous: Sent | None) -> Sent:  # noqa: ARG001
    """Put the review away, in the way that its present state asks for."""
    review = await _find(client, effect)
    if review is None or review.maybe("state") == DISMISSED:
        return _sent(effect, review)
    try:
        if review.maybe("state") == DEMANDS:
            await _dismiss(client, effect)
        else:
            await _graphql(client, effect, "minimize_review", MINIMIZE, review)
    except Refused:
        # Dismissed or deleted meanwhile, by somebody or by a first request whose answer was lost.
        if not await _is_away(client, effect):
            raise
    return _sent(effect, review)


async def look_up(client: GitHubClient, effect: Effect) -> Sent | None:
    """Say whether it is put away, in either way."""
    review = await _find(client, effect)
    if review is None or review.maybe("state") == DISMISSED:
        return _sent(effect, review)
    if review.maybe("state") == DEMANDS:
        return None
    told = await _graphql(
        client, effect, "review_is_minimized", IS_MINIMIZED, review, harmless=True
    )
    node = told.get("node")
    is_minimized = isinstance(node, Mapping) and node.get("isMinimized") is True
    return _sent(effect, review) if is_minimized else None


async def _find(client: GitHubClient, effect: Effect) -> Answer | None:
    """Give the review as it is now; None where it is gone."""
    try:
        return await _ask(client, effect, "get_review", "GET", _path(effect))
    except NotFound:
        return None


async def _is_away(client: GitHubClient, effect: Effect) -> bool:
    review = await _find(client, effect)
    return review is None or review.maybe("state") == DISMISSED


async def _dismiss(client: GitHubClient, effect: Effect) -> Answer:
    path = f"{_path(effect)}/dismissals"
    return await _ask(client, effect, "dismiss_review", "PUT", path, effect.request["body"])


async def _ask(
    client: GitHubClient, effect: Effect, operation: str, method: str, path: str, body: Any = None
) -> Answer:
    return await client.request(
        operation,
        method,
        path,
        installation=effect.installation_id,
        repository=effect.request["repository"],
        permissions=WRITE_PULLS,
        body=body,
    )


async def _graphql(
    client: GitHubClient,
    effect: Effect,
    operation: str,
    document: str,
    review: Answer,
    *,
    harmless: bool = False,
) -> Mapping[str, Any]:
    reach = Reach(
        installation=effect.installation_id,
        repository=effect.request["repository"],
        permissions=WRITE_PULLS,
    )
    variables = {"id": review.text("node_id")}
    return await client.graphql(operation, document, variables, reach=reach, harmless=harmless)


def _path(effect: Effect) -> str:
    request = effect.request
    pull = f"{repository_path(request['repository'])}/pulls/{request['number']}"
    return f"{pull}/reviews/{in_path(request['review_id'])}"


def _sent(effect: Effect, review: Answer | None) -> Sent:
    url = None if review is None else review.maybe("html_url")
    return Sent(remote_id=effect.request["review_id"], remote_url=url)
