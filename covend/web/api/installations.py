"""Where covend is installed, and the way to have it forgotten."""

from __future__ import annotations

from aiohttp import web

from covend.core.errors import UserError
from covend.store.protocol import Installation
from covend.web.api import described, schemas, shapes
from covend.web.api.query import Query
from covend.web.api.wishes import read_wish
from covend.web.rooms import Rooms
from covend.web.routes import Answer, Route, get, post

_DIGITS_MAX = 18
_FORGETTING = schemas.made_of(
    "What is forgotten.", {"id": schemas.WHOLE, "state": schemas.one_of(("forgetting",))}
)


class InstallationsApi:
    """`/api/v1/installations`."""

    def __init__(self, rooms: Rooms) -> None:
        """Read from the store; change by `installing`."""
        self._installations = rooms.installations
        self._installing = rooms.installing

    def routes(self) -> tuple[Route, ...]:
        """List what is answered here."""
        forget = "/api/v1/installations/{id}/forget"
        return (
            get(
                "/api/v1/installations",
                self.page,
                "list_installations",
                summary="Where the App is installed, newest first.",
                answers={200: described.items("Installation")},
            ),
            post(
                forget,
                self.forget,
                "forget_installation",
                verb="forget",
                summary="Delete all that is known of an installation.",
                body=described.fields(),
                answers={202: Answer(about="It begins.", schema=_FORGETTING)},
            ),
        )

    async def page(self, request: web.Request) -> web.Response:
        """List all, the newest first."""
        Query(request)
        return shapes.page(_shape, await self._installations.list())

    async def forget(self, request: web.Request) -> web.Response:
        """Have all that is known of one deleted; answers before that is done."""
        Query(request)
        installation = _number(request.match_info["id"])
        await read_wish(request)
        await self._installing.ask_to_forget(installation)
        return shapes.answer({"id": installation, "state": "forgetting"}, status=202)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX):
        raise UserError("An installation is named by its number.", name="id")
    return int(text)


def _shape(record: Installation) -> shapes.Shape:
    return {
        "id": record.id,
        "account": record.account,
        "state": record.state,
        "permissions": dict(record.permissions),
        "events": list(record.events),
        "repositories": record.repositories_count,
        "created_at": shapes.moment(record.created_at),
        "updated_at": shapes.moment(record.updated_at),
        "forget_at": shapes.moment(record.forget_at),
    }
