"""The list of tasks, and what can be done to several of them at once."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import urlencode

from aiohttp import web

from covend.core.errors import CovendError, UserError
from covend.core.model import Task
from covend.core.states import TaskState
from covend.core.waiting import explain_waiting
from covend.store.searching import TaskSearch
from covend.web.api.query import ID_CURSOR, LIMIT_DEFAULT, SUBJECT, Query
from covend.web.api.wishes import REASON_MAX
from covend.web.auditing import OUTCOME
from covend.web.dashboard.pages import back, field, refused, render
from covend.web.dashboard.saying import SAID
from covend.web.rooms import Rooms
from covend.web.routes import Route, get, post

HERE = "/tasks"
FILTERS = ("state", "rule", "repository", "search")
BULK_MAX = LIMIT_DEFAULT
"""As many as a page shows."""
_SUBJECT = re.compile(SUBJECT, re.ASCII)
Verb = Callable[[str, str], Awaitable[Task]]


class TasksPages:
    """`/tasks` and `/tasks/bulk`."""

    def __init__(self, rooms: Rooms) -> None:
        """Look into `rooms`; change by its operations."""
        self._rooms = rooms
        self._verbs: Mapping[str, Verb] = {
            "cancel": rooms.operations.cancel,
            "retry": rooms.operations.retry,
        }

    def routes(self) -> tuple[Route, ...]:
        """List what is answered here."""
        return (
            get(HERE, self.page, "tasks_page", is_page=True),
            post(f"{HERE}/bulk", self.bulk, "bulk_page", verb="bulk", target="do", is_page=True),
        )

    async def page(self, request: web.Request) -> web.Response:
        """List, newest first."""
        query = Query(request, *FILTERS, "cursor", SAID)
        wanted = {name: query.phrase(name) for name in FILTERS}
        cursor = query.cursor(ID_CURSOR)
        items, following = await self._rooms.tasks.page(
            limit=LIMIT_DEFAULT,
            cursor=cursor,
            state=query.state(TaskState),
            rule=wanted["rule"],
            repository=wanted["repository"],
            search=_search(wanted["search"]),
        )
        guards = await self._rooms.guards.list()
        now = self._rooms.clock.now()
        return await render(
            request,
            "tasks.html",
            wanted=wanted,
            cursor=cursor,
            tasks=items,
            next_cursor=following,
            why={task.id: explain_waiting(task, now, guards) for task in items},
            states=tuple(TaskState),
            rules=[rule.name for rule in self._rooms.rules()],
        )

    async def bulk(self, request: web.Request) -> web.Response:
        """Do one thing to each of the chosen tasks; what cannot be done is told."""
        to = await _list_of(request)
        try:
            verb, chosen, reason = await self._read(request)
        except UserError as error:
            return refused(request, to, error)
        problems: list[CovendError] = []
        for task in chosen:
            try:
                await verb(task, reason)
            except CovendError as error:
                problems.append(error)
        said = f"Done for {len(chosen) - len(problems)} of {len(chosen)}."
        if not problems:
            return back(request, to, said)
        request[OUTCOME] = problems[0].code
        return back(request, to, f"{said} {problems[0]}", is_error=True)

    async def _read(self, request: web.Request) -> tuple[Verb, list[str], str]:
        form = await request.post()
        verb = self._verbs.get(await field(request, "do"))
        if verb is None:
            raise UserError("What is to be done to them is cancel or retry.", name="do")
        chosen = list(dict.fromkeys(str(each) for each in form.getall("task", [])))
        if not chosen:
            raise UserError("No task was chosen: tick those that it is to be done to.")
        if len(chosen) > BULK_MAX:
            raise UserError(f"So many at once are too many: {BULK_MAX} at most.")
        return verb, chosen, await read_reason(request)


async def read_reason(request: web.Request) -> str:
    """Give the operator's own words, one line of them; UserError where they are too many."""
    reason = await field(request, "reason")
    if len(reason) > REASON_MAX or not reason.isprintable():
        raise UserError(f"The reason must have {REASON_MAX} printable characters at most.")
    return reason


async def _list_of(request: web.Request) -> str:
    """Give the address of the list that a form stood on, narrowed as it was."""
    fields = {name: await field(request, name) for name in (*FILTERS, "cursor")}
    query = urlencode({name: value for name, value in fields.items() if value})
    return f"{HERE}?{query}" if query else HERE


def _search(text: str | None) -> TaskSearch | None:
    """Look for a subject where one is named, else for a text."""
    if text is None:
        return None
    found = _SUBJECT.fullmatch(text.strip())
    if found is None:
        return TaskSearch(search=text.strip())
    return TaskSearch(subject=(found[1], int(found[2])))
