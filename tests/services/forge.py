"""A GitHub in memory, for tests that take hundreds of steps: it answers what covend asks as its own
client would, keeps what has become visible, and loses requests and answers as it is told.

Whatever it is not told stays as it was; what it does not know it refuses with an error.
"""

from __future__ import annotations

import itertools
import re
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NoReturn, cast

from covend.core.model import Moment
from covend.edges.github.auth import Auth
from covend.edges.github.client import GitHubClient, Reach
from covend.edges.github.errors import (
    MissingPermission,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    Refused,
    Unreachable,
)
from covend.edges.github.pacing import Pacing
from covend.edges.github.wire import Answer

OWN_LOGIN = "covend-demo[bot]"
APP_ID = 123_456
LAG_MS = 5_000
"""What was written is missing from lists for so long: GitHub reads from replicas."""
WAIT_MS = 60_000
"""How long somebody who asks too much is asked to wait."""

Place = tuple[str, int]
"""A repository and the number of a pull request in it."""


class Fate(StrEnum):
    """What becomes of one request."""

    FINE = "fine"
    ANSWER_LOST = "answer_lost"
    """It is done, and nobody hears of it."""
    NEVER_CAME = "never_came"
    """It is not done, and nobody can know that."""
    UNREACHABLE = "unreachable"
    LIMITED = "limited"


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A comment, review, reaction or check run that has become visible, as it was at first."""

    kind: str
    path: str
    body: Mapping[str, Any]
    at: Moment
    remote: int
    head: str | None
    """The live head of the pull request it is on, as it was then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edited:
    """The text that a comment has got."""

    text: str
    head: str | None
    """As of what is written."""


@dataclass(slots=True)
class Forge:
    """What GitHub knows; it outlives every covend."""

    now: Callable[[], Moment]
    """The true time, whatever covend's clock says."""
    heads: dict[Place, str] = field(default_factory=dict)
    closed: set[Place] = field(default_factory=set)
    roles: dict[str, str] = field(default_factory=dict)
    checked: dict[str, str | None] = field(default_factory=dict)
    """What the tests of others say of a head; None while they are at it."""
    written: list[Written] = field(default_factory=list)
    """Everything that was made, in order; what is changed later is not made again."""
    edited: list[Edited] = field(default_factory=list)
    """Every edit of a comment, in order."""
    put_away: list[int] = field(default_factory=list)
    """Every review that was dismissed or folded away, in order."""
    labelled: dict[Place, list[str]] = field(default_factory=dict)
    out_of_reach: set[str] = field(default_factory=set)
    """Repositories in which covend may do nothing."""
    asked: set[str] = field(default_factory=set)
    """Heads whose checks somebody has asked for again, and none of them has moved since."""
    shown: dict[int, dict[str, Any]] = field(default_factory=dict)
    """Every visible thing as it is now."""
    fates: deque[Fate] = field(default_factory=deque)
    """Of the next requests; then all goes well."""
    _ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def made(self, kind: str) -> list[Written]:
        return [each for each in self.written if each.kind == kind]

    # --- what is asked ----------------------------------------------------------------------------

    def get_pull(self, path: str) -> dict[str, Any]:
        place = _place_in(path)
        if place not in self.heads:
            _refuse(path)
        repository, number = place
        side = {"sha": self.heads[place], "ref": "work", "repo": {"full_name": repository}}
        base = {"sha": "b" * 40, "ref": "main", "repo": {"clone_url": "https://127.0.0.1/x.git"}}
        return {
            "number": number,
            "state": "closed" if place in self.closed else "open",
            "title": "Some work",
            "html_url": f"https://127.0.0.1/{repository}/pull/{number}",
            "head": side,
            "base": base,
        }

    def get_issue(self, path: str) -> dict[str, Any]:
        names = self.labelled.get(_place_in(path), [])
        return {"labels": [{"name": name} for name in names]}

    def get_review(self, path: str) -> dict[str, Any]:
        return self._shown(int(path.rsplit("/", 1)[-1]))

    def review_is_minimized(self, remote: int) -> dict[str, Any]:
        return {"node": {"isMinimized": self._shown(remote).get("is_minimized", False)}}

    def get_permission(self, path: str) -> dict[str, Any]:
        role = self.roles.get(path.split("/")[-2], "none")
        return {"permission": {"maintain": "write"}.get(role, role), "role_name": role}

    def list_files(self, path: str) -> list[dict[str, Any]]:
        return [{"filename": "src/till.py", "status": "modified", "patch": "@@ -1 +1 @@\n-a\n+b"}]

    def list_head_checks(self, path: str) -> list[dict[str, Any]]:
        said = self.checked.get(path.split("/")[-2])
        return [{"name": "tests", "conclusion": said, "app": {"id": 1}}]

    def list_head_statuses(self, path: str) -> list[dict[str, Any]]:
        return []

    def list_made(self, path: str, kind: str) -> list[dict[str, Any]]:
        """List what is shown there, but for what is too new."""
        seen_at = self.now() - LAG_MS
        found = [each for each in self.written if each.kind == kind and each.at <= seen_at]
        return [self.shown[each.remote] for each in found if _is_in(path, each)]

    # --- what is written --------------------------------------------------------------------------

    def make(self, kind: str, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        if kind == "reaction" and (known := self._same_reaction(path, body)) is not None:
            return known
        remote = next(self._ids)
        made = Written(
            kind=kind,
            path=path,
            body=dict(body),
            at=self.now(),
            remote=remote,
            head=self._head_at(path),
        )
        self.written.append(made)
        shown = {"id": remote, "html_url": f"https://127.0.0.1/{kind}/{remote}"}
        shown |= dict(body) | {"user": {"login": OWN_LOGIN}}
        if kind == "review":
            shown |= {"node_id": str(remote), "state": _REVIEW_STATES[body["event"]]}
        self.shown[remote] = shown
        self._note_check(shown)
        return shown

    def change(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        remote = int(path.rsplit("/", 1)[-1])
        shown = self._shown(remote)
        shown |= dict(body)
        if "/comments/" in path:
            place = next(each.path for each in self.written if each.remote == remote)
            self.edited.append(Edited(text=body["body"], head=self._head_at(place)))
        self._note_check(shown)
        return shown

    def dismiss(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Dismiss a review that asks for changes; refuse any other, and a second time."""
        remote = int(path.split("/")[-2])
        shown = self._shown(remote)
        if shown["state"] != "CHANGES_REQUESTED" or body["event"] != "DISMISS":
            raise Refused(f"{path}: it does not ask for changes", status=422)
        shown["state"] = "DISMISSED"
        self.put_away.append(remote)
        return shown

    def minimize_review(self, remote: int) -> dict[str, Any]:
        shown = self._shown(remote)
        shown["is_minimized"] = True
        self.put_away.append(remote)
        return {"minimizeComment": {"minimizedComment": {"isMinimized": True}}}

    def label(self, path: str, body: Mapping[str, Any]) -> list[dict[str, Any]]:
        names = self.labelled.setdefault(_place_in(path), [])
        names += [name for name in body["labels"] if name not in names]
        return [{"name": name} for name in names]

    def _shown(self, remote: int) -> dict[str, Any]:
        if remote not in self.shown:
            _refuse(str(remote))
        return self.shown[remote]

    def _head_at(self, path: str) -> str | None:
        return self.heads.get(_place_in(path)) if _PLACE.match(path) else None

    def _note_check(self, shown: Mapping[str, Any]) -> None:
        """Whoever has asked for a check sees that something becomes of it."""
        if "external_id" in shown:
            self.asked.discard(shown["head_sha"])

    def _same_reaction(self, path: str, body: Mapping[str, Any]) -> dict[str, Any] | None:
        same = (each for each in self.made("reaction") if (each.path, each.body) == (path, body))
        return next((self.shown[each.remote] for each in same), None)


_MAKES = {
    "create_check": "check",
    "create_comment": "comment",
    "create_review": "review",
    "create_reaction": "reaction",
}
_REVIEW_STATES = {"COMMENT": "COMMENTED", "REQUEST_CHANGES": "CHANGES_REQUESTED"}
_CHANGES: Mapping[str, Callable[[Forge, str, Any], Any]] = {
    "update_check": Forge.change,
    "update_comment": Forge.change,
    "dismiss_review": Forge.dismiss,
    "add_labels": Forge.label,
}
_LISTS = {
    "list_checks": "check",
    "list_comments": "comment",
    "list_reviews": "review",
    "list_reactions": "reaction",
}


class _OwnAuth:
    app_id = APP_ID

    async def own_login(self) -> str:
        return OWN_LOGIN


class ForgeClient(GitHubClient):
    """One covend's way to the forge; `now` is that covend's clock."""

    def __init__(self, forge: Forge, now: Callable[[], Moment]) -> None:
        self.auth = cast("Auth", _OwnAuth())
        self.pacing = Pacing(now)
        self._forge = forge
        self._now = now

    async def request(self, operation: str, method: str, path: str, **given: Any) -> Answer:
        fate, is_write = self._next_fate(), method != "GET"
        self._fail_before(fate, operation, given.get("repository"), is_write=is_write)
        data = self._answer(operation, path, given.get("body"))
        if fate is Fate.ANSWER_LOST and is_write:
            raise OutcomeUnknown(f"{operation}: no answer came")
        return Answer(operation=operation, status=200, headers={}, data=data, changed=is_write)

    async def pages(
        self, operation: str, path: str, reach: Reach, **given: Any
    ) -> AsyncIterator[dict[str, Any]]:
        self._fail_before(self._next_fate(), operation, reach.repository, is_write=False)
        for item in self._items(operation, path):
            yield item

    async def graphql(
        self,
        operation: str,
        document: str,
        variables: Mapping[str, Any],
        *,
        reach: Reach,
        harmless: bool = False,
    ) -> Mapping[str, Any]:
        fate = self._next_fate()
        self._fail_before(fate, operation, reach.repository, is_write=not harmless)
        answer: dict[str, Any] = getattr(self._forge, operation)(int(variables["id"]))
        if fate is Fate.ANSWER_LOST and not harmless:
            raise OutcomeUnknown(f"{operation}: no answer came")
        return answer

    def _next_fate(self) -> Fate:
        return self._forge.fates.popleft() if self._forge.fates else Fate.FINE

    def _fail_before(
        self, fate: Fate, operation: str, repository: str | None, *, is_write: bool
    ) -> None:
        if repository in self._forge.out_of_reach:
            raise MissingPermission(f"{operation}: {repository} is out of reach", permission="")
        if fate is Fate.LIMITED:
            raise RateLimited(f"{operation}: too much", retry_at=self._now() + WAIT_MS)
        if fate is Fate.NEVER_CAME and is_write:
            raise OutcomeUnknown(f"{operation}: no answer came")
        if fate is Fate.UNREACHABLE or (fate is not Fate.FINE and not is_write):
            raise Unreachable(f"{operation}: nobody is there")

    def _answer(self, operation: str, path: str, body: Any) -> Any:
        if operation in _MAKES:
            return self._forge.make(_MAKES[operation], path, body)
        if operation in _CHANGES:
            return _CHANGES[operation](self._forge, path, body)
        asked: Callable[[str], Any] = getattr(self._forge, operation)
        return asked(path)

    def _items(self, operation: str, path: str) -> list[dict[str, Any]]:
        if operation in _LISTS:
            return self._forge.list_made(path, _LISTS[operation])
        listed: list[dict[str, Any]] = getattr(self._forge, operation)(path)
        return listed


_PLACE = re.compile(r"/repos/([^/]+/[^/]+)/(?:pulls|issues)/(\d+)")


def _place_in(path: str) -> Place:
    found = _PLACE.match(path)
    if found is None:
        _refuse(path)
    return found[1], int(found[2])


def _is_in(path: str, made: Written) -> bool:
    """Checks are listed at their commit, and made beside it; all else where it was made."""
    if made.kind == "check":
        return bool(path.split("/")[-2] == made.body["head_sha"])
    return path == made.path


def _refuse(path: str) -> NoReturn:
    raise NotFound(f"{path}: there is no such thing", status=404)
