"""Logging in and out: a token is exchanged for a session, which is a cookie."""

from __future__ import annotations

from urllib.parse import urlsplit

from aiohttp import hdrs, web

from covend.services.clock import Clock
from covend.telemetry.logs import Log
from covend.web.dashboard.pages import field, render
from covend.web.routes import Route, get, post
from covend.web.visitor import COOKIE, SESSION_S, VISITOR, Visitors

HOME = "/"
NEXT_MAX = 2_000
log = Log("web.login")


class LoginPages:
    """`/login` and `/logout`."""

    def __init__(self, *, visitors: Visitors, clock: Clock) -> None:
        """Know tokens by `visitors`."""
        self._visitors = visitors
        self._clock = clock

    def routes(self) -> tuple[Route, ...]:
        """List what is answered here; neither changes anything but the browser's own cookie."""
        return (
            get("/login", self.page, "login_page", is_open=True, is_page=True),
            post("/login", self.log_in, "log_in_page", is_open=True, is_page=True),
            post("/logout", self.log_out, "log_out_page", is_page=True),
        )

    async def page(self, request: web.Request) -> web.Response:
        """Show the form; whoever is in already goes on."""
        to = local_path(request.query.get("next", ""))
        if VISITOR in request:
            return _go(to)
        return await render(request, "login.html", next=to, wrong="")

    async def log_in(self, request: web.Request) -> web.Response:
        """Open a session for who has a token; log who has none, without what was tried."""
        to = local_path(await field(request, "next"))
        visitor = self._visitors.of_token(await field(request, "token"))
        if visitor is None:
            log.warning("a log-in with a wrong token", address=request.remote or "unix")
            wrong = "There is no such token."
            return await render(request, "login.html", status=403, next=to, wrong=wrong)
        log.info("logged in", visitor=visitor.name, address=request.remote or "unix")
        response = _go(to)
        # Lax, not Strict: whoever follows a link from GitHub to a task is to stay logged in, and
        # what such a link can ask for changes nothing.
        response.set_cookie(
            COOKIE,
            self._visitors.open_session(visitor, self._clock.now()),
            max_age=SESSION_S,
            path="/",
            httponly=True,
            samesite="Lax",
            secure=_is_secure(request),
        )
        return response

    async def log_out(self, request: web.Request) -> web.Response:
        """End this browser's session."""
        response = _go("/login")
        response.del_cookie(
            COOKIE, path="/", httponly=True, samesite="Lax", secure=_is_secure(request)
        )
        return response


def local_path(given: str) -> str:
    """Give a path of covend's own, as it was asked for; anything else is the way home."""
    if len(given) > NEXT_MAX or not given.isascii() or not given.isprintable():
        return HOME
    try:
        parts = urlsplit(given)
    except ValueError:
        return HOME
    is_local = given.startswith("/") and not given.startswith("//") and not {" ", "\\"} & set(given)
    is_local = is_local and not parts.scheme and not parts.netloc
    return given if is_local and parts.path not in {"/login", "/logout"} else HOME


def _go(to: str) -> web.Response:
    return web.Response(status=303, headers={hdrs.LOCATION: to})


def _is_secure(request: web.Request) -> bool:
    """Say whether the browser came by https, as far as what stands before us tells."""
    return request.secure or request.headers.get("X-Forwarded-Proto", "").lower() == "https"
