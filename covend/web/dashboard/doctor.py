"""The doctor's findings: looked for in a thread, kept for a minute, and looked for anew on demand.

A look may take long, for it asks the machine and GitHub: a page waits for it a while, and else says
that it is under way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web

from covend.core.errors import NotPermittedError
from covend.core.model import Moment
from covend.telemetry.logs import Log
from covend.web.api.query import Query
from covend.web.dashboard.pages import back, render
from covend.web.dashboard.saying import SAID
from covend.web.findings import Finding
from covend.web.rooms import Rooms
from covend.web.routes import Route, get, post
from covend.web.visitor import VISITOR

KEPT_MS = 60_000
WAIT_S = 8.0
"""So long a page waits for a look to end."""
LOOKS_MAX = 3
HERE = "/doctor"
log = Log("web.doctor")


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What a look came to."""

    findings: Sequence[Finding]
    at: Moment
    fault: str = ""
    """Why there are none."""


class DoctorPage:
    """`/doctor`; at most one look is under way."""

    def __init__(self, rooms: Rooms) -> None:
        """Look by what `rooms` was handed."""
        self._rooms = rooms
        self._last: Examination | None = None
        self._look: asyncio.Task[None] | None = None

    def routes(self) -> tuple[Route, ...]:
        """List what is answered here; looking changes nothing."""
        return (
            get(HERE, self.page, "doctor_page", is_page=True),
            post(HERE, self.again, "doctor_again_page", is_page=True),
        )

    async def page(self, request: web.Request) -> web.Response:
        """Show the findings of the last minute, else look."""
        Query(request, SAID)
        if self._is_due():
            self._begin()
        await self._wait()
        last = self._last
        findings = sorted(last.findings, key=_gravity) if last else []
        return await render(
            request,
            "doctor.html",
            last=last,
            findings=findings,
            counts={
                level: sum(each.level == level for each in findings)
                for level in ("failed", "warning", "ok")
            },
            is_looking=self._look is not None,
            is_there=self._rooms.examine is not None,
            looks=self._rooms.reconciler.looks()[:LOOKS_MAX],
            installations=await self._rooms.installations.list(),
            redact=self._rooms.redact,
        )

    async def again(self, request: web.Request) -> web.Response:
        """Look anew, whatever was seen last; GitHub's patience is the operator's to spend."""
        if not request[VISITOR].may_change:
            raise NotPermittedError("Only the operator asks for another look.")
        self._begin()
        return back(request, HERE, "Looked again.")

    def _is_due(self) -> bool:
        return self._last is None or self._rooms.clock.now() - self._last.at >= KEPT_MS

    def _begin(self) -> None:
        if self._look is None and self._rooms.examine is not None:
            self._look = asyncio.create_task(self._examine())

    async def _wait(self) -> None:
        """Wait a while; the look goes on without us."""
        if self._look is not None:
            await asyncio.wait([self._look], timeout=WAIT_S)

    async def _examine(self) -> None:
        assert self._rooms.examine is not None
        findings: Sequence[Finding] = ()
        fault = ""
        try:
            findings = await asyncio.to_thread(
                self._rooms.examine, dict(self._rooms.readiness.notes)
            )
        except Exception:
            log.exception("the examination broke")
            fault = "It could not be looked: the log says why."
        finally:
            self._look = None
        self._last = Examination(findings=findings, at=self._rooms.clock.now(), fault=fault)


def _gravity(finding: Finding) -> int:
    return ("failed", "warning", "ok").index(finding.level)
