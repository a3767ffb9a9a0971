"""A visitor of the dashboard: logs in, follows forms as a browser would, and runs no scripts."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

import aiohttp

from tests.web.desk import TOKEN, Answer, Desk

Fields = Mapping[str, str] | Sequence[tuple[str, str]]
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Browser:
    """One session; `async with` opens and closes it."""

    def __init__(self, desk: Desk, token: str = TOKEN) -> None:
        """Be who has the token."""
        self._address = f"http://127.0.0.1:{desk.port}"
        self._token = token
        self._session = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))

    async def __aenter__(self) -> Self:
        answer = await self.ask("/login", "POST", {"token": self._token, "next": "/tasks"})
        assert answer.status == 303, answer.text
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._session.close()

    async def ask(self, path: str, method: str = "GET", fields: Fields | None = None) -> Answer:
        """Ask as it is, and follow nothing."""
        body = None if fields is None else io.BytesIO(urlencode(fields).encode())
        headers: dict[str, str] = {} if fields is None else FORM
        url = f"{self._address}{path}"
        async with self._session.request(
            method, url, data=body, headers=headers, allow_redirects=False
        ) as response:
            text = (await response.read()).decode("utf-8", "replace")
            return Answer(response.status, response.headers, None, text)

    async def see(self, path: str, status: int = 200) -> str:
        """Give a page."""
        answer = await self.ask(path)
        assert answer.status == status, answer.text
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        return answer.text

    async def send(self, path: str, **fields: str) -> str:
        """Send a form of a page that has one, and give the page that follows."""
        answer = await self.ask(path, "POST", {"csrf": await self.csrf(), **fields})
        if answer.status != 303:
            return answer.text
        return await self.see(answer.headers["Location"])

    async def bulk(self, do: str, tasks: Sequence[str], **fields: str) -> str:
        """Do something to several tasks of the list, and give the page that follows."""
        pairs = [("csrf", await self.csrf()), ("do", do), *(("task", each) for each in tasks)]
        answer = await self.ask("/tasks/bulk", "POST", [*pairs, *fields.items()])
        return await self.see(answer.headers["Location"])

    async def csrf(self) -> str:
        """Give what the forms of this session bring along."""
        found = re.search(r'name="csrf" value="([0-9a-f]{64})"', await self.see("/safeguards"))
        assert found is not None
        return found[1]


def words(page: str) -> str:
    """Give what a page says, without its tags."""
    told = re.sub(r"<(script|style)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", told)).split())


def forms(page: str) -> list[str]:
    """List where the page's forms go that would change anything."""
    found: list[Any] = re.findall(r'<form[^>]*method="post"[^>]*action="([^"]*)"', page)
    return [html.unescape(each) for each in found]
