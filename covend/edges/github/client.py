"""GitHub's API for the rest of covend: one request with a fitting token, the pages of a list, or
one operation of GraphQL.

Refuses what covend must not send, and gives every fault the type that says what to do next. What
GitHub says is unchanged is not fetched again.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

import aiohttp
import anyio

from covend.core.errors import GitHubError
from covend.core.model import Moment
from covend.edges.github.auth import Auth
from covend.edges.github.courier import Courier
from covend.edges.github.errors import BadAnswer, Refused, TooManyPages
from covend.edges.github.etags import KeptPages, Key, Page
from covend.edges.github.graphql import data_of
from covend.edges.github.pacing import WRITE_GAP_MS, Pacing, Resource
from covend.edges.github.tokens import Token
from covend.edges.github.wire import Answer, Observe, Question, Wire, parsed, refusal_of
from covend.telemetry.logs import Log

PAGE_SIZE = 100
PAGES_MAX = 100
"""Pages of one list; a longer one raises TooManyPages instead of a silent end."""

REVOKE_S = 5.0
"""For all tokens at the end; one that is left ends by itself within an hour."""

_GOOD = range(200, 300)
_OK = 200
_NOT_MODIFIED = 304
_UNAUTHORIZED = 401
_USEFUL = ("link",)
"""Headers of a kept answer that anybody reads."""
_FULL_NAME = re.compile(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+")
_NEXT = re.compile(r'<([^<>]*)>\s*;[^,<]*\brel="?next"?')

log = Log("github")


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
        *,
        write_gap_ms: int = WRITE_GAP_MS,
    ) -> None:
        """The session is the caller's, who closes it after `aclose`; `observe` gets (operation,
        status). Between two writes of an installation lie at least `write_gap_ms`.
        """
        self.auth = auth
        self.pacing = Pacing(now, gap_ms=write_gap_ms)
        self._wire = Wire(session, api_url, observe)
        self._courier = Courier(self._wire, self.pacing, auth.places)
        self._kept = KeptPages()

    async def aclose(self) -> None:
        """Revoke what tokens are left, for `REVOKE_S` at most; raises nothing. Nothing can be
        asked for with a token of the App's from then on.
        """
        await self._revoke(self.auth.close())

    async def revoke_idle(self) -> None:
        """Revoke the tokens that nobody has needed for a while; as bounded as `aclose`."""
        await self._revoke(self.auth.take_idle())

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

    async def graphql(
        self,
        operation: str,
        document: str,
        variables: Mapping[str, Any],
        *,
        reach: Reach,
        harmless: bool = False,
    ) -> Mapping[str, Any]:
        """Send one GraphQL document, and give its `data`; `harmless` where it changes nothing.

        Raises as `request`, also for errors in an answer whose status is good. With a plain token
        of a repository webhook its owner must have given it what GraphQL asks for.
        """
        question = Question(
            operation=operation,
            method="POST",
            path=self._wire.graphql_address,
            body={"query": document, "variables": dict(variables)},
            harmless=harmless,
            resource=Resource.GRAPHQL,
        )
        return data_of(await self._ask(question, reach))

    async def as_app(
        self, operation: str, path: str, *, query: Mapping[str, str] | None = None
    ) -> Answer:
        """Ask for something as the App itself, and give the good answer; raises the errors of
        `errors`, Refused with a plain token.
        """
        question = Question(operation=operation, method="GET", path=path, query=query)
        return await self.auth.as_app(question)

    async def _ask(self, question: Question, reach: Reach) -> Answer:
        if question.changes_nothing:
            reach = replace(reach, permissions=_to_read(reach.permissions))
        answer, token = await self._ask_once(question, reach)
        if answer.status == _UNAUTHORIZED and self.auth.forget(token):
            answer, _ = await self._ask_once(question, reach)
        if answer.status in _GOOD:
            return answer
        if answer.status == _UNAUTHORIZED:
            self._courier.refused(reach.installation)
        raise refusal_of(answer)

    async def _ask_once(self, question: Question, reach: Reach) -> tuple[Answer, str]:
        self.pacing.require_open(reach.installation, question.resource)
        token = await self.auth.token_for(reach.installation, reach.repository, reach.permissions)
        return await self._ask_anew(question, reach, token), token

    async def _ask_anew(self, question: Question, reach: Reach, token: str) -> Answer:
        """Ask for what has changed since it was asked last, and else give that again."""
        if question.method != "GET":
            return await self._courier.carry(question, token, reach.installation)
        key = _key(question, reach)
        kept = self._kept.find(key)
        asked = question if kept is None else replace(question, etag=kept.etag)
        answer = await self._courier.carry(asked, token, reach.installation)
        if answer.status == _NOT_MODIFIED and kept is not None:
            return _again(kept, question)
        if answer.raw:
            self._kept.keep(key, _page(answer))
        return answer

    async def _revoke(self, tokens: Sequence[Token]) -> None:
        try:
            with anyio.move_on_after(REVOKE_S, shield=True):
                async with anyio.create_task_group() as group:
                    for token in tokens:
                        group.start_soon(self._revoke_one, token)
        except Exception:
            log.exception("tokens could not be revoked")

    async def _revoke_one(self, token: Token) -> None:
        """https://docs.github.com/en/rest/apps/installations#revoke-an-installation-access-token"""
        question = Question(
            operation="revoke_token", method="DELETE", path="/installation/token", harmless=True
        )
        try:
            await self._courier.carry(question, token.text, token.installation)
        except GitHubError as error:
            log.info("a token is left to end by itself", code=error.code)


def _to_read(permissions: Mapping[str, str]) -> Mapping[str, str]:
    """What reads never has a token that writes, whatever comes of it: the same on another level."""
    return dict.fromkeys(permissions, "read")


def _key(question: Question, reach: Reach) -> Key:
    return Key(
        installation=reach.installation,
        repository=reach.repository,
        permissions=tuple(sorted(reach.permissions.items())),
        address=question.path,
        query=tuple(sorted((question.query or {}).items())),
    )


def _page(answer: Answer) -> Page:
    useful = {name: answer.headers[name] for name in _USEFUL if name in answer.headers}
    return Page(etag=answer.headers["etag"], raw=answer.raw, headers=useful)


def _again(page: Page, question: Question) -> Answer:
    _, data = parsed(page.raw)
    return Answer(operation=question.operation, status=_OK, headers=page.headers, data=data)


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
