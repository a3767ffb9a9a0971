"""Reviews with inline comments: written once, and found again by their marker.

https://docs.github.com/en/rest/pulls/reviews
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from covend.core.effects.marker import carries
from covend.core.model import Effect
from covend.edges.github.client import GitHubClient, Reach, Sent, found, repository_path, written
from covend.edges.github.errors import Refused
from covend.edges.github.scopes import WRITE_PULLS
from covend.edges.github.wire import Answer

MILDER_MAX = 2
"""A refused review is sent again as a comment where it was a verdict on our own pull request, and
with all findings in its body where a line is outside the diff.
"""

_UNPROCESSABLE = 422
_OWN = "own pull request"


async def send(client: GitHubClient, effect: Effect, previous: Sent | None) -> Sent:
    """Write the review; where GitHub refuses its form, and so took nothing, in a milder one."""
    if previous is not None:
        return previous
    body: Mapping[str, Any] = effect.request["body"]
    for _ in range(MILDER_MAX):
        try:
            return written(await _write(client, effect, body))
        except Refused as error:
            milder = _milder(body, effect, error)
            if milder is None:
                raise
            body = milder
    return written(await _write(client, effect, body))


async def look_up(client: GitHubClient, effect: Effect) -> Sent | None:
    """Find the review of our own that carries the effect's marker, on all pages."""
    own = await client.auth.own_login()
    reach = Reach(
        installation=effect.installation_id,
        repository=effect.request["repository"],
        permissions=WRITE_PULLS,
    )
    async for review in client.pages("list_reviews", _path(effect), reach):
        author = (review.get("user") or {}).get("login")
        if author == own and carries(review.get("body") or "", effect.request["marker"]):
            return found(review)
    return None


def _milder(body: Mapping[str, Any], effect: Effect, error: Refused) -> Mapping[str, Any] | None:
    if error.status != _UNPROCESSABLE:
        return None
    if _OWN in str(error).lower() and body["event"] != "COMMENT":
        return {**body, "event": "COMMENT"}
    if body.get("comments"):
        return {**effect.request["fallback"], "event": body["event"]}
    return None


async def _write(client: GitHubClient, effect: Effect, body: Mapping[str, Any]) -> Answer:
    return await client.request(
        "create_review",
        "POST",
        _path(effect),
        installation=effect.installation_id,
        repository=effect.request["repository"],
        permissions=WRITE_PULLS,
        body=body,
    )


def _path(effect: Effect) -> str:
    request = effect.request
    return f"{repository_path(request['repository'])}/pulls/{request['number']}/reviews"
