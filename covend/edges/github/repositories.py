"""A repository as it is now: where it is cloned from, and its default branch.

https://docs.github.com/en/rest/repos/repos#get-a-repository
"""

from __future__ import annotations

from dataclasses import dataclass

from covend.core.scopes import READ_METADATA
from covend.edges.github.client import GitHubClient, repository_path


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveRepository:
    """What a checkout and a submission need to know."""

    id: int
    full_name: str
    clone_url: str
    default_branch: str


async def get_repository(
    client: GitHubClient, installation: int | None, repository: str
) -> LiveRepository:
    """Ask for one repository; raises the errors of `errors`."""
    answer = await client.request(
        "get_repository",
        "GET",
        repository_path(repository),
        installation=installation,
        repository=repository,
        permissions=READ_METADATA,
    )
    return LiveRepository(
        id=answer.number("id"),
        full_name=answer.text("full_name"),
        clone_url=answer.text("clone_url"),
        default_branch=answer.text("default_branch"),
    )
