"""Posts one webhook and reads the answer, as the public listener gives it."""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import orjson

from covend.cli.exits import UNREACHABLE, USAGE, Failure
from covend.cli.render import safe

ANSWER_S = 30.0
ANSWER_MAX = 1 << 20


class Sent(NamedTuple):
    """What was answered; `answer` is empty where that was no JSON object."""

    status: int
    answer: Mapping[str, Any]


def send(url: str, body: bytes, headers: Mapping[str, str]) -> Sent:
    """Post it; Failure where nobody answers, or the address is none."""
    connection, path = _connect(url)
    try:
        connection.request("POST", path, body=body, headers=dict(headers))
        answer = connection.getresponse()
        return Sent(answer.status, _object(answer.read(ANSWER_MAX)))
    except (UnicodeError, http.client.InvalidURL) as error:
        message = f"{safe(url)} is no address: its host, or its path, cannot be written in ASCII"
        raise Failure(USAGE, message) from error
    except (OSError, http.client.HTTPException) as error:
        message = f"covend is not answering on {safe(url)}: is it running?  (covend serve)"
        raise Failure(UNREACHABLE, message) from error
    finally:
        connection.close()


def _connect(url: str) -> tuple[http.client.HTTPConnection, str]:
    kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in kinds:
        raise Failure(USAGE, f"{safe(url)} is no address: it must begin with http:// or https://")
    return kinds[parts.scheme](host, port, timeout=ANSWER_S), parts.path


def _object(data: bytes) -> Mapping[str, Any]:
    try:
        given = orjson.loads(data)
    except ValueError:
        return {}
    return given if isinstance(given, dict) else {}
