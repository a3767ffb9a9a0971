"""The shape of `covend.toml`: which keys there are and what each may hold; a key that is not here
is an error.

Only what can be said of a value by itself is said here; what one part of the file says of another
is in `references`. The names are promised to users: a key that exists is never renamed.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import (
    Field,
)

from covend.config.agent_tables import AgentTable
from covend.config.base import Secrets, SecretSource, Table
from covend.config.outside import CallbackTable, ScheduleTable, SourceTable
from covend.config.rule_tables import RuleTable
from covend.config.values import (
    Address,
    AdminAddress,
    Bytes,
    Count,
    Duration,
    FilePath,
    GuardedUrl,
    Login,
    Money,
    Name,
    Positive,
    RateScopes,
    StoreUrl,
    Text,
    Tokens,
    Url,
)
from covend.core.settings import GIB
from covend.core.units import DAY, HOUR, MINUTE


class ServerTable(Table):
    """`[server]`."""

    listen: Address = "127.0.0.1:8787"
    """Address of the public listener, `host:port`: webhooks and `/healthz`, nothing else. It speaks
    plain HTTP: put TLS before it.
    """
    public_url: Url | None = None
    """The URL under which GitHub and people reach covend from outside."""


class AdminTable(Table):
    """`[admin]`."""

    listen: AdminAddress = "127.0.0.1:8788"
    """Address of dashboard, JSON API, `/metrics` and `/readyz`: `host:port`, or
    `unix:/run/covend/admin.sock`. Keep it private.
    """
    hosts: list[Text] = []
    """Names accepted in `Host`, beside loopback and the listening address."""
    token: SecretSource | None = None
    """The operator's token. Without it one is made in `state_dir/admin.token` at the first start.
    """
    readers: dict[Name, SecretSource] = {}
    """Tokens that may look and change nothing, by the name of who has each."""
    metrics_token: bool = False
    """Whether `/metrics` and `/readyz` need the token and a known `Host` too."""


class RetentionTable(Table):
    """`store.retention`."""

    deliveries: Positive = 30 * DAY
    """How long a delivery is kept."""
    completed: Positive = 30 * DAY
    """How long a task is kept that has completed, was cancelled, superseded or ignored."""
    failed: Positive = 90 * DAY
    """How long a task is kept that has failed."""
    logs: Positive = 14 * DAY
    """How long the log of an attempt is kept."""
    workspaces: Positive = 3 * DAY
    """How long the workspace of a failed attempt is kept, in `state_dir/kept`."""
    installations: Positive = 30 * DAY
    """How long all that is known of a deleted installation is kept; `covend forget ID` deletes it
    at once.
    """


class StoreTable(Table):
    """`[store]`."""

    url: StoreUrl = "sqlite:covend.db"
    """Where the store lies: `sqlite:` and a path relative to `state_dir`."""
    retention: RetentionTable = Field(default_factory=RetentionTable)
    """How long what is over is kept."""


class GitHubTable(Table):
    """`[github]`."""

    app_id: Count | None = None
    """Number of the GitHub App, from its settings page."""
    private_key: SecretSource | None = None
    """The App's private key, in PEM."""
    token: SecretSource | None = None
    """Instead of an App: a personal access token. `check` then becomes a commit status."""
    webhook_secrets: Secrets
    """Secrets of which any may have signed a webhook: two while you rotate."""
    api_url: GuardedUrl = "https://api.github.com"
    """Where GitHub's API is: for GitHub Enterprise Server `https://HOST/api/v3`."""
    reconcile_every: Duration = 10 * MINUTE
    """How often GitHub's log of deliveries is looked through for what did not arrive, beside each
    start; `0`: only by `covend reconcile`.
    """
    mention: Login | None = None
    """The name after the `@` of commands in comments. Without it the App's slug."""
    ignore_senders: list[Text] = []
    """Globs of logins that start no work; covend's own account never does."""


class LimitsTable(Table):
    """`[limits]`."""

    concurrency: Annotated[int, Field(ge=1, le=1000)] = 4
    """Attempts that run at once, in the whole daemon."""
    concurrency_per_repository: Count | None = None
    """Attempts that run at once in one repository. Without it no bound."""
    concurrency_per_installation: Count | None = None
    """Attempts that run at once for one installation of the App. Without it no bound."""
    queue_max: Count = 10_000
    """Tasks that are received or queued; further webhooks are answered 503 with Retry-After, and
    none is dropped silently.
    """
    lease: Annotated[Duration, Field(ge=1, le=HOUR)] = 90.0
    """How long an attempt is owned without a renewal, at least 1 s and at most 1 h; it is renewed
    every third of it.
    """
    drain: Duration = MINUTE
    """How long a stopping daemon lets attempts finish."""
    chain_depth: Annotated[int, Field(ge=0, le=100)] = 5
    """Tasks in a row that may start each other by `task.completed` and `task.failed`; `0`: none."""
    workspaces: Bytes = 10 * GIB
    """Size of kept workspaces and mirrors together; beyond it the oldest go."""
    label_repositories_max: Annotated[int, Field(ge=0, le=10_000)] = 100
    """Repositories with a label of their own in metrics; the rest is `other`."""
    budget_usd_per_day: Money | None = None
    """US dollars that everything together may cost on a day (UTC). Without it no bound."""
    budget_tokens_per_day: Tokens | None = None
    """Tokens that everything together may use on a day (UTC). Without it no bound."""
    budget_usd_per_repository_per_day: Money | None = None
    """US dollars that one repository may cost on a day (UTC). Without it no bound."""
    budget_tokens_per_repository_per_day: Tokens | None = None
    """Tokens that one repository may use on a day (UTC). Without it no bound."""


class RateTable(Table):
    """One of `safeguards.rate`."""

    per: RateScopes
    """What is counted by: one, or several at once, as `rule,subject`."""
    max: Count
    """Attempts that may start within the window."""
    window: Positive
    """How long an attempt counts."""


class LoopTable(Table):
    """`safeguards.loop`."""

    no_progress: Count = 20
    """Tasks on one subject without a human's doing, after which it is blocked until `covend
    unblock`.
    """
    identical_failures: Count = 3
    """The same failures in a row on one subject, after which it is blocked."""


class CrashLoopTable(Table):
    """`safeguards.crash_loop`."""

    failures: Count = 3
    """Failures of an agent in one repository within the window, after which it is suppressed there.
    """
    window: Positive = 15 * MINUTE
    """How long a failure counts."""
    suppress: Positive = 15 * MINUTE
    """How long the agent is suppressed."""


class CircuitTable(Table):
    """`safeguards.circuit`."""

    failures: Count = 5
    """Failures in a row of an agent or an outside host within the window, after which nothing is
    tried.
    """
    window: Positive = 5 * MINUTE
    """How long a failure counts."""
    open: Positive = MINUTE
    """How long nothing is tried, before one attempt probes."""


class SafeguardsTable(Table):
    """`[safeguards]`."""

    rate: list[RateTable] = []
    """How often work may start."""
    loop: LoopTable = Field(default_factory=LoopTable)
    """When a subject goes in circles."""
    crash_loop: CrashLoopTable = Field(default_factory=CrashLoopTable)
    """When an agent fails again and again in one repository."""
    circuit: CircuitTable = Field(default_factory=CircuitTable)
    """When an agent, or a host outside, fails for everybody."""


class ExpectTable(Table):
    """`tests.expect`."""

    rule: Text | None = None
    """The rule that must want it; with `nothing`, the one whose `reason` is meant."""
    key: Text | None = None
    """The key that its task must have."""
    tasks: Annotated[int, Field(ge=0, le=10_000)] | None = None
    """How many rules must want it."""
    nothing: bool = False
    """Whether no rule may want it."""
    reason: Text | None = None
    """Why: of the rule where one is named, else of the delivery."""
    held: bool | None = None
    """Whether it must wait for an approval."""


class SampleTable(Table):
    """One `[[tests]]`."""

    payload: FilePath
    """A file with the webhook's payload, in JSON."""
    event: Text
    """The event's name, as in `X-GitHub-Event`."""
    expect: ExpectTable
    """What must come of it."""


class ConfigTable(Table):
    """The whole file."""

    state_dir: FilePath = "/var/lib/covend"
    """Folder of database, workspaces, mirrors, logs and generated secrets; made with mode 0700."""
    server: ServerTable = Field(default_factory=ServerTable)
    """The public listener."""
    admin: AdminTable = Field(default_factory=AdminTable)
    """The operator's listener."""
    store: StoreTable = Field(default_factory=StoreTable)
    """Where state lies, and how long it is kept."""
    github: GitHubTable | None = None
    """The App, or the token, and the secret of its webhooks."""
    limits: LimitsTable = Field(default_factory=LimitsTable)
    """Bounds of the whole daemon."""
    agents: dict[Name, AgentTable] = {}
    """Commands that do the work, by name."""
    rules: list[RuleTable] = []
    """Which deliveries become which work."""
    safeguards: SafeguardsTable = Field(default_factory=SafeguardsTable)
    """What holds work back before it does harm. They outlive a restart."""
    callbacks: dict[Name, CallbackTable] = {}
    """Programs that are told when a task has ended, by name; rules name `callback` in `publish`."""
    schedules: list[ScheduleTable] = []
    """Rules that are started by the clock."""
    tests: list[SampleTable] = []
    """Payloads with what must come of them, for `covend check --tests`."""
    sources: dict[Name, SourceTable] = {}
    """Senders beside GitHub, by name; their webhooks come in at `/webhooks/NAME`."""
