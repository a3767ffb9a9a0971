"""The settings that the rest of the program is given: frozen, checked once, with every default in
one place.

`config` makes them from a file; nothing below it knows that there was one. Durations are float
seconds
(`_s`), sizes are bytes. Secrets are `Secret`, whose text appears only where `reveal()` is called.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from covend.core.bounds import Budgets, Retry, Safeguards
from covend.core.expected import Sample
from covend.core.model import EffectKind, Trust
from covend.core.outside import Callback, Schedule, Source
from covend.core.secret import Secret
from covend.core.units import DAY, MINUTE

MIB = 1 << 20
GIB = 1 << 30


class Preset(StrEnum):
    """The tools whose command line and output covend knows."""

    CLAUDE = "claude"
    CODEX = "codex"
    COVEN_CODE = "coven-code"
    COMMAND = "command"


class Checkout(StrEnum):
    """What an attempt finds in its workspace."""

    NONE = "none"
    BASE = "base"
    HEAD = "head"
    MERGE = "merge"


class Sandbox(StrEnum):
    """What keeps an agent away from the rest of the machine."""

    NONE = "none"
    BUBBLEWRAP = "bubblewrap"
    CONTAINER = "container"


class Engine(StrEnum):
    """The container engines that covend can speak to, each by its command."""

    DOCKER = "docker"
    PODMAN = "podman"


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """The public listener: webhooks and `/healthz`."""

    host: str = "127.0.0.1"
    port: int = 8787
    public_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Admin:
    """The operator's listener; `socket` instead of host and port for a unix socket."""

    host: str = "127.0.0.1"
    port: int = 8788
    socket: Path | None = None
    hosts: tuple[str, ...] = ()
    token: Secret | None = None
    readers: Mapping[str, Secret] = field(default_factory=dict)
    """Tokens that may look and change nothing, by the name of who has each."""
    metrics_token: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long ended things are kept."""

    deliveries_s: float = 30 * DAY
    completed_s: float = 30 * DAY
    failed_s: float = 90 * DAY
    logs_s: float = 14 * DAY
    workspaces_s: float = 3 * DAY
    """Of failed attempts."""
    installations_s: float = 30 * DAY
    """What is known of a deleted one, from its deletion on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """Where durable state lies."""

    url: str = "sqlite:covend.db"
    retention: Retention = field(default_factory=Retention)


@dataclass(frozen=True, slots=True, kw_only=True)
class GitHub:
    """How covend meets GitHub: as an App (`app_id`, `private_key`), or with a plain `token`."""

    app_id: int | None = None
    private_key: Secret | None = None
    token: Secret | None = None
    webhook_secrets: tuple[Secret, ...] = ()
    api_url: str = "https://api.github.com"
    reconcile_every_s: float = 10 * MINUTE
    mention: str | None = None
    ignore_senders: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of the whole daemon; None means no bound."""

    concurrency: int = 4
    concurrency_per_repository: int | None = None
    concurrency_per_installation: int | None = None
    queue_max: int = 10_000
    lease_s: float = 90.0
    drain_s: float = 60.0
    chain_depth: int = 5
    workspaces_bytes: int = 10 * GIB
    label_repositories_max: int = 100
    budget_usd_per_day: float | None = None
    budget_tokens_per_day: int | None = None
    budget_usd_per_repository_per_day: float | None = None
    budget_tokens_per_repository_per_day: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentLimits:
    """What one agent's process tree may use; None means no bound."""

    memory_bytes: int | None = None
    pids: int | None = None
    cpus: float | None = None
    output_bytes: int = 64 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """What a container is made of; `engine` None takes the one that is found.

    An image is never pulled by covend: it must be there.
    """

    image: str
    engine: Engine | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """A configured command that does the work."""

    name: str
    preset: Preset = Preset.COMMAND
    command: tuple[str, ...]
    model: str | None = None
    timeout_s: float = 30 * MINUTE
    idle_timeout_s: float = 5 * MINUTE
    stop_signal: str = "SIGTERM"
    grace_s: float = 10.0
    env: tuple[str, ...] = ()
    limits: AgentLimits = field(default_factory=AgentLimits)
    sandbox: Sandbox = Sandbox.NONE
    container: Container | None = None
    readable: tuple[str, ...] = ()
    """Absolute paths that a sandbox shows beside the system and the program, for reading."""
    user: str | None = None
    concurrency: int | None = None
    fallback: tuple[str, ...] = ()
    retry: Retry = field(default_factory=Retry)
    budgets: Budgets = field(default_factory=Budgets)
    network: bool = True
    exit_codes: Mapping[int, str] = field(default_factory=dict)
    """Exit code to `success | neutral | failure | needs_input | retry | error`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class When:
    """The clauses of a rule; None means that the rule does not ask.

    Lists are globs of which one must match and no `!` one may; several clauses must all hold.
    """

    repository: tuple[str, ...] | None = None
    base: tuple[str, ...] | None = None
    head: tuple[str, ...] | None = None
    author: tuple[str, ...] | None = None
    sender: tuple[str, ...] | None = None
    association: tuple[str, ...] | None = None
    labels: tuple[str, ...] | None = None
    draft: bool | None = None
    fork: bool | None = None
    paths: tuple[str, ...] | None = None
    title: tuple[str, ...] | None = None
    body: tuple[str, ...] | None = None
    event: tuple[str, ...] | None = None
    action: tuple[str, ...] | None = None
    conclusion: tuple[str, ...] | None = None
    ref: tuple[str, ...] | None = None
    payload: Mapping[str, tuple[str, ...]] | None = None


class Admission(StrEnum):
    """What becomes of work, by the trust of who caused it."""

    RUN = "run"
    HOLD = "hold"
    """It waits until it is approved."""
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How a rule treats one degree of trust; None leaves the rule's own."""

    admission: Admission = Admission.RUN
    agent: str | None = None
    sandbox: Sandbox | None = None
    budgets: Budgets | None = None


HELD_BY_DEFAULT = frozenset({Trust.FORK, Trust.FIRST_TIME, Trust.NONE})
"""Work of forks and strangers waits for an approval unless its rule says otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Which deliveries become which task; `prompt` is the template's text, already read."""

    name: str
    on: tuple[str, ...]
    when: When = field(default_factory=When)
    allow: tuple[str, ...] | None = None
    trust: Mapping[Trust, Terms] = field(default_factory=dict)
    """What is not named here is held or run as `HELD_BY_DEFAULT` says."""
    budgets: Budgets = field(default_factory=Budgets)
    agent: str
    prompt: str
    checkout: Checkout = Checkout.HEAD
    publish: tuple[EffectKind, ...] = ()
    key: str | None = None
    supersede: bool = True
    debounce_s: float = 0.0
    priority: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a task was routed by: its rule and agent as they stood then."""

    sha256: str
    rule: Rule
    agent: Agent
    fallbacks: tuple[Agent, ...] = ()
    """The agents to be tried after `agent`, in order."""

    def by(self, agent: str) -> Policy:
        """Give the same policy with the agent of that name at work; KeyError where it has none."""
        agents = (self.agent, *self.fallbacks)
        place = next((i for i, each in enumerate(agents) if each.name == agent), None)
        if place is None:
            raise KeyError(agent)
        return replace(self, agent=agents[place], fallbacks=agents[place + 1 :])


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The whole configuration, read once."""

    state_dir: Path
    server: Server = field(default_factory=Server)
    admin: Admin = field(default_factory=Admin)
    store: Store = field(default_factory=Store)
    github: GitHub = field(default_factory=GitHub)
    limits: Limits = field(default_factory=Limits)
    agents: Mapping[str, Agent] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()
    safeguards: Safeguards = field(default_factory=Safeguards)
    policies: Mapping[str, Policy] = field(default_factory=dict)
    """By rule name."""
    policies_by_trust: Mapping[tuple[str, Trust], Policy] = field(default_factory=dict)
    """By rule name and trust, only where the rule's `trust` changes agent, sandbox or budgets."""
    callbacks: Mapping[str, Callback] = field(default_factory=dict)
    schedules: tuple[Schedule, ...] = ()
    sources: Mapping[str, Source] = field(default_factory=dict)
    """Senders beside GitHub, by name."""
    tests: tuple[Sample, ...] = ()

    def secret_texts(self) -> tuple[str, ...]:
        """List the texts of every secret, for redactors."""
        github = self.github
        admin = (self.admin.token, *self.admin.readers.values())
        own = (*github.webhook_secrets, github.private_key, github.token, *admin)
        callbacks = (secret for each in self.callbacks.values() for secret in each.secrets)
        sources = (secret for each in self.sources.values() for secret in each.secrets)
        found = (*own, *callbacks, *sources)
        return tuple(secret.reveal() for secret in found if secret is not None)
