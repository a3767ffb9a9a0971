"""The live permission of a person in a repository; refuses to guess: whatever goes wrong is raised.

https://docs.github.com/en/rest/collaborators/collaborators#get-repository-permissions-for-a-user
"""

from __future__ import annotations

from collections.abc import Mapping

from covend.core.scopes import READ_METADATA
from covend.edges.github.client import GitHubClient, in_path, repository_path
from covend.edges.github.errors import BadAnswer

_FINER: Mapping[tuple[str, str], str] = {
    ("write", "maintain"): "maintain",
    ("read", "triage"): "triage",
}
"""(`permission`, `role_name`): the coarse word is the bound, the role only makes it finer.

A custom role has a name of its own and counts as the coarse word.
"""
_COARSE = frozenset({"admin", "write", "read", "none"})


async def permission_of(
    client: GitHubClient, installation: int | None, repository: str, login: str
) -> str:
    """Give `admin`, `maintain`, `write`, `triage`, `read` or `none`, as it is now.

    Raises the errors of `errors`; a caller that has to allow something refuses then.
    """
    answer = await client.request(
        "get_permission",
        "GET",
        f"{repository_path(repository)}/collaborators/{in_path(login)}/permission",
        installation=installation,
        repository=repository,
        permissions=READ_METADATA,
    )
    coarse = answer.text("permission")
    if coarse not in _COARSE:
        raise BadAnswer(f"get_permission: unknown permission {coarse!r}")
    return _FINER.get((coarse, answer.maybe("role_name") or ""), coarse)
