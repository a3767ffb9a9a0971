"""Asks GitHub one question at a time, for people who wait: no pacing, a short limit, and an answer
of whatever status with its headers, since a refusal's are worth reading too.

As the App (its own token, never an installation's), or with the plain token.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import anyio

from covend.core.model import Moment
from covend.core.settings import GitHub
from covend.edges.github.auth import AppAuth, load_key
from covend.edges.github.errors import Refused, Unreachable
from covend.edges.github.wire import Answer, Question, Wire, message_of

ASK_S = 5.0
_GOOD = range(200, 300)


class Direct:
    """One GitHub, asked by one identity."""

    def __init__(self, wire: Wire, bearer: Callable[[], str]) -> None:
        """`bearer` gives the token of each question anew."""
        self._wire = wire
        self._bearer = bearer

    async def ask(
        self,
        operation: str,
        path: str,
        *,
        method: str = "GET",
        query: Mapping[str, str] | None = None,
        body: Any = None,
    ) -> Answer:
        """Give the answer, whatever its status below 500; raises Unreachable after `ASK_S`, and as
        `Wire.exchange`.
        """
        question = Question(
            operation=operation, method=method, path=path, query=query, body=body, harmless=True
        )
        try:
            with anyio.fail_after(ASK_S):
                return await self._wire.exchange(question, self._bearer())
        except TimeoutError:
            raise Unreachable(f"{operation}: no answer within {ASK_S:g} s") from None


def good(answer: Answer) -> Answer:
    """Give a good answer on; raises Refused with GitHub's words for any other."""
    if answer.status not in _GOOD:
        said = f"{answer.operation}: {answer.status} {message_of(answer)}".rstrip()
        raise Refused(said, status=answer.status)
    return answer


@asynccontextmanager
async def open_direct(settings: GitHub, wall: Callable[[], Moment]) -> AsyncIterator[Direct]:
    """Ask as `settings` say; `wall` is the machine's clock, in ms.

    Raises ConfigError for an unusable key, and Refused where there is neither App nor token.
    """
    async with aiohttp.ClientSession() as session:
        wire = Wire(session, settings.api_url, _nobody)
        if settings.app_id is not None and settings.private_key is not None:
            key = load_key(settings.private_key)
            auth = AppAuth(wire, settings.app_id, key, wall, wall)
            yield Direct(wire, auth.app_token)
        elif settings.token is not None:
            yield Direct(wire, settings.token.reveal)
        else:
            raise Refused("there is neither an App nor a token to ask GitHub with", status=0)


def _nobody(_operation: str, _status: str) -> None:
    """Count nothing: these questions are not the daemon's."""
