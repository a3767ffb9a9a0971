"""Reviews with inline comments: written once, and found again by their marker.

https://docs.github.com/en/rest/pulls/reviews
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from covend.core.effects.marker import carries
from covend.core.effects.texts import CUT_NOTE, cut_note, shorten
from covend.core.model import Effect
from covend.core.scopes import WRITE_PULLS
from covend.edges.github.client import GitHubClient, Reach, Sent, found, repository_path, written
from covend.edges.github.errors import Refused
from covend.edges.github.wire import Answer

MILDER_MAX = 3
"""A refused review is sent again as a comment where covend may not give that verdict, with all
findings in its body where GitHub will not have one of its comments, and shorter where it is too
long: each once.
"""
SHORTER_MAX = 20_000
"""Characters of a body that GitHub's own count took for too many: even with four bytes each they
are a third of what it takes.
"""

_UNPROCESSABLE = 422
_NO_VERDICT = ("own pull request", "not permitted to approve")
_TOO_LONG = "too long"


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
    """Give what to send instead; None where no form of it would be taken."""
    if error.status != _UNPROCESSABLE:
        return None
    said = str(error).lower()
    if body["event"] != "COMMENT" and any(words in said for words in _NO_VERDICT):
        return {**body, "event": "COMMENT"}
    if body.get("comments"):
        # GitHub does not say which one it will not have: a line, a path, a range, a length.
        return {**effect.request["fallback"], "event": body["event"]}
    if _TOO_LONG in said and len(body["body"]) > SHORTER_MAX:
        note = cut_note(effect.task) if effect.task else CUT_NOTE
        return {**body, "body": shorten(body["body"], SHORTER_MAX, note)}
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
