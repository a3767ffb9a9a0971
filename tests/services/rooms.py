"""The rooms of a covend without its listeners, each built as the composition root builds it, on a
real store and the stand-in of GitHub; nothing here knows what a test is about.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import aiohttp

from covend.core.model import EffectKind, Event, Trust
from covend.core.rules.routing import Router, prepare
from covend.core.rules.verdicts import Routing
from covend.core.safeguards.shapes import Terms
from covend.core.secret import Secret
from covend.core.settings import GitHub, Limits, Policy
from covend.demo.github import Hosted, StandInGitHub
from covend.edges.agents.tree import Containment
from covend.edges.github.auth import open_auth
from covend.edges.github.client import GitHubClient
from covend.edges.github.surfaces import SURFACES, Surface
from covend.edges.workspace.keeping import Workspaces
from covend.services.attempt import Attempts
from covend.services.dispatcher import Dispatcher, Run
from covend.services.executing import Executing
from covend.services.fencing import Fencing
from covend.services.following import Following
from covend.services.giving_back import GivingBack
from covend.services.intake import Intake
from covend.services.known_secrets import Secrets
from covend.services.leases import Leases
from covend.services.looking_up import LookUps
from covend.services.outdated import Outdated
from covend.services.preparing import Preparing
from covend.services.publisher import Publisher
from covend.services.recovery import Recovery
from covend.services.replaying import Replaying
from covend.services.ripening import Ripening
from covend.services.settling import Publishing, Settlements
from covend.services.submitting import Submitting
from covend.services.surroundings import Surroundings
from covend.services.wakeups import Wakeups
from covend.store.connection import FromThread
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
    policies_by_trust: dict[tuple[str, Trust], Policy] = field(default_factory=dict)
    environ: dict[str, str] = field(default_factory=lambda: {"PATH": PATH})
    """The daemon's own, of which agents are given a part."""
    terms: Terms = field(default_factory=lambda: Terms(concurrency=1_000))
    """What claims are bound by, and safeguards learn by."""
    look_again_s: float = 0.0
    surfaces: Mapping[EffectKind, Surface] = field(default_factory=lambda: SURFACES)
    is_open: bool = True
    """Whether deliveries are taken in."""

    def __post_init__(self) -> None:
        self.tasks = StoredTasks(self.connection)
        self.deliveries = StoredDeliveries(self.connection, queue_max=100)
        self.effects = StoredEffects(self.connection)
        self.client = self.new_client()
        self.publishing = Publishing(is_app=True, key=b"the key of markers")
        self.settlements = Settlements(
            clock=self.clock,
            publishing=self.publishing,
            terms=lambda: self.terms,
            follow=self.following().arrival,
        )
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
            self.session,
            self.github.api_url,
            auth,
            self.clock.now,
            lambda *_: None,
            write_gap_ms=0,
        )

    def publisher(self, effects: StoredEffects | None = None) -> Publisher:
        return Publisher(
            effects=effects or self.effects,
            github=self.client,
            clock=self.clock,
            wakeups=self.wakeups,
            metrics=self.metrics,
            secrets=self.secrets,
            fencing=self.fencing(),
            surfaces=self.surfaces,
        )

    def fencing(self) -> Fencing:
        return Fencing(
            tasks=self.tasks,
            github=self.client,
            clock=self.clock,
            wakeups=self.wakeups,
            metrics=self.metrics,
            settlements=self.settlements,
        )

    def ripening(self, tasks: StoredTasks | None = None) -> Ripening:
        return Ripening(
            tasks=tasks or self.tasks,
            look_ups=LookUps(deliveries=self.deliveries, github=self.client, mention=self.mention),
            clock=self.clock,
            wakeups=self.wakeups,
            policy_of=self.policy_in_force,
            key=self.publishing.key,
            metrics=self.metrics,
        )

    def policy_in_force(self, rule: str, trust: Trust) -> Policy | None:
        return self.policies_by_trust.get((rule, trust)) or self.policies.get(rule)

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
            outdated=Outdated(self.effects),
            look_again_s=self.look_again_s,
        )

    def dispatcher(
        self,
        run: Run,
        *,
        tasks: StoredTasks | None = None,
        concurrency: int = 4,
        lease_s: float = LEASE_S,
        **agents: int,
    ) -> Dispatcher:
        return Dispatcher(
            tasks=tasks or self.tasks,
            run=run,
            clock=self.clock,
            wakeups=self.wakeups,
            metrics=self.metrics,
            node="here",
            limits=Limits(concurrency=concurrency, lease_s=lease_s),
            terms=lambda: replace(self.terms, concurrency=concurrency, agents=agents),
        )

    def leases(
        self,
        dispatcher: Dispatcher,
        from_thread: StoredTasks | None = None,
        *,
        lease_s: float = LEASE_S,
    ) -> Leases:
        return Leases(
            tasks=self.tasks,
            from_thread=from_thread or StoredTasks(FromThread(self.connection)),
            running=dispatcher.running,
            giving_back=self.giving_back(),
            clock=self.clock,
            metrics=self.metrics,
            lease_s=lease_s,
        )

    def following(self) -> Following:
        return Following(route=lambda event: self.router().route(event), clock=self.clock)

    def router(self) -> Router:
        """The rules adopted so far."""
        rules = tuple(policy.rule for policy in self.policies.values())
        own = f"{self.github.state.app.slug}[bot]"
        return prepare(rules, self.policies, [own], (), policies_by_trust=self.policies_by_trust)

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

    def intake(self, deliveries: StoredDeliveries | None = None) -> Intake:
        return Intake(
            deliveries=deliveries or self.deliveries,
            route=self.router().route,
            secrets=(Secret(WEBHOOK_SECRET),),
            mention=self.mention,
            clock=self.clock,
            wakeups=self.wakeups,
            count_task=self.metrics.count_task,
        )

    def submitting(
        self, client: GitHubClient | None = None, deliveries: StoredDeliveries | None = None
    ) -> Submitting:
        return Submitting(
            deliveries=deliveries or self.deliveries,
            tasks=self.tasks,
            github=client or self.client,
            rulebook=self,
            keep=self.intake(deliveries).keep,
            is_open=lambda: self.is_open,
            clock=self.clock,
            metrics=self.metrics,
        )

    def replaying(self) -> Replaying:
        return Replaying(
            deliveries=self.deliveries,
            rulebook=self,
            mention=self.mention,
            keep=self.intake().keep,
            is_open=lambda: self.is_open,
            clock=self.clock,
        )

    def route(self, event: Event) -> Routing:
        return self.router().route(event)

    def rules(self) -> tuple[str, ...]:
        return tuple(self.policies)

    @property
    def mention(self) -> str:
        return self.github.state.app.slug
