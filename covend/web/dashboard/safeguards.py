"""Safeguards: what holds or counts now, and the ways to hold and to let go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from covend.core.errors import CovendError, UserError
from covend.core.waiting import explain_safeguard, is_holding, is_over, release_command, scope_words
from covend.web.api.query import Query
from covend.web.api.wishes import EVERYTHING, REASON_MAX, SCOPE_MAX
from covend.web.dashboard.pages import back, field, refused, render
from covend.web.dashboard.saying import SAID
from covend.web.rooms import Rooms
from covend.web.routes import Route, get, post
from covend.web.visitor import VISITOR

HERE = "/safeguards"


class SafeguardsPage:
    """`/safeguards`, and the forms that hold and let go."""

    def __init__(self, rooms: Rooms) -> None:
        """Read from the store; change by `operations`."""
        self._rooms = rooms
        self._operations = rooms.operations

    def routes(self) -> tuple[Route, ...]:
        """List what is answered here."""
        return (
            get(HERE, self.page, "safeguards_page", is_page=True),
            post(f"{HERE}/reset", self.reset, "reset_page", verb="reset", is_page=True),
            post("/pause", self.pause, "pause_page", verb="pause", **_OF_A_SCOPE),
            post("/resume", self.resume, "resume_page", verb="resume", **_OF_A_SCOPE),
            post("/drain", self.drain, "drain_page", verb="drain", target="scope", is_page=True),
        )

    async def page(self, request: web.Request) -> web.Response:
        """List what holds before what only counts."""
        Query(request, SAID)
        now = self._rooms.clock.now()
        found = [each for each in await self._rooms.guards.list() if not is_over(each, now)]
        items = [
            (each, explain_safeguard(each, now), release_command(each), is_holding(each))
            for each in sorted(found, key=lambda each: not is_holding(each))
        ]
        return await render(
            request,
            "safeguards.html",
            items=items,
            scopes=self._scopes(),
        )

    async def reset(self, request: web.Request) -> web.Response:
        """Put one at rest."""
        identifier = await field(request, "id")
        try:
            was = await self._operations.reset(identifier, **await _why(request))
        except CovendError as error:
            return refused(request, HERE, error)
        return back(request, HERE, f"{was.id} is at rest: what it held goes on.")

    async def pause(self, request: web.Request) -> web.Response:
        """Pause a scope."""
        try:
            paused = await self._operations.pause(await _scope(request), **await _why(request))
        except CovendError as error:
            return refused(request, HERE, error)
        unknown = paused.values.get("unknown")
        told = f"Paused: {scope_words(paused.scope)}. What runs goes on."
        return back(request, HERE, f"{told} {unknown}" if unknown else told)

    async def resume(self, request: web.Request) -> web.Response:
        """Lift the pause of a scope."""
        try:
            scope = await _scope(request)
            lifted = await self._operations.resume(scope, **await _why(request))
        except CovendError as error:
            return refused(request, HERE, error)
        names = scope_words(scope)
        told = f"Resumed: {names}." if lifted else f"Nothing was paused by the name of {names}."
        return back(request, HERE, told)

    async def drain(self, request: web.Request) -> web.Response:
        """Take nothing in and start nothing more."""
        try:
            await self._operations.drain(**await _why(request))
        except CovendError as error:
            return refused(request, HERE, error)
        told = "Draining: nothing is taken in and nothing starts until everything is resumed."
        return back(request, HERE, told)

    def _scopes(self) -> list[str]:
        return [
            EVERYTHING,
            *(f"rule:{rule.name}" for rule in self._rooms.rules()),
            *(f"agent:{name}" for name in self._rooms.agents()),
        ]


async def _scope(request: web.Request) -> str:
    scope = _meant(await field(request, "repository"), await field(request, "scope"))
    if len(scope) > SCOPE_MAX:
        raise UserError(f"A scope has {SCOPE_MAX} characters at most.", name="scope")
    return scope


def _meant(repository: str, scope: str) -> str:
    """Give what is meant: a name that is written counts more than what is chosen."""
    return f"repository:{repository}" if repository else scope or EVERYTHING


def _as_meant(form: Mapping[str, object]) -> Mapping[str, object]:
    """Write a form for the audit as the API would be asked: with one scope."""
    repository, scope = (
        " ".join(str(form.get(name, "")).split()) for name in ("repository", "scope")
    )
    rest = {name: value for name, value in form.items() if name != "repository"}
    return {**rest, "scope": _meant(repository, scope)}


_OF_A_SCOPE: Mapping[str, Any] = {"target": "scope", "wish": _as_meant, "is_page": True}


async def _why(request: web.Request) -> dict[str, str]:
    """Give who asks, and why, as `operations` take it."""
    reason = await field(request, "reason")
    if len(reason) > REASON_MAX or not reason.isprintable():
        raise UserError(
            f"A reason has {REASON_MAX} characters at most, all of them printable.", name="reason"
        )
    return {"why": reason, "by": request[VISITOR].name}
