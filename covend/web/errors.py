"""Every error of the admin listener becomes its answer here, and in one form: `{"error": {…}}`.

What is nobody's fault but ours is told as `internal`; only the log says what it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

import orjson
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from covend.core.errors import (
    ConflictError,
    CovendError,
    DrainingError,
    GitHubError,
    NotFoundError,
    NotPermittedError,
    QueueFullError,
    StoreError,
    UserError,
)
from covend.telemetry.logs import Log

RETRY_AFTER_S = 5
_STATUSES: tuple[tuple[type[CovendError], int], ...] = (
    (NotFoundError, 404),
    (ConflictError, 409),
    (NotPermittedError, 403),
    (UserError, 400),
    (StoreError, 503),
    (DrainingError, 503),
    (GitHubError, 502),
)
_CODES = {404: "not_found", 405: "wrong_method", 413: "too_large"}
log = Log("web.admin")


def problem(
    status: int,
    code: str,
    message: str,
    *,
    details: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """Make the answer that says what is wrong."""
    error = {"code": code, "message": message, "details": details or {}}
    return web.Response(
        status=status,
        body=orjson.dumps({"error": error}, default=str),
        content_type="application/json",
        headers=headers,
    )


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn whatever a handler raises into an answer; nothing gets past but cancellation."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        return _of_http(error)
    except web.RequestPayloadError:
        return problem(400, "bad_request", "The body is not what its headers say that it is.")
    except CovendError as error:
        return _of_covend(error, request)
    except Exception:  # noqa: BLE001 - logged with its traceback in _internal
        return _internal(request)


def _of_http(error: web.HTTPException) -> web.Response:
    phrase = HTTPStatus(error.status).phrase
    code = _CODES.get(error.status, phrase.lower().replace(" ", "_"))
    allowed = error.headers.get(hdrs.ALLOW)
    message = f"Only {allowed} is answered here." if allowed else f"{phrase}."
    return problem(error.status, code, message, headers={hdrs.ALLOW: allowed} if allowed else None)


def _of_covend(error: CovendError, request: web.Request) -> web.Response:
    status = next((status for kind, status in _STATUSES if isinstance(error, kind)), 500)
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return _internal(request)
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        log.error("nothing was done", path=request.path, code=error.code, error=str(error))
        is_told = isinstance(error, QueueFullError | DrainingError)
        return problem(
            status,
            error.code,
            str(error) if is_told else "The store cannot answer now.",
            headers={hdrs.RETRY_AFTER: str(RETRY_AFTER_S)},
        )
    return problem(status, error.code, str(error), details=error.details)


def _internal(request: web.Request) -> web.Response:
    """Tell the log what is being handled, and the caller nothing of it."""
    log.exception("a request failed inside covend", method=request.method, path=request.path)  # noqa: LOG004
    return problem(500, "internal", "covend failed inside; its log says more.")
