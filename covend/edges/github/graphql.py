"""What GitHub's GraphQL answers: data, or errors in an answer whose status says that all is well.

Each kind of error becomes the type that its sibling of the REST API has.
https://docs.github.com/en/graphql/guides/forming-calls-with-graphql
https://docs.github.com/en/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from covend.core.errors import GitHubError
from covend.edges.github.errors import (
    BadAnswer,
    MissingPermission,
    NotFound,
    OutcomeUnknown,
    Refused,
    Unreachable,
)
from covend.edges.github.pacing import is_secondary
from covend.edges.github.wire import Answer, message_of

_LIMITS = frozenset({"RATE_LIMITED", "RATE_LIMIT"})
_FORBIDDEN = frozenset({"FORBIDDEN", "INSUFFICIENT_SCOPES"})
_REFUSED = frozenset({"UNPROCESSABLE", "MAX_NODE_LIMIT_EXCEEDED", "NOT_IMPLEMENTED"})
_OK = 200


def is_limit(answer: Answer) -> bool:
    """Say whether this is a refusal because of a limit, whatever its status."""
    return any(kind in _LIMITS for kind in _kinds(answer)) or (
        not _has_data(answer) and is_secondary(message_of(answer))
    )


def data_of(answer: Answer) -> Mapping[str, Any]:
    """Give the `data`; raises what its errors mean, also where part of the data is there."""
    if _errors(answer):
        raise _error_of(answer)
    data = answer.data.get("data") if isinstance(answer.data, dict) else None
    if not isinstance(data, dict):
        message = f"{answer.operation}: the answer has no usable data"
        raise OutcomeUnknown(message) if answer.changed else BadAnswer(message)
    return data


def _error_of(answer: Answer) -> GitHubError:
    """The first error that has a type decides; one without is GitHub's own, unless it refused the
    document before it did anything.
    """
    said = f"{answer.operation}: {message_of(answer)}"
    kind = next(iter(_kinds(answer)), None)
    if kind == "NOT_FOUND":
        return NotFound(said, status=_OK)
    if kind in _FORBIDDEN:
        return MissingPermission(said, permission="")
    if kind in _REFUSED or (kind is None and not _has_data(answer) and _is_unread(answer)):
        return Refused(said, status=_OK)
    return OutcomeUnknown(said) if answer.changed else Unreachable(said)


def _is_unread(answer: Answer) -> bool:
    """GitHub names the place or the code where a document or its variables are wrong; of its own
    failures it says neither.
    """
    return all("locations" in each or "extensions" in each for each in _errors(answer))


def _has_data(answer: Answer) -> bool:
    return isinstance(answer.data, dict) and "data" in answer.data


def _kinds(answer: Answer) -> list[str]:
    return [each["type"] for each in _errors(answer) if isinstance(each.get("type"), str)]


def _errors(answer: Answer) -> list[dict[str, Any]]:
    errors = answer.data.get("errors") if isinstance(answer.data, dict) else None
    return [each for each in errors if isinstance(each, dict)] if isinstance(errors, list) else []
