"""One question across the wire: waits for its turn and a free place, obeys the limits, and follows
where a renamed or moved repository has gone.

No more than `AT_ONCE_MAX` are on their way, for all installations together. A turn is waited for
without a place.
https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api
"""

from __future__ import annotations

import anyio

from covend.edges.github import graphql
from covend.edges.github.errors import Refused, Unreachable
from covend.edges.github.pacing import Pacing, Resource
from covend.edges.github.wire import Answer, Question, Wire, is_redirect, message_of

AT_ONCE_MAX = 8
"""GitHub bears a hundred at once, and asks for as few as can be."""
PLACE_WAIT_S = 60.0
REDIRECTS_MAX = 3


class Places:
    """Room for so many requests at once."""

    def __init__(self, at_once: int = AT_ONCE_MAX) -> None:
        """All places are free."""
        self._free = anyio.Semaphore(at_once)

    async def take(self) -> None:
        """Wait for a place; raises Unreachable where none comes free: nothing was sent."""
        with anyio.move_on_after(PLACE_WAIT_S):
            await self._free.acquire()
            return
        raise Unreachable("too many requests to GitHub are under way")

    def leave(self) -> None:
        """Give a place back."""
        self._free.release()


class Courier:
    """Carries questions to one API, by one book of limits."""

    def __init__(self, wire: Wire, pacing: Pacing, places: Places) -> None:
        """`places` are shared by all who ask the same GitHub."""
        self._wire = wire
        self._pacing = pacing
        self._places = places

    async def carry(self, question: Question, token: str, installation: int | None) -> Answer:
        """Give the answer, whatever its status below 500; raises as `Wire.exchange`, and
        RateLimited before anything left, or where the answer says so.
        """
        answer = await self._ask(question, token, installation)
        for _ in range(REDIRECTS_MAX):
            if not is_redirect(answer):
                return answer
            question = self._wire.follow(question, answer)
            answer = await self._ask(question, token, installation)
        if is_redirect(answer):
            message = f"{question.operation}: GitHub redirects in circles"
            raise Refused(message, status=answer.status)
        return answer

    def refused(self, installation: int | None) -> None:
        """Learn that credentials were not accepted which nobody can have fresher."""
        self._pacing.rest(installation)

    async def _ask(self, question: Question, token: str, installation: int | None) -> Answer:
        # Before the turn, too: what is refused anyway waits for nothing.
        self._pacing.require_open(installation, question.resource)
        if question.changes_nothing:
            await self._enter(question, installation)
        else:
            async with self._pacing.turn(installation):
                await self._enter(question, installation)
        try:
            return await self._exchange(question, token, installation)
        finally:
            self._places.leave()

    async def _enter(self, question: Question, installation: int | None) -> None:
        """Take a place; whoever had it before may have learnt of a limit meanwhile."""
        await self._places.take()
        try:
            self._pacing.require_open(installation, question.resource)
        except BaseException:
            self._places.leave()
            raise

    async def _exchange(self, question: Question, token: str, installation: int | None) -> Answer:
        answer = await self._wire.exchange(question, token)
        self._pacing.note(
            installation,
            answer.status,
            answer.headers,
            message_of(answer),
            resource=question.resource,
            limited=question.resource is Resource.GRAPHQL and graphql.is_limit(answer),
        )
        return answer
