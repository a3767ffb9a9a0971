"""Issues as they are now.

https://docs.github.com/en/rest/issues/issues#get-an-issue
"""

from __future__ import annotations

from dataclasses import dataclass

from covend.core.scopes import READ_ISSUES
from covend.edges.github.client import GitHubClient, repository_path


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveIssue:
    """An issue, or the issue side of a pull request."""

    number: int
    state: str
    title: str
    author: str
    url: str
    is_pull: bool


async def get_issue(
    client: GitHubClient, installation: int | None, repository: str, number: int
) -> LiveIssue:
    """Ask for one issue; raises the errors of `errors`."""
    answer = await client.request(
        "get_issue",
        "GET",
        f"{repository_path(repository)}/issues/{number}",
        installation=installation,
        repository=repository,
        permissions=READ_ISSUES,
    )
    return LiveIssue(
        number=answer.number("number"),
        state=answer.text("state"),
        title=answer.text("title"),
        author=answer.maybe("user", "login") or "",
        url=answer.text("html_url"),
        is_pull=isinstance(answer.data.get("pull_request"), dict),
    )
