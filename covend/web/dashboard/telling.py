"""Shows people in a browser what went wrong as a page, where programs get JSON."""

from __future__ import annotations

import orjson
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from covend.web.dashboard.pages import render
from covend.web.routes import route_of

_TITLES = {
    400: "That cannot be done",
    401: "Nobody is logged in",
    403: "Not allowed",
    404: "There is nothing here",
    405: "Not in this way",
    409: "Not as it stands now",
    413: "Too much at once",
    421: "Not by this name",
    502: "GitHub did not answer",
    503: "covend cannot answer now",
}
_LOST = "Something went wrong"
_WORST = 400


@web.middleware
async def tell_browsers(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn a problem into a page, where a page was asked for."""
    response = await handler(request)
    if response.status < _WORST or response.content_type != "application/json":
        return response
    if not _is_for_people(request) or not isinstance(response, web.Response):
        return response
    return await _page_of(request, response)


def _is_for_people(request: web.Request) -> bool:
    route = route_of(request)
    if route is not None:
        return route.is_page
    return not request.path.startswith("/api/") and "text/html" in request.headers.get(
        hdrs.ACCEPT, ""
    )


async def _page_of(request: web.Request, response: web.Response) -> web.Response:
    body = response.body
    error = orjson.loads(body if isinstance(body, bytes) else b"{}").get("error", {})
    page = await render(
        request,
        "problem.html",
        status=response.status,
        title=_TITLES.get(response.status, _LOST),
        message=error.get("message", ""),
        code=error.get("code", ""),
    )
    for name in (hdrs.ALLOW, hdrs.RETRY_AFTER, hdrs.WWW_AUTHENTICATE):
        if name in response.headers:
            page.headers[name] = response.headers[name]
    return page
