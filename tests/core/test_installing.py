"""What GitHub tells of installations and repositories, and what tells nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from covend.core.installing import (
    InstallationState,
    News,
    RepositoryNews,
    RepositoryState,
    read_news,
)
from covend.core.sources.github_event import read_event
from tests.core.github_samples import envelope, load, recorded

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


def told(name: str, payload: dict[str, Any]) -> News | None:
    whole = structs.replace(envelope(name, payload), whole=payload)
    return read_news(read_event(whole, None))


@pytest.mark.parametrize(
    ("recording", "state", "account"),
    [
        ("installation.created", InstallationState.ACTIVE, "Codertocat"),
        ("installation.suspend", InstallationState.SUSPENDED, "Codertocat"),
        ("installation.deleted", InstallationState.DELETED, "octocat"),
    ],
)
def test_a_recorded_installation_tells_what_became_of_it(
    shared: Path, recording: str, state: InstallationState, account: str
) -> None:
    payload = load(shared, recording)
    news = told("installation", payload)
    assert news is not None
    assert news.installation is not None
    assert (news.installation.id, news.installation.state) == (payload["installation"]["id"], state)
    assert news.installation.account == account
    assert news.installation.permissions == payload["installation"]["permissions"]
    assert news.installation.events == tuple(payload["installation"]["events"])


def test_the_moment_of_an_installation_is_read_as_seconds_and_as_text(shared: Path) -> None:
    seconds = told("installation", load(shared, "installation.created"))
    text = told("installation", load(shared, "installation.suspend"))
    assert seconds is not None
    assert seconds.installation is not None
    assert seconds.installation.told_at == 1_557_933_591_000
    assert text is not None
    assert text.installation is not None
    assert text.installation.told_at == 1_619_663_570_000


def test_repositories_that_were_given_and_taken_are_named(shared: Path) -> None:
    payload = load(shared, "installation_repositories.added")
    payload["repositories_removed"] = [{"id": 9, "full_name": "acme/gone"}]
    news = told("installation_repositories", payload)
    assert news is not None
    assert news.repositories == (
        RepositoryNews(id=186853007, full_name="Codertocat/Space", state=RepositoryState.PRESENT),
        RepositoryNews(id=9, full_name="acme/gone", state=RepositoryState.REMOVED),
    )
    assert news.installation is not None
    assert news.installation.state is InstallationState.ACTIVE


def test_what_is_given_to_a_suspended_installation_leaves_it_suspended(shared: Path) -> None:
    payload = load(shared, "installation_repositories.added")
    payload["installation"]["suspended_at"] = "2026-11-01T00:00:00Z"
    news = told("installation_repositories", payload)
    assert news is not None
    assert news.installation is not None
    assert news.installation.state is InstallationState.SUSPENDED


@pytest.mark.parametrize(
    ("action", "state"),
    [("deleted", RepositoryState.DELETED), ("renamed", RepositoryState.PRESENT)],
)
def test_a_repository_tells_by_itself_that_it_is_gone(action: str, state: RepositoryState) -> None:
    payload = {"action": action, "repository": {"id": 42, "full_name": "acme/till"}}
    news = told("repository", payload)
    assert news is not None
    assert news.repositories == (RepositoryNews(id=42, full_name="acme/till", state=state),)


def test_other_events_tell_nothing_of_it(shared: Path) -> None:
    about = {"installation", "installation_repositories", "repository"}
    for name, body in recorded(shared):
        if name not in about:
            assert told(name, load_bytes(body)) is None


def load_bytes(body: bytes) -> dict[str, Any]:
    payload = orjson.loads(body)
    return payload if isinstance(payload, dict) else {}


@given(
    name=st.sampled_from(["installation", "installation_repositories", "repository"]),
    action=st.sampled_from(["created", "deleted", "suspend", "added", "removed", "odd"]),
    installation=ANY_JSON,
    repositories=ANY_JSON,
)
def test_what_is_misshapen_is_read_as_far_as_it_goes(
    name: str, action: str, installation: Any, repositories: Any
) -> None:
    payload = {
        "action": action,
        "installation": installation,
        "repositories": repositories,
        "repositories_added": repositories,
        "repositories_removed": repositories,
        "repository": installation,
    }
    news = told(name, payload)
    assert news is None or news.installation or news.repositories
