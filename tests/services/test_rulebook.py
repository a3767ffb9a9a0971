"""Rules are replaced as a whole, and a configuration that cannot be used changes nothing."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest

from covend.core.errors import ConfigError, NotFoundError
from covend.core.model import DeliveryId, Event
from covend.core.policy import policy_of
from covend.core.settings import Agent, Limits, Rule, Settings
from covend.services.clock import Clock
from covend.services.rulebook import Rulebook
from covend.store.connection import one
from covend.store.deliveries import StoredDeliveries
from covend.store.queries import load_queries
from covend.store.sqlite.connection import SqliteConnection, open_sqlite
from covend.store.sqlite.migrate import migrate
from covend.telemetry import logs
from tests.telemetry.book import Book

AGENT = Agent(name="echo", command=("echo",))
EVENT = Event(source="github", delivery=DeliveryId("d"), name="issues", action="opened")


def settings_of(*rules: Rule) -> Settings:
    policies = {rule.name: policy_of(rule, AGENT) for rule in rules}
    return Settings(state_dir=Path("/nowhere"), rules=rules, policies=policies)


def rule(name: str, on: str = "issues.opened") -> Rule:
    return Rule(name=name, on=(on,), agent="echo", prompt="Look.")


@pytest.fixture
async def connection(tmp_path: Path) -> AsyncIterator[SqliteConnection]:
    queries = load_queries(files("covend.store.sqlite") / "queries")
    async with open_sqlite(tmp_path / "covend.db", queries, migrate) as opened:
        yield opened


@pytest.fixture
def book(connection: SqliteConnection) -> Rulebook:
    deliveries = StoredDeliveries(connection, queue_max=10)
    return Rulebook(deliveries=deliveries, clock=Clock(), own_logins=["covend[bot]"])


async def accept(_: Settings) -> None:
    """As on a machine that can do everything."""


def names(book: Rulebook) -> list[str]:
    return [draft.rule for draft in book.route(EVENT).drafts]


async def test_before_the_first_rules_nothing_is_routed(book: Rulebook) -> None:
    assert book.route(EVENT).reason == "no_rule"


async def test_a_reload_puts_other_rules_in_force_with_their_policies_in_the_store(
    book: Rulebook, connection: SqliteConnection
) -> None:
    await book.adopt(settings_of(rule("old")))
    newer = settings_of(rule("new"))
    assert await book.reload(lambda: newer, accept)
    assert names(book) == ["new"]
    kept = await connection.read(one("find_policy", sha256=newer.policies["new"].sha256))
    assert kept is not None


async def test_a_configuration_that_cannot_be_used_keeps_the_old_rules(book: Rulebook) -> None:
    def bad() -> Settings:
        raise ConfigError("covend.toml:3: rules[0].agent: there is no agent x")

    await book.adopt(settings_of(rule("old")))
    assert not await book.reload(bad, accept)
    assert names(book) == ["old"]


async def test_a_configuration_that_this_machine_cannot_follow_keeps_the_old_rules(
    book: Rulebook, connection: SqliteConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(_: Settings) -> None:
        raise ConfigError("agents.echo: bwrap is missing")

    read = Book(monkeypatch)
    await book.adopt(settings_of(rule("old")))
    newer = settings_of(rule("new"))
    assert not await book.reload(lambda: newer, refuse)
    assert names(book) == ["old"]
    assert await connection.read(one("find_policy", sha256=newer.policies["new"].sha256)) is None
    (line,) = read.lines()
    assert (line["message"], line["error"]) == (
        "the configuration stays as it was",
        "agents.echo: bwrap is missing",
    )


async def test_an_error_that_nobody_expects_of_a_configuration_is_not_hidden(
    book: Rulebook,
) -> None:
    def broken() -> Settings:
        raise NotFoundError("not what a configuration raises")

    with pytest.raises(NotFoundError):
        await book.reload(broken, accept)


async def test_the_log_names_what_only_a_restart_puts_in_force(
    book: Rulebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(logs, "_lines", logs.Lines(stream, 0, str))
    settings = settings_of(rule("old"))
    await book.adopt(settings)
    assert stream.getvalue() == ""
    await book.adopt(replace(settings, limits=Limits(concurrency=9)))
    assert '"sections":["limits"]' in stream.getvalue()
    await book.adopt(replace(settings, agents={"echo": replace(AGENT, concurrency=2)}))
    assert book.terms().concurrency == settings.limits.concurrency
    assert book.terms().agents == {"echo": 2}
    assert len(stream.getvalue().splitlines()) == 1
    stream.truncate(0)
    new = {"next": replace(AGENT, name="next", concurrency=1)}
    await book.adopt(replace(settings, agents=new))
    assert book.terms().agents == {"next": 1}, "a new agent is bound from its first claim on"
