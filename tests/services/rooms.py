"""The rooms of a covend without its listeners, each built as the composition root builds it, on a
real store and the stand-in of GitHub; nothing here knows what a test is about.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from covend.core.rules.routing import prepare
from covend.core.settings import GitHub, Limits, Policy, Secret
from covend.demo.github import Hosted, StandInGitHub
from covend.edges.agents.tree import Containment
from covend.edges.github.auth import open_auth
from covend.edges.github.client import GitHubClient
from covend.edges.workspace.keeping import Workspaces
from covend.services.attempt import Attempts
from covend.services.dispatcher import Dispatcher, Run
from covend.services.executing import Executing
from covend.services.giving_back import GivingBack
from covend.services.intake import Intake
from covend.services.known_secrets import Secrets
from covend.services.preparing import Preparing
from covend.services.publisher import Publisher
from covend.services.recovery import Recovery
from covend.services.ripening import Ripening
from covend.services.settling import Publishing, Settlements
from covend.services.surroundings import Surroundings
from covend.services.wakeups import Wakeups
from covend.store.deliveries import StoredDeliveries
from covend.store.effects import StoredEffects
from covend.store.sqlite.connection import SqliteConnection
from covend.store.tasks import StoredTasks
from covend.telemetry.metrics import Metrics
from tests.services.hand_clock import HandClock

WEBHOOK_SECRET = "tell-nobody-of-this-webhook"
LEASE_S = 90.0
PATH = "/usr/local/bin:/usr/bin:/bin"


@dataclass(kw_only=True)
class Rooms:
    """Every room, made when it is asked for."""

    folder: Path
    github: StandInGitHub
    till: Hosted
    clock: HandClock
    session: aiohttp.ClientSession
    connection: SqliteConnection
    containment: Containment
    metrics: Metrics = field(default_factory=lambda: Metrics(repositories_max=10))
    wakeups: Wakeups = field(default_factory=Wakeups)
    secrets: Secrets = field(default_factory=lambda: Secrets([WEBHOOK_SECRET]))
    policies: dict[str, Policy] = field(default_factory=dict)
    environ: dict[str, str] = field(default_factory=lambda: {"PATH": PATH})
    """The daemon's own, of which agents are given a part."""

    def __post_init__(self) -> None:
        self.tasks = StoredTasks(self.connection)
        self.deliveries = StoredDeliveries(self.connection, queue_max=100)
        self.effects = StoredEffects(self.connection)
        self.client = self.new_client()
        self.publishing = Publishing(is_app=True, key=b"the key of markers")
        self.settlements = Settlements(clock=self.clock, publishing=self.publishing)
        self.workspaces = Workspaces(self.folder)
        (self.folder / "logs").mkdir()

    def new_client(self) -> GitHubClient:
        """A client that remembers nothing of an earlier one: no token, no limit."""
        settings = GitHub(
            app_id=self.github.state.app.id,
            private_key=Secret(self.github.key.private),
            api_url=self.github.api_url,
        )
        auth = open_auth(
            settings,
            self.session,
            self.clock.now,
            lambda *_: None,
            wall=self.clock.now,
            learn=self.secrets.learn,
        )
        return GitHubClient(
            self.session, self.github.api_url, auth, self.clock.now, lambda *_: None
        )

    def publisher(self, effects: StoredEffects | None = None) -> Publisher:
        return Publisher(
            effects=effects or self.effects,
            github=self.client,
            clock=self.clock,
            wakeups=self.wakeups,
            metrics=self.metrics,
            secrets=self.secrets,
        )

    def ripening(self, tasks: StoredTasks | None = None) -> Ripening:
        return Ripening(
            tasks=tasks or self.tasks,
            deliveries=self.deliveries,
            github=self.client,
            clock=self.clock,
            wakeups=self.wakeups,
            mention=self.mention,
        )

    def attempts(self, tasks: StoredTasks | None = None) -> Attempts:
        surroundings = Surroundings(
            state_dir=self.folder,
            api_url=self.github.api_url,
            environ=self.environ,
            secrets=self.secrets,
        )
        return Attempts(
            tasks=tasks or self.tasks,
            github=self.client,
            clock=self.clock,
            wakeups=self.wakeups,
            metrics=self.metrics,
            settlements=self.settlements,
            preparing=Preparing(
                tasks=tasks or self.tasks,
                github=self.client,
                workspaces=self.workspaces,
                surroundings=surroundings,
                clock=self.clock,
            ),
            executing=Executing(
                tasks=tasks or self.tasks,
                containment=self.containment,
                surroundings=surroundings,
                clock=self.clock,
                wakeups=self.wakeups,
                metrics=self.metrics,
            ),
        )

    def dispatcher(
        self,
        run: Run,
        *,
        tasks: StoredTasks | None = None,
        concurrency: int = 4,
        **agents: int,
    ) -> Dispatcher:
        return Dispatcher(
            tasks=tasks or self.tasks,
            run=run,
            clock=self.clock,
            wakeups=self.wakeups,
            metrics=self.metrics,
            node="here",
            limits=Limits(concurrency=concurrency, lease_s=LEASE_S),
            agents=agents,
        )

    def giving_back(self) -> GivingBack:
        return GivingBack(
            tasks=self.tasks,
            containment=self.containment,
            environ=self.environ,
            clock=self.clock,
            metrics=self.metrics,
            settlements=self.settlements,
        )

    def recovery(self) -> Recovery:
        return Recovery(
            tasks=self.tasks,
            effects=self.effects,
            clock=self.clock,
            giving_back=self.giving_back(),
            workspaces=self.workspaces,
        )

    def intake(self) -> Intake:
        rules = tuple(policy.rule for policy in self.policies.values())
        own = f"{self.github.state.app.slug}[bot]"
        return Intake(
            deliveries=self.deliveries,
            route=prepare(rules, self.policies, [own], ()).route,
            secrets=(Secret(WEBHOOK_SECRET),),
            mention=self.mention,
            clock=self.clock,
            wakeups=self.wakeups,
        )

    @property
    def mention(self) -> str:
        return self.github.state.app.slug
