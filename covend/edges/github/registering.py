"""A page on loopback that sends a browser to GitHub with the manifest, and hears what comes back:
the code, with the state that was given along.

Refuses what is not addressed to loopback, a state that is not its own, and any second answer. The
page's own address cannot be guessed: whoever reads the state could slip in an App of theirs.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
from aiohttp import web

from covend.edges.github.errors import Unreachable
from covend.edges.github.manifest import CODE, form_address, form_page

HOST = "127.0.0.1"
WAIT_S = 600.0
"""How long a state is good for."""
RETURN_PATH = "/created"
_TOKEN_BYTES = 32
_PLAIN = "text/html"
_DONE = "<!doctype html><title>covend</title><p>GitHub has answered. The terminal goes on."
_NOT_OURS = "<!doctype html><title>covend</title><p>This is no answer to what covend has asked."
_AGAIN = "<!doctype html><title>covend</title><p>This was answered already. See the terminal."


class Registration:
    """One try to have an App made."""

    def __init__(
        self,
        *,
        api_url: str,
        organization: str | None,
        describe: Callable[[str], dict[str, Any]],
    ) -> None:
        """`describe` gives the manifest, by the address to come back to."""
        self._state = secrets.token_urlsafe(_TOKEN_BYTES)
        self._path = f"/{secrets.token_urlsafe(_TOKEN_BYTES)}"
        self._action = form_address(api_url, organization, self._state)
        self._describe = describe
        self._came = anyio.Event()
        self._code = ""
        self._root = ""

    @property
    def address(self) -> str:
        """Where the browser begins."""
        return f"{self._root}{self._path}"

    async def code(self) -> str:
        """Wait for GitHub's code; raises Unreachable after `WAIT_S`."""
        with anyio.move_on_after(WAIT_S):
            await self._came.wait()
            return self._code
        raise Unreachable(f"no browser came back from GitHub within {WAIT_S / 60:g} minutes")

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Serve the page on a free port."""
        application = web.Application()
        application.router.add_get(self._path, self._show)
        application.router.add_get(RETURN_PATH, self._take)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        try:
            await web.TCPSite(runner, HOST, 0).start()
            self._root = f"http://{HOST}:{runner.addresses[0][1]}"
            yield
        finally:
            await runner.cleanup()

    async def _show(self, request: web.Request) -> web.Response:
        self._require_loopback(request)
        nonce = secrets.token_urlsafe(_TOKEN_BYTES)
        manifest = self._describe(f"{self._root}{RETURN_PATH}")
        page = form_page(self._action, manifest, nonce=nonce)
        policy = f"default-src 'none'; script-src 'nonce-{nonce}'; frame-ancestors 'none'"
        headers = {"Content-Security-Policy": policy, "Cache-Control": "no-store"}
        return web.Response(text=page, content_type=_PLAIN, headers=headers)

    async def _take(self, request: web.Request) -> web.Response:
        """Take the first answer with our state; a wrong one changes nothing."""
        self._require_loopback(request)
        code, state = request.query.get("code", ""), request.query.get("state", "")
        is_ours = hmac.compare_digest(state.encode(errors="replace"), self._state.encode())
        if not is_ours or CODE.fullmatch(code) is None:
            return web.Response(status=400, text=_NOT_OURS, content_type=_PLAIN)
        if self._came.is_set():
            return web.Response(status=410, text=_AGAIN, content_type=_PLAIN)
        self._code = code
        self._came.set()
        return web.Response(text=_DONE, content_type=_PLAIN)

    def _require_loopback(self, request: web.Request) -> None:
        """Refuse a name that somebody else has given to loopback."""
        if f"http://{request.host}" != self._root:
            raise web.HTTPMisdirectedRequest
