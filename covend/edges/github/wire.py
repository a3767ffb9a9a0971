"""One HTTP exchange with GitHub: headers, limits of time and size, and what a fault means for the
caller.

It knows no tokens beyond the one it is handed, waits for nothing but the answer, and never leaves
the API's host.
https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, TypeVar

import aiohttp
import orjson
from yarl import URL

from covend import __version__
from covend.core.errors import GitHubError
from covend.edges.github.errors import (
    BadAnswer,
    MissingPermission,
    NotFound,
    OutcomeUnknown,
    Refused,
    Unauthorized,
    Unreachable,
)
from covend.edges.github.pacing import Resource

Observe = Callable[[str, str], None]
"""Called after each exchange with the operation's name and the status, or `unreachable`,
`no_answer`.
"""

CONNECT_S = 10.0
TOTAL_S = 30.0
ANSWER_BYTES_MAX = 16 << 20
MESSAGE_MAX = 500
"""Characters of GitHub's own words in an error."""

_CHUNK = 1 << 16
_TIMEOUT = aiohttp.ClientTimeout(total=TOTAL_S, connect=CONNECT_S, sock_connect=CONNECT_S)
_FOLLOWED = MappingProxyType(
    {True: frozenset({301, 302, 307, 308}), False: frozenset({301, 307, 308})}
)
"""By whether the question is a GET. After a 302 HTTP lets a write become a GET; nobody shall guess
whether GitHub means that.
"""
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_OK = 200
_NOT_MODIFIED = 304
_ENTERPRISE = "/api/v3"
"""How the REST API of a GitHub Enterprise Server ends; its GraphQL lies beside it."""
_MISSING = frozenset({404, 410})
_UNSENT = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.ClientHttpProxyError,
)
_HEADERS = {
    "Accept": "application/vnd.github+json",
    "X-GitHub-Api-Version": "2022-11-28",
    "User-Agent": f"covend/{__version__}",
}
_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A request before it has a token; `harmless` where GitHub is the same after it as before."""

    operation: str
    method: str
    path: str
    """From the API's root, or a whole address of the API."""
    body: Any = None
    query: Mapping[str, str] | None = None
    harmless: bool = False
    etag: str | None = None
    """Of the answer that is at hand: GitHub may say that it still holds."""
    resource: Resource = Resource.CORE

    @property
    def changes_nothing(self) -> bool:
        """Say whether it may simply be asked again."""
        return self.harmless or self.method == "GET"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """GitHub's answer; `data` is None where there was no body."""

    operation: str
    status: int
    headers: Mapping[str, str]
    """By names in lower case."""
    data: Any
    changed: bool = False
    """The question may have changed something: an answer of no use leaves open what."""
    raw: bytes = field(default=b"", repr=False)
    """The body of a good answer that has an ETag, as it came."""

    def text(self, *path: str) -> str:
        """Read a string that must be there; raises BadAnswer, or OutcomeUnknown where `changed`."""
        return self._read(str, path)

    def number(self, *path: str) -> int:
        """Read an integer that must be there; raises as `text`."""
        return self._read(int, path)

    def maybe(self, *path: str) -> str | None:
        """Read a string that may be absent at any step."""
        found = _follow(self.data, path)
        return found if isinstance(found, str) else None

    def items(self, *path: str) -> list[dict[str, Any]]:
        """Read a list of objects that must be there; raises as `text`."""
        return [each for each in self._read(list, path) if isinstance(each, dict)]

    def _read(self, kind: type[_Found], path: tuple[str, ...]) -> _Found:
        found = _follow(self.data, path)
        if not isinstance(found, kind):
            message = f"{self.operation}: the answer has no usable {'.'.join(path) or 'body'}"
            raise OutcomeUnknown(message) if self.changed else BadAnswer(message)
        return found


class Wire:
    """Sends questions to one API."""

    def __init__(self, session: aiohttp.ClientSession, api_url: str, observe: Observe) -> None:
        """The session is the caller's, who closes it."""
        self._session = session
        self._api = api_url.rstrip("/")
        self._observe = observe

    @property
    def graphql_address(self) -> str:
        """Where GraphQL is asked: below api.github.com, and beside the REST API elsewhere.

        https://docs.github.com/en/enterprise-server@latest/graphql/guides/forming-calls-with-graphql
        """
        if self._api.endswith(_ENTERPRISE):
            return self._api.removesuffix("/v3") + "/graphql"
        return f"{self._api}/graphql"

    def follow(self, question: Question, answer: Answer) -> Question:
        """Ask the same where GitHub says that it is now; raises Refused where it may not be
        repeated there. `exchange` refuses what is no address of the API.

        https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api#follow-redirects
        """
        if answer.status not in _FOLLOWED[question.method == "GET"]:
            message = f"{question.operation}: GitHub redirects by {answer.status}"
            raise Refused(f"{message}, which is not followed", status=answer.status)
        asked = self._whole(question)
        try:
            target = asked.join(URL(answer.headers.get("location", "")))
        except ValueError:
            target = URL()
        if not target.query_string:
            target = target.with_query(asked.query)
        return replace(question, path=str(target), query=None)

    def is_ours(self, address: str) -> bool:
        """Say whether an absolute address belongs to this API."""
        known = address == self.graphql_address or address.startswith(f"{self._api}/")
        return known and URL(address).origin() == self._origin

    @property
    def _origin(self) -> URL:
        return URL(self._api).origin()

    def _address(self, question: Question) -> str:
        if question.path.startswith("/"):
            return self._api + question.path
        if not self.is_ours(question.path):
            raise Refused(f"{question.operation}: not an address of the API", status=0)
        return question.path

    def _whole(self, question: Question) -> URL:
        address = URL(self._address(question), encoded=True)
        return address.update_query(question.query) if question.query else address

    async def exchange(self, question: Question, token: str) -> Answer:
        """Send and give the answer, whatever its status below 500, a redirect too.

        Raises Unreachable, OutcomeUnknown (only of what changes something), BadAnswer, Refused.
        """
        failure: GitHubError
        # Raised after the `except`, so that no traceback leads to the request and its headers.
        try:
            return await self._send(question, token)
        except _UNSENT as error:
            self._observe(question.operation, "unreachable")
            failure = Unreachable(f"{question.operation}: not reached ({type(error).__name__})")
        except (aiohttp.ClientError, TimeoutError) as error:
            self._observe(question.operation, "no_answer")
            failure = _without_answer(question, type(error).__name__)
        raise failure

    async def _send(self, question: Question, token: str) -> Answer:
        body = None if question.body is None else orjson.dumps(question.body)
        headers = {**_HEADERS, "Authorization": f"Bearer {token}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if question.etag is not None:
            headers["If-None-Match"] = question.etag
        async with self._session.request(
            question.method,
            self._whole(question),
            data=body,
            headers=headers,
            allow_redirects=False,
            timeout=_TIMEOUT,
        ) as response:
            return await self._receive(question, response, token)

    async def _receive(
        self, question: Question, response: aiohttp.ClientResponse, token: str
    ) -> Answer:
        status = response.status
        raw = await _read_capped(response)
        if raw is not None and _may_be_shown(question, status):
            raw = raw.replace(token.encode(), b"(token)")
        self._observe(question.operation, str(status))
        if status >= 500:  # noqa: PLR2004 (the server's fault)
            raise _without_answer(question, str(status))
        is_usable, data = parsed(raw)
        if not is_usable and status < 300:  # noqa: PLR2004 (it was done, and nobody knows what)
            raise _unusable(question)
        if status == _NOT_MODIFIED and question.etag is None:
            raise BadAnswer(f"{question.operation}: an answer that is not at hand is not modified")
        return Answer(
            operation=question.operation,
            status=status,
            headers={name.lower(): text for name, text in response.headers.items()},
            data=data,
            changed=not question.changes_nothing,
            raw=raw if raw and status == _OK and "etag" in response.headers else b"",
        )


def is_redirect(answer: Answer) -> bool:
    """Say whether GitHub has the thing elsewhere."""
    return answer.status in _REDIRECTS


def refusal_of(answer: Answer) -> GitHubError:
    """Make the error of an answer that is neither good nor a limit."""
    said = f"{answer.operation}: {answer.status} {message_of(answer)}".rstrip()
    match answer.status:
        case 401:
            return Unauthorized(said)
        case 403:
            permission = answer.headers.get("x-accepted-github-permissions", "")
            needed = f" (needs {permission})" if permission else ""
            return MissingPermission(said + needed, permission=permission)
        case status if status in _MISSING:
            return NotFound(said, status=status)
        case status:
            return Refused(said, status=status)


def message_of(answer: Answer) -> str:
    """Give GitHub's own words: the message and what it says of single fields."""
    if not isinstance(answer.data, dict):
        return ""
    errors = answer.data.get("errors")
    details = [_detail(each) for each in errors] if isinstance(errors, list) else []
    words = [str(answer.data.get("message") or ""), *details]
    return "; ".join(word for word in words if word)[:MESSAGE_MAX]


def _detail(error: object) -> str:
    if not isinstance(error, dict):
        return str(error)
    named = " ".join(str(error[key]) for key in ("resource", "field", "code") if error.get(key))
    return ": ".join(str(words) for words in (named, error.get("message")) if words)


def _follow(data: Any, path: tuple[str, ...]) -> Any:
    for step in path:
        data = data.get(step) if isinstance(data, dict) else None
    return data


def _may_be_shown(question: Question, status: int) -> bool:
    """Say whether words of an answer may end up in an error; GraphQL's do at any status."""
    return status >= 300 or question.resource is Resource.GRAPHQL  # noqa: PLR2004 (no good one)


async def _read_capped(response: aiohttp.ClientResponse) -> bytes | None:
    """Read the body; None where it is larger than `ANSWER_BYTES_MAX`."""
    parts: list[bytes] = []
    size = 0
    async for part in response.content.iter_chunked(_CHUNK):
        size += len(part)
        if size > ANSWER_BYTES_MAX:
            response.close()
            return None
        parts.append(part)
    return b"".join(parts)


def parsed(raw: bytes | None) -> tuple[bool, Any]:
    """Say whether this is JSON of a bearable size (or nothing at all), and read it."""
    try:
        return raw is not None, orjson.loads(raw) if raw else None
    except orjson.JSONDecodeError:
        return False, None


def _unusable(question: Question) -> GitHubError:
    if question.changes_nothing:
        return BadAnswer(f"{question.operation}: the answer is too large or no JSON")
    return OutcomeUnknown(f"{question.operation}: the answer is too large or no JSON")


def _without_answer(question: Question, why: str) -> GitHubError:
    if question.changes_nothing:
        return Unreachable(f"{question.operation}: no answer ({why})")
    return OutcomeUnknown(f"{question.operation}: no answer ({why})")
