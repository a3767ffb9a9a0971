"""Pull requests as they are now: the head, and the files that were changed.

https://docs.github.com/en/rest/pulls/pulls
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from covend.core.effects.diff import ChangedFile
from covend.core.scopes import READ_PULLS
from covend.edges.github.client import GitHubClient, Reach, repository_path
from covend.edges.github.errors import BadAnswer
from covend.edges.github.wire import Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class PullHead:
    """A pull request; `clone_url` is the base repository's, `head_repository` None where a fork is
    gone.
    """

    number: int
    state: str
    draft: bool
    title: str
    author: str
    url: str
    head_sha: str
    head_ref: str
    head_repository: str | None
    base_sha: str
    base_ref: str
    clone_url: str


async def get_pull(
    client: GitHubClient, installation: int | None, repository: str, number: int
) -> PullHead:
    """Ask for one pull request; raises the errors of `errors`."""
    return _pull_head(await ask_for_pull(client, installation, repository, number))


async def ask_for_pull(
    client: GitHubClient, installation: int | None, repository: str, number: int
) -> Answer:
    """Ask for all that GitHub tells of one pull request; raises as `get_pull`."""
    return await client.request(
        "get_pull",
        "GET",
        f"{repository_path(repository)}/pulls/{number}",
        installation=installation,
        repository=repository,
        permissions=READ_PULLS,
    )


async def list_files(
    client: GitHubClient, installation: int | None, repository: str, number: int
) -> tuple[ChangedFile, ...]:
    """List the changed files with their patches; GitHub itself ends at 3,000."""
    reach = Reach(installation=installation, repository=repository, permissions=READ_PULLS)
    path = f"{repository_path(repository)}/pulls/{number}/files"
    listed = client.pages("list_files", path, reach)
    return tuple([_changed_file(item) async for item in listed])


async def changed_paths(
    client: GitHubClient, installation: int | None, repository: str, number: int
) -> tuple[str, ...]:
    """List the paths that a pull request touches; of a renamed file both, in GitHub's order."""
    files = await list_files(client, installation, repository, number)
    named = (path for file in files for path in (file.previous, file.path) if path)
    return tuple(dict.fromkeys(named))


def _pull_head(answer: Answer) -> PullHead:
    return PullHead(
        number=answer.number("number"),
        state=answer.text("state"),
        draft=bool(answer.data.get("draft")),
        title=answer.text("title"),
        author=answer.maybe("user", "login") or "",
        url=answer.text("html_url"),
        head_sha=answer.text("head", "sha"),
        head_ref=answer.text("head", "ref"),
        head_repository=answer.maybe("head", "repo", "full_name"),
        base_sha=answer.text("base", "sha"),
        base_ref=answer.text("base", "ref"),
        clone_url=answer.text("base", "repo", "clone_url"),
    )


def _changed_file(item: dict[str, Any]) -> ChangedFile:
    path = item.get("filename")
    if not isinstance(path, str):
        raise BadAnswer("list_files: a file has no filename")
    return ChangedFile(
        path=path,
        previous=item.get("previous_filename"),
        status=str(item.get("status") or "modified"),
        patch=item.get("patch"),
    )
