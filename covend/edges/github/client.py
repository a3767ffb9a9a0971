"""GitHub's API for the rest of covend: one request with a fitting token, or the pages of a list.

Refuses what covend must not send, and gives every fault the type that says what to do next.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import aiohttp

from covend.core.model import Moment
from covend.edges.github.auth import Auth
from covend.edges.github.errors import BadAnswer, Refused, TooManyPages
from covend.edges.github.pacing import Pacing
from covend.edges.github.wire import Answer, Observe, Question, Wire, message_of, refusal_of

PAGE_SIZE = 100
PAGES_MAX = 100
"""Pages of one list; a longer one raises TooManyPages instead of a silent end."""

_GOOD = range(200, 300)
_UNAUTHORIZED = 401
_FULL_NAME = re.compile(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+")
_NEXT = re.compile(r'<([^<>]*)>\s*;[^,<]*\brel="?next"?')


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A visible thing on GitHub."""

    remote_id: str
    remote_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What a request is allowed to touch: one repository of one installation, with these
    permissions.
    """

    installation: int | None
    repository: str
    permissions: Mapping[str, str]


class GitHubClient:
    """Covend's way to one GitHub."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        api_url: str,
        auth: Auth,
        now: Callable[[], Moment],
        observe: Observe,
    ) -> None:
        """The session is the caller's, who closes it; `observe` gets (operation, status)."""
        self.auth = auth
        self.pacing = Pacing(now)
        self._wire = Wire(session, api_url, observe)

    async def request(
        self,
        operation: str,
        method: str,
        path: str,
        *,
        installation: int | None,
        repository: str,
        permissions: Mapping[str, str],
        body: Any = None,
        query: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request and give its good answer (2xx).

        Raises the errors of `errors`; after a 401 it is sent once more with a fresh token.
        """
        question = Question(operation=operation, method=method, path=path, body=body, query=query)
        reach = Reach(installation=installation, repository=repository, permissions=permissions)
        return await self._ask(question, reach)

    async def pages(
        self,
        operation: str,
        path: str,
        reach: Reach,
        *,
        query: Mapping[str, str] | None = None,
        below: tuple[str, ...] = (),
        pages_max: int = PAGES_MAX,
    ) -> AsyncIterator[dict[str, Any]]:
        """Give every object of a list, over all its pages; `below` says where the list lies in the
        answer.

        Raises TooManyPages where `pages_max` pages were not all, so that "not there" is never
        guessed.
        """
        first = {"per_page": str(PAGE_SIZE), **(query or {})}
        question = Question(operation=operation, method="GET", path=path, query=first)
        for _ in range(pages_max):
            answer = await self._ask(question, reach)
            for item in answer.items(*below):
                yield item
            following = next_page(answer)
            if following is None:
                return
            question = Question(operation=operation, method="GET", path=following)
        raise TooManyPages(f"{operation}: more than {pages_max} pages")

    async def _ask(self, question: Question, reach: Reach) -> Answer:
        answer, token = await self._ask_once(question, reach)
        if answer.status == _UNAUTHORIZED and self.auth.forget(token):
            answer, _ = await self._ask_once(question, reach)
        if answer.status in _GOOD:
            return answer
        raise refusal_of(answer)

    async def _ask_once(self, question: Question, reach: Reach) -> tuple[Answer, str]:
        self.pacing.require_open(reach.installation)
        token = await self.auth.token_for(reach.installation, reach.repository, reach.permissions)
        answer = await self._wire.exchange(question, token)
        self.pacing.note(reach.installation, answer.status, answer.headers, message_of(answer))
        return answer, token


def written(answer: Answer) -> Sent:
    """Read what a write made; raises OutcomeUnknown where the answer does not tell."""
    return Sent(remote_id=str(answer.number("id")), remote_url=answer.maybe("html_url"))


def found(item: Mapping[str, Any]) -> Sent:
    """Read what a list shows; raises BadAnswer where it has no id."""
    if not isinstance(item.get("id"), int):
        raise BadAnswer("a listed thing has no id")
    return Sent(remote_id=str(item["id"]), remote_url=item.get("html_url"))


def repository_path(full_name: str) -> str:
    """Give `/repos/OWNER/NAME`; raises Refused for what no repository is called."""
    parts = full_name.split("/")
    if not _FULL_NAME.fullmatch(full_name) or any(set(part) <= {"."} for part in parts):
        raise Refused(f"{full_name!r} is no repository", status=0)
    return f"/repos/{full_name}"


def in_path(text: str) -> str:
    """Make one segment of a path of any text."""
    return quote(text, safe="")


def next_page(answer: Answer) -> str | None:
    """Read the address of the next page from the `Link` header.

    https://docs.github.com/en/rest/using-the-rest-api/using-pagination-in-the-rest-api
    """
    link = _NEXT.search(answer.headers.get("link", ""))
    return link[1] if link else None
