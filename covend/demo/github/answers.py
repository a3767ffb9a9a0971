"""What the stand-in answers: a body with a status, a page of a list, or a refusal.

Messages are GitHub's own where a client may look at them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlencode

DOCUMENTATION = "https://docs.github.com/rest"
PAGE_DEFAULT = 30
PAGE_MAX = 100
BODY_MAX = 65_536

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A JSON answer; None as body is sent as no body at all, bytes as they are."""

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


class Refused(Exception):  # noqa: N818 - a refusal is an answer, not a fault of the program
    """GitHub says no, with a status of 4xx."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        errors: Sequence[Any] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Refuse with `message`; `errors` is the list that goes with a 422."""
        super().__init__(message)
        self.answer = refusal(status, message, errors=errors, headers=headers)


def refusal(
    status: int,
    message: str,
    *,
    errors: Sequence[Any] = (),
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Build the body that every refusal of GitHub has."""
    body: dict[str, Any] = {"message": message}
    if errors:
        body["errors"] = list(errors)
    body |= {"documentation_url": DOCUMENTATION, "status": str(status)}
    return Answer(body=body, status=status, headers=headers or {})


def not_found() -> Refused:
    """Refuse because there is no such thing, or the caller may not know that there is."""
    return Refused(404, "Not Found")


def invalid(resource: str, field_name: str, code: str, message: str | None = None) -> Refused:
    """Refuse a field of a body, in the long form that most of GitHub uses."""
    error = {"resource": resource, "field": field_name, "code": code}
    if message is not None:
        error["message"] = message
    return Refused(422, "Validation Failed", errors=[error])


def unprocessable(*errors: str) -> Refused:
    """Refuse a body in the short form that reviews use."""
    return Refused(422, "Unprocessable Entity", errors=errors)


def require_short(resource: str, text: str) -> None:
    """Refuse a body of more than 65,536 characters."""
    if len(text) > BODY_MAX:
        message = f"body is too long (maximum is {BODY_MAX} characters)"
        raise invalid(resource, "body", "custom", message)


def page(
    url: str,
    query: Mapping[str, str],
    items: Sequence[Item],
    build: Callable[[Item], Any],
) -> Answer:
    """Answer one page of a list, with the `Link` header that leads to the others."""
    shown, headers = cut(url, query, items)
    return Answer(body=[build(item) for item in shown], headers=headers)


def cut(
    url: str, query: Mapping[str, str], items: Sequence[Item]
) -> tuple[Sequence[Item], dict[str, str]]:
    """Take the page that `page` and `per_page` ask for, and make its `Link` header."""
    size = min(max(_number(query, "per_page", PAGE_DEFAULT), 1), PAGE_MAX)
    at = max(_number(query, "page", 1), 1)
    last = max(-(-len(items) // size), 1)
    links = [
        f'<{url}?{urlencode({**query, "per_page": size, "page": number})}>; rel="{name}"'
        for name, number in _neighbours(at, last).items()
    ]
    return items[(at - 1) * size : at * size], {"Link": ", ".join(links)} if links else {}


def _neighbours(at: int, last: int) -> dict[str, int]:
    before = {"prev": at - 1} if at > 1 else {}
    after = {"next": at + 1, "last": last} if at < last else {}
    return before | after | ({"first": 1} if at > 1 else {})


def _number(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name, "")
    return int(text) if text.isascii() and text.isdigit() else default
