"""What pages need beside HTML: one style, one script, one picture. Nothing else is served."""

from __future__ import annotations

from hashlib import sha256
from importlib.resources import files

from aiohttp import web

from covend.core.errors import NotFoundError
from covend.web.routes import Route, get

_TYPES = {
    "style.css": "text/css",
    "covend.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
_FOLDER = files("covend.web.dashboard") / "static"
_BODIES = {name: (_FOLDER / name).read_bytes() for name in _TYPES}
_VERSIONS = {name: sha256(body).hexdigest()[:12] for name, body in _BODIES.items()}


def address_of(name: str) -> str:
    """Give the address of an asset, another one for other content."""
    return f"/static/{name}?v={_VERSIONS[name]}"


class Assets:
    """`/static/{name}`."""

    def routes(self) -> tuple[Route, ...]:
        """List what is answered here; the log-in needs it, so it is open."""
        return (get("/static/{name}", self.one, "static_page", is_open=True, is_page=True),)

    async def one(self, request: web.Request) -> web.Response:
        """Give one of the few that there are."""
        name = request.match_info["name"]
        if name not in _TYPES:
            raise NotFoundError("There is no such file.")
        return web.Response(
            body=_BODIES[name],
            content_type=_TYPES[name],
            charset="utf-8",
            headers={"Cache-Control": "private, max-age=86400"},
        )
