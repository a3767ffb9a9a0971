"""One server of the ingest benchmark, as a process: it prints its port and serves until SIGTERM."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.resources import files
from pathlib import Path

from aiohttp import web

from covend.bench.load import SECRET
from covend.bench.plain import open_plain
from covend.core.model import Moment
from covend.core.policy import policy_of
from covend.core.secret import Secret
from covend.core.settings import Agent, Policy, Rule, Settings, When
from covend.services.clock import Clock
from covend.services.collector import calm_collector
from covend.services.intake import Intake
from covend.services.rulebook import Rulebook
from covend.services.wakeups import Wakeups
from covend.store.deliveries import StoredDeliveries
from covend.store.protocol import Accepted, Arrival
from covend.store.queries import Query, load_queries
from covend.store.sqlite.connection import BATCH_MAX, open_sqlite
from covend.store.sqlite.migrate import migrate
from covend.telemetry import logs
from covend.telemetry.metrics import Metrics
from covend.web.public import PublicListener

AGENT = Agent(name="echo", command=("echo",))
RULES = (
    Rule(
        name="review",
        on=("pull_request.opened", "pull_request.synchronize"),
        when=When(repository=("acme/*", "!acme/secret"), draft=False),
        agent="echo",
        prompt="Review.",
    ),
    Rule(name="fix", on=("command.fix",), allow=("write",), agent="echo", prompt="Fix."),
    Rule(name="triage", on=("issues.opened",), agent="echo", prompt="Triage."),
)
QUEUE_MAX = 10_000
POLICIES: dict[str, Policy] = {rule.name: policy_of(rule, AGENT) for rule in RULES}


class NoStore(StoredDeliveries):
    """Answers as if everything had been kept, and keeps nothing."""

    def __init__(self) -> None:
        """Need no connection."""

    async def save_policy(self, policy: Policy, now: Moment) -> None:
        """Keep none."""

    async def accept(self, arrival: Arrival) -> Accepted:
        """Give the answer that the store would have given."""
        return Accepted(
            delivery=arrival.envelope.delivery,
            state=arrival.routing.state,
            reason=arrival.routing.reason,
            tasks=arrival.task_ids,
            duplicate=False,
        )


@asynccontextmanager
async def _no_store() -> AsyncIterator[StoredDeliveries]:
    yield NoStore()


@asynccontextmanager
async def _batches(
    folder: Path, metrics: Metrics, batch_max: int
) -> AsyncIterator[StoredDeliveries]:
    path, queries = folder / "covend.db", _queries()
    async with open_sqlite(path, queries, migrate, metrics.observe_commit, batch_max) as connection:
        yield StoredDeliveries(connection, queue_max=QUEUE_MAX)


@asynccontextmanager
async def _plain(folder: Path) -> AsyncIterator[StoredDeliveries]:
    async with open_plain(folder / "covend.db", _queries()) as connection:
        yield StoredDeliveries(connection, queue_max=QUEUE_MAX)


def _queries() -> Mapping[str, Query]:
    return load_queries(files("covend.store.sqlite") / "queries")


def _open(
    name: str, folder: Path, metrics: Metrics
) -> AbstractAsyncContextManager[StoredDeliveries]:
    match name:
        case "no_store":
            return _no_store()
        case "durable":
            return _batches(folder, metrics, BATCH_MAX)
        case "batches_of_one":
            return _batches(folder, metrics, 1)
        case "commit_each":
            return _plain(folder)
        case _:
            raise ValueError(name)


async def serve(name: str, folder: Path) -> None:
    """Serve as one of the contenders until SIGTERM."""
    metrics = Metrics()
    async with _open(name, folder, metrics) as deliveries:
        clock = Clock()
        rulebook = Rulebook(deliveries=deliveries, clock=clock, own_logins=["covend[bot]"])
        await rulebook.adopt(Settings(state_dir=folder, rules=RULES, policies=POLICIES))
        intake = Intake(
            deliveries=deliveries,
            route=rulebook.route,
            secrets=[Secret(SECRET)],
            mention="covend",
            clock=clock,
            wakeups=Wakeups(),
        )
        listener = PublicListener(
            receive=intake.receive, metrics=metrics, events=frozenset({"pull_request"})
        )
        runner = web.ServerRunner(listener.server())
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        print(runner.addresses[0][1], flush=True)  # noqa: T201  for the one who started it
        calm_collector()
        stopped = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
        await stopped.wait()
        await runner.cleanup()


if __name__ == "__main__":
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        logs.configure(stream=nowhere)
        asyncio.run(serve(sys.argv[1], Path(sys.argv[2])))
