"""Commit statuses: what stands in for a check run where covend has a plain token.

The newest of a context counts, so that to send one twice shows nothing twice.
https://docs.github.com/en/rest/commits/statuses
"""

from __future__ import annotations

from covend.core.model import Effect
from covend.core.scopes import WRITE_STATUSES
from covend.edges.github.client import GitHubClient, Sent, in_path, repository_path, written


async def send(client: GitHubClient, effect: Effect, previous: Sent | None) -> Sent:  # noqa: ARG001
    """Set the status of its context; what was there before is history."""
    request = effect.request
    answer = await client.request(
        "create_status",
        "POST",
        f"{repository_path(request['repository'])}/statuses/{in_path(request['head_sha'])}",
        installation=effect.installation_id,
        repository=request["repository"],
        permissions=WRITE_STATUSES,
        body=request["body"],
    )
    return written(answer)


async def look_up(client: GitHubClient, effect: Effect) -> Sent | None:  # noqa: ARG001
    """Find nothing: it may simply be sent again."""
    return None
