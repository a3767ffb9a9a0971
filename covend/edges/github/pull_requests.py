"""Pull requests of covend's own branches: found by their branch, opened, and told anew.

Refuses to reopen one: who closed it has decided. What is pushed to the branch stands in
`edges.workspace.push`. https://docs.github.com/en/rest/pulls/pulls
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from covend.core.errors import GitHubError
from covend.core.model import Json
from covend.core.scopes import OPEN_PULLS, READ_PULLS, WRITE_PULLS
from covend.edges.github.client import GitHubClient, Reach, Sent, in_path, repository_path
from covend.edges.github.errors import BadAnswer, OutcomeUnknown, Refused
from covend.edges.github.wire import Answer

_UNPROCESSABLE = 422


class UnknownBranchError(GitHubError):
    """GitHub does not know the branch that was pushed just now: nothing was changed there."""

    code = "github_unknown_branch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A pull request of one branch."""

    number: int
    url: str | None
    is_open: bool
    is_merged: bool
    author: str
    body: str

    @property
    def sent(self) -> Sent:
        """Name it as an effect does: by its number."""
        return Sent(remote_id=str(self.number), remote_url=self.url)


@dataclass(frozen=True, slots=True, kw_only=True)
class PullRequests:
    """All pull requests of one branch of one repository."""

    client: GitHubClient
    installation: int | None
    repository: str
    branch: str

    async def list(self) -> Sequence[Opened]:
        """List them, also those that were closed, newest first."""
        reach = Reach(
            installation=self.installation, repository=self.repository, permissions=READ_PULLS
        )
        query = {"state": "all", "head": f"{self._owner}:{self.branch}"}
        found = self.client.pages("list_pulls", self._path, reach, query=query)
        # GitHub gives all where it does not understand `head`.
        listed = [_opened(item) async for item in found if self._is_of_branch(item)]
        return sorted(listed, key=lambda each: each.number, reverse=True)

    async def open(self, body: Json) -> Sent:
        """Open one; as a draft only where the repository has such.

        Raises Refused where there is nothing to propose, and OutcomeUnknown where there is one
        already that the list does not show yet.
        """
        try:
            return await self._open(body)
        except Refused as error:
            if not (body.get("draft") and "draft pull requests are not" in str(error).lower()):
                raise _explained(error, body) from None
        try:
            return await self._open({**body, "draft": False})
        except Refused as error:
            raise _explained(error, body) from None

    async def tell(self, opened: Opened, body: Json) -> Sent:
        """Put the title and the text of a newer version in place of the former."""
        changed = {"title": body["title"], "body": body["body"]}
        path = f"{self._path}/{in_path(str(opened.number))}"
        return _sent(await self._write("update_pull", "PATCH", path, changed))

    async def _open(self, body: Json) -> Sent:
        return _sent(await self._write("create_pull", "POST", self._path, body))

    async def _write(self, operation: str, method: str, path: str, body: Json) -> Answer:
        return await self.client.request(
            operation,
            method,
            path,
            installation=self.installation,
            repository=self.repository,
            permissions=OPEN_PULLS if method == "POST" else WRITE_PULLS,
            body=body,
        )

    def _is_of_branch(self, item: dict[str, Any]) -> bool:
        head = item.get("head") or {}
        home = ((head.get("repo") or {}).get("full_name") or "").lower()
        return head.get("ref") == self.branch and home in {"", self.repository.lower()}

    @property
    def _path(self) -> str:
        return f"{repository_path(self.repository)}/pulls"

    @property
    def _owner(self) -> str:
        return self.repository.partition("/")[0]


def _opened(item: dict[str, Any]) -> Opened:
    number = item.get("number")
    if not isinstance(number, int):
        raise BadAnswer("list_pulls: a pull request has no number")
    return Opened(
        number=number,
        url=item.get("html_url"),
        is_open=item.get("state") == "open",
        is_merged=bool(item.get("merged_at")),
        author=(item.get("user") or {}).get("login") or "",
        body=item.get("body") or "",
    )


def _sent(answer: Answer) -> Sent:
    return Sent(remote_id=str(answer.number("number")), remote_url=answer.maybe("html_url"))


def _explained(error: Refused, body: Json) -> GitHubError:
    """Say what a 422 on a new pull request means; GitHub's words alone name no branch."""
    said, head, base = str(error), body["head"], body["base"]
    if error.status != _UNPROCESSABLE:
        return error
    if "already exists" in said:
        return OutcomeUnknown(f"{said}; it is not listed yet")
    if "No commits between" in said:
        return Refused(f"nothing to propose: {base} has all commits of {head} ({said})", status=422)
    if "head invalid" in said:
        return UnknownBranchError(f"GitHub does not know the branch {head} yet ({said})")
    if "base invalid" in said:
        return Refused(f"the branch {base} is not there to propose onto ({said})", status=422)
    return error
