"""GitHub's log of the webhooks that it has sent, or tried to: its pages, and single deliveries with
headers and payload.

Refuses to use up the hour's requests: the last fifth of them is left to others.
https://docs.github.com/en/rest/apps/webhooks
https://docs.github.com/en/rest/repos/webhooks
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from covend.core.model import DeliveryId, Moment
from covend.core.reconciling import Hook, LogEntry
from covend.core.rules import facts
from covend.edges.github.client import PAGE_SIZE, GitHubClient, next_page, repository_path
from covend.edges.github.errors import BadAnswer, RateLimited
from covend.edges.github.wire import Answer

SPARED_SHARE = 5
"""One part of so many of an hour's requests stays for tokens and for what is published."""
WAIT_MAX_S = 2 * 60 * 60
"""No answer, however odd, stops the reading for longer."""
_DIGITS_MAX = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPage:
    """Entries, newest first, and where those before them are; None at the log's end."""

    entries: tuple[LogEntry, ...]
    following: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """A delivery as GitHub sent it; `payload` is None where GitHub does not keep it."""

    headers: Mapping[str, str]
    event: str
    payload: Mapping[str, Any] | None


class _Ask(Protocol):
    def __call__(
        self, operation: str, path: str, query: Mapping[str, str] | None
    ) -> Awaitable[Answer]: ...


class DeliveryLog:
    """The log of one webhook: of the App's, or of a repository's."""

    def __init__(
        self, *, name: str, of: str, needs: str, path: str, ask: _Ask, now: Callable[[], Moment]
    ) -> None:
        """Made by `app_log` and `hook_log`. `name` is stable; `of` says to people whose it is, and
        `needs` what has to be given to covend where GitHub does not show it.
        """
        self.name = name
        self.of = of
        self.needs = needs
        self._path = path
        self._ask = ask
        self._now = now
        self._closed_until: Moment = 0

    async def page(self, following: str | None = None) -> LogPage:
        """Read the newest page, or the one that another has led to.

        Raises the errors of `errors`, RateLimited also where too little of the hour is left.
        """
        query = None if following else {"per_page": str(PAGE_SIZE)}
        answer = await self._answer("list_deliveries", following or self._path, query)
        entries = tuple(_entry(item) for item in answer.items())
        return LogPage(entries=entries, following=next_page(answer))

    async def show(self, entry: int) -> Logged:
        """Read one delivery with all that came with it; raises as `page`."""
        answer = await self._answer("get_delivery", f"{self._path}/{entry}", None)
        request = answer.data.get("request") if isinstance(answer.data, dict) else None
        given = request if isinstance(request, dict) else {}
        headers, payload = given.get("headers"), given.get("payload")
        return Logged(
            headers={str(name): str(value) for name, value in headers.items()}
            if isinstance(headers, dict)
            else {},
            event=answer.text("event"),
            payload=payload if isinstance(payload, dict) else None,
        )

    async def _answer(self, operation: str, path: str, query: Mapping[str, str] | None) -> Answer:
        if self._closed_until > self._now():
            message = "what is left of GitHub's hour is for others"
            raise RateLimited(message, retry_at=self._closed_until)
        answer = await self._ask(operation, path, query)
        self._closed_until = _spared_until(answer.headers, self._now())
        return answer


def app_log(client: GitHubClient, now: Callable[[], Moment]) -> DeliveryLog:
    """Read what GitHub has sent to the App."""

    async def ask(operation: str, path: str, query: Mapping[str, str] | None) -> Answer:
        return await client.as_app(operation, path, query=query)

    return DeliveryLog(
        name="github",
        of="the App",
        needs="has it a webhook?",
        path="/app/hook/deliveries",
        ask=ask,
        now=now,
    )


def hook_log(client: GitHubClient, hook: Hook, now: Callable[[], Moment]) -> DeliveryLog:
    """Read what GitHub has sent to a repository's webhook; the token needs `admin:repo_hook`.

    Raises Refused for what no repository is called.
    """

    async def ask(operation: str, path: str, query: Mapping[str, str] | None) -> Answer:
        return await client.request(
            operation,
            "GET",
            path,
            installation=None,
            repository=hook.repository,
            permissions={},
            query=query,
        )

    return DeliveryLog(
        name=f"github/{hook.id}",
        of=f"the webhook of {hook.repository}",
        needs="github.token needs admin:repo_hook (a fine-grained one: Webhooks, read)",
        path=f"{repository_path(hook.repository)}/hooks/{hook.id}/deliveries",
        ask=ask,
        now=now,
    )


def _entry(item: Mapping[str, Any]) -> LogEntry:
    number, guid, status = item.get("id"), item.get("guid"), item.get("status_code")
    if not (isinstance(number, int) and isinstance(guid, str)):
        raise BadAnswer("list_deliveries: an entry has no id or guid")
    at = facts.moment(item.get("delivered_at"))
    if at is None:
        raise BadAnswer("list_deliveries: an entry has no usable delivered_at")
    return LogEntry(
        id=number,
        guid=DeliveryId(guid.lower()),
        delivered_at=at,
        status_code=status if isinstance(status, int) else 0,
        installation_id=facts.number(item.get("installation_id")),
    )


def _spared_until(headers: Mapping[str, str], now: Moment) -> Moment:
    """Say until when to leave the rest of the hour alone; 0 where enough is left, or no limit is
    told.
    """
    limit, remaining = (_number(headers, name) for name in ("limit", "remaining"))
    if limit is None or remaining is None or remaining > limit // SPARED_SHARE:
        return 0
    reset_at = (_number(headers, "reset") or 0) * 1000
    return min(reset_at, now + WAIT_MAX_S * 1000)


def _number(headers: Mapping[str, str], name: str) -> int | None:
    text = headers.get(f"x-ratelimit-{name}", "")[:_DIGITS_MAX]
    return int(text) if text.isascii() and text.isdigit() else None
