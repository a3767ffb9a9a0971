"""The part of a pull request's payload that covend looks at; the rest is skipped, not built.

Nine tenths of such a payload are addresses and repeated repositories. What is skipped is still
checked to be JSON, but for bad UTF-8 and endless numbers; a payload of an unforeseen shape is not
for this file, and is parsed whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypedDict

import msgspec
import orjson


class _User(TypedDict, total=False):
    login: Any
    type: Any


class _Repository(TypedDict, total=False):
    id: Any
    full_name: Any
    default_branch: Any
    clone_url: Any


class _Side(TypedDict, total=False):
    ref: Any
    sha: Any
    repo: _Repository | None


class _Label(TypedDict, total=False):
    name: Any


class _PullRequest(TypedDict, total=False):
    id: Any
    number: Any
    title: Any
    body: Any
    html_url: Any
    updated_at: Any
    closed_at: Any
    draft: Any
    author_association: Any
    user: _User | None
    labels: list[_Label]
    head: _Side
    base: _Side


class _Installation(TypedDict, total=False):
    id: Any


class _Payload(TypedDict, total=False):
    action: Any
    before: Any
    changes: Any
    installation: _Installation | None
    repository: _Repository
    sender: _User
    pull_request: _PullRequest


_decoder = msgspec.json.Decoder(_Payload)
SLIM_EVENTS = frozenset({"pull_request"})


def slim(text: bytes) -> dict[str, Any] | None:
    """Give the part that is looked at, or None where the text has another shape or is no JSON."""
    try:
        return dict(_decoder.decode(text))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


class Whole(Mapping[str, Any]):
    """A payload that is parsed when somebody looks into it; empty where it is no JSON after all."""

    __slots__ = ("_parsed", "_text")

    def __init__(self, text: bytes) -> None:
        self._text = text
        self._parsed: dict[str, Any] | None = None

    def __getitem__(self, key: str) -> Any:
        return self._payload()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._payload())

    def __len__(self) -> int:
        return len(self._payload())

    def _payload(self) -> dict[str, Any]:
        if self._parsed is None:
            try:
                found = orjson.loads(self._text)
            except ValueError:
                found = None
            self._parsed = found if isinstance(found, dict) else {}
        return self._parsed
