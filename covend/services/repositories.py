"""Finds a repository by its name, as a task has to know it: by what an earlier task has told, else
by asking GitHub.

Refuses one that covend cannot reach.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from covend.core.errors import NotFoundError
from covend.core.model import Repository
from covend.edges.github.client import GitHubClient
from covend.edges.github.errors import NotFound
from covend.edges.github.repositories import get_repository
from covend.store.protocol import Tasks

LookUp = Callable[[str], Awaitable[Repository]]
"""Finds a repository; raises as `Repositories.find` does."""


class Repositories:
    """The repositories that covend may work in."""

    def __init__(self, *, tasks: Tasks, github: GitHubClient) -> None:
        """Ask `github` for what no task knows."""
        self._tasks = tasks
        self._github = github

    async def find(self, full_name: str) -> Repository:
        """Give the repository of that name.

        Raises NotFoundError where there is none for covend, GitHubError where it cannot be looked
        up, and StoreError.
        """
        known = await self._tasks.repository(full_name)
        is_app = self._github.auth.app_id is not None
        if known is not None and (known.installation_id is not None or not is_app):
            return known
        try:
            return await self._look_up(full_name)
        except NotFound as error:
            message = f"There is no repository {full_name} that covend may work in."
            raise NotFoundError(message, repository=full_name) from error

    async def _look_up(self, full_name: str) -> Repository:
        installation = await self._github.auth.installation_of(full_name)
        live = await get_repository(self._github, installation, full_name)
        return Repository(
            id=live.id,
            full_name=live.full_name,
            installation_id=installation,
            default_branch=live.default_branch,
            clone_url=live.clone_url,
        )
