"""Reads what GitHub tells of an App's installations: where it is, what it may do there, and which
repositories it was given or has lost.

Refuses nothing: what is misshapen tells nothing. The number of an installation is never used again,
so that one which was deleted stays so, whatever is told of it later.

https://docs.github.com/en/webhooks/webhook-events-and-payloads#installation
https://docs.github.com/en/webhooks/webhook-events-and-payloads#installation_repositories
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from types import MappingProxyType

from msgspec import Struct

from covend.core.model import Event, Json, Moment
from covend.core.rules import facts

GITHUB = "github"
REPOSITORIES_MAX = 10_000
"""Of one event; GitHub names all that were given or taken at once."""
EVENTS_MAX = 500


class InstallationState(StrEnum):
    """Whether covend may do anything there."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    DELETED = "deleted"


class RepositoryState(StrEnum):
    """Whether a repository is covend's to work on."""

    PRESENT = "present"
    REMOVED = "removed"
    """Taken from the installation."""
    DELETED = "deleted"


class InstallationNews(Struct, frozen=True, kw_only=True):
    """What was so of an installation at `told_at`; None where the payload has no moment."""

    id: int
    account: str
    state: InstallationState
    permissions: Mapping[str, str]
    events: tuple[str, ...]
    told_at: Moment | None


class RepositoryNews(Struct, frozen=True, kw_only=True):
    """What became of one repository."""

    id: int
    full_name: str
    state: RepositoryState


class News(Struct, frozen=True, kw_only=True):
    """What one delivery tells."""

    installation: InstallationNews | None
    repositories: tuple[RepositoryNews, ...]


_STATES: Mapping[str, InstallationState] = MappingProxyType(
    {
        "created": InstallationState.ACTIVE,
        "new_permissions_accepted": InstallationState.ACTIVE,
        "unsuspend": InstallationState.ACTIVE,
        "suspend": InstallationState.SUSPENDED,
        "deleted": InstallationState.DELETED,
    }
)
_REPOSITORY_STATES: Mapping[str, RepositoryState] = MappingProxyType(
    {
        "created": RepositoryState.PRESENT,
        "renamed": RepositoryState.PRESENT,
        "deleted": RepositoryState.DELETED,
    }
)


def read_news(event: Event) -> News | None:
    """Read what an event tells; None where it is about something else, or tells nothing."""
    reader = _READERS.get(event.name)
    if reader is None or event.source != GITHUB:
        return None
    news = reader(event)
    return news if news.installation or news.repositories else None


def _read_installation(event: Event) -> News:
    state = _STATES.get(event.action or "")
    if state is None:
        return News(installation=None, repositories=())
    given = state is InstallationState.ACTIVE
    payload = facts.mapping(event.payload)
    return News(
        installation=_installation(payload, state),
        repositories=tuple(_repositories(payload, "repositories", RepositoryState.PRESENT))
        if given
        else (),
    )


def _read_given(event: Event) -> News:
    payload = facts.mapping(event.payload)
    return News(
        installation=_installation(payload, None),
        repositories=(
            *_repositories(payload, "repositories_added", RepositoryState.PRESENT),
            *_repositories(payload, "repositories_removed", RepositoryState.REMOVED),
        ),
    )


def _read_repository(event: Event) -> News:
    state = _REPOSITORY_STATES.get(event.action or "")
    if state is None or event.repository_id is None or event.repository is None:
        return News(installation=None, repositories=())
    told = RepositoryNews(id=event.repository_id, full_name=event.repository, state=state)
    return News(installation=None, repositories=(told,))


_READERS: Mapping[str, Callable[[Event], News]] = MappingProxyType(
    {
        "installation": _read_installation,
        "installation_repositories": _read_given,
        "repository": _read_repository,
    }
)


NEWS = frozenset(_READERS)
"""The events that may tell something."""


def _installation(payload: Json, state: InstallationState | None) -> InstallationNews | None:
    told = facts.mapping(payload.get("installation"))
    identifier = facts.number(told.get("id"))
    if identifier is None:
        return None
    suspended_at = _moment(told.get("suspended_at"))
    permissions = facts.mapping(told.get("permissions"))
    return InstallationNews(
        id=identifier,
        account=facts.name(facts.mapping(told.get("account")).get("login")) or "",
        state=state or _standing(suspended_at),
        permissions={
            name: level
            for name, level in permissions.items()
            if facts.name(name) and facts.name(level)
        },
        events=tuple(filter(None, map(facts.name, facts.items(told.get("events"), EVENTS_MAX)))),
        told_at=max(filter(None, (_moment(told.get("updated_at")), suspended_at)), default=None),
    )


def _standing(suspended_at: Moment | None) -> InstallationState:
    return InstallationState.ACTIVE if suspended_at is None else InstallationState.SUSPENDED


def _moment(value: object) -> Moment | None:
    """GitHub writes the moments of installations as seconds in some events, as text in others."""
    seconds = facts.number(value)
    if seconds is None:
        return facts.moment(value)
    return seconds * 1000 if seconds * 1000 <= facts.ID_MAX else None


def _repositories(payload: Json, key: str, state: RepositoryState) -> Iterator[RepositoryNews]:
    for each in map(facts.mapping, facts.items(payload.get(key), REPOSITORIES_MAX)):
        identifier = facts.number(each.get("id"))
        full_name = facts.repository(each.get("full_name"))
        if identifier is not None and full_name is not None:
            yield RepositoryNews(id=identifier, full_name=full_name, state=state)
