"""The shape of `covend.toml`: which keys there are and what each may hold; a key that is not here
is an error.

Only what can be said of a value by itself is said here; what one part of the file says of another
is in `references`. The names are promised to users: a key that exists is never renamed.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from covend.config.base import OneOf, Secrets, SecretSource, Table
from covend.config.outside import CallbackTable, ScheduleTable, SourceTable
from covend.config.values import (
    Address,
    AdminAddress,
    Bytes,
    Count,
    Duration,
    FilePath,
    Globs,
    GuardedUrl,
    Image,
    Login,
    Money,
    Name,
    Positive,
    RateScopes,
    RetriedKinds,
    StoreUrl,
    Text,
    Tokens,
    Url,
    UserName,
    Variable,
    WholePath,
    flat,
    just_what_to_do,
    never_just_text,
    payload_values,
)
from covend.core.settings import GIB, MIB
from covend.core.units import DAY, HOUR, MINUTE

StopSignal = Literal["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"]
Permission = Literal["admin", "maintain", "write", "triage", "read"]
Exit = Literal["success", "neutral", "failure", "needs_input", "retry", "error"]
SandboxName = Literal["none", "bubblewrap", "container"]


class ServerTable(Table):
    """`[server]`."""

    listen: Address = "127.0.0.1:8787"
    public_url: Url | None = None


class AdminTable(Table):
    """`[admin]`."""

    listen: AdminAddress = "127.0.0.1:8788"
    hosts: list[Text] = []
    token: SecretSource | None = None
    readers: dict[Name, SecretSource] = {}
    metrics_token: bool = False


class RetentionTable(Table):
    """`store.retention`."""

    deliveries: Positive = 30 * DAY
    completed: Positive = 30 * DAY
    failed: Positive = 90 * DAY
    logs: Positive = 14 * DAY
    workspaces: Positive = 3 * DAY
    installations: Positive = 30 * DAY


class StoreTable(Table):
    """`[store]`."""

    url: StoreUrl = "sqlite:covend.db"
    retention: RetentionTable = Field(default_factory=RetentionTable)


class GitHubTable(Table):
    """`[github]`."""

    app_id: Count | None = None
    private_key: SecretSource | None = None
    token: SecretSource | None = None
    webhook_secrets: Secrets
    api_url: GuardedUrl = "https://api.github.com"
    reconcile_every: Duration = 10 * MINUTE
    mention: Login | None = None
    ignore_senders: list[Text] = []


class LimitsTable(Table):
    """`[limits]`."""

    concurrency: Annotated[int, Field(ge=1, le=1000)] = 4
    concurrency_per_repository: Count | None = None
    concurrency_per_installation: Count | None = None
    queue_max: Count = 10_000
    lease: Annotated[Duration, Field(ge=1, le=HOUR)] = 90.0
    drain: Duration = MINUTE
    chain_depth: Annotated[int, Field(ge=0, le=100)] = 5
    workspaces: Bytes = 10 * GIB
    label_repositories_max: Annotated[int, Field(ge=0, le=10_000)] = 100
    budget_usd_per_day: Money | None = None
    budget_tokens_per_day: Tokens | None = None
    budget_usd_per_repository_per_day: Money | None = None
    budget_tokens_per_repository_per_day: Tokens | None = None


class Budgets(Table):
    """What a rule or an agent may spend."""

    budget_usd_per_attempt: Money | None = None
    budget_usd_per_subject: Money | None = None
    budget_tokens_per_attempt: Tokens | None = None
    budget_tokens_per_subject: Tokens | None = None


class RetryTable(Table):
    """`agents.NAME.retry`."""

    attempts: Annotated[int, Field(ge=1, le=100)] = 3
    infrastructure: Annotated[int, Field(ge=0, le=100)] = 3
    base: Positive = 30.0
    max: Positive = 15 * MINUTE
    age: Positive = DAY
    on: RetriedKinds = ["temporary", "timeout", "invalid_result", "outside"]


class AgentLimitsTable(Table):
    """`agents.NAME.limits`."""

    memory: Bytes | None = None
    pids: Count | None = None
    cpus: Annotated[float, Field(gt=0, le=4096)] | None = None
    output: Bytes = 64 * MIB


class ContainerTable(Table):
    """`agents.NAME.container`."""

    image: Image
    engine: Literal["docker", "podman"] | None = None


class AgentTable(Budgets):
    """`[agents.NAME]`; what is None here is filled in by the preset."""

    preset: Literal["claude", "codex", "coven-code", "command"] | None = None
    command: Annotated[list[Text], Field(min_length=1)] | None = None
    model: Text | None = None
    timeout: Positive = 30 * MINUTE
    idle_timeout: Positive = 5 * MINUTE
    stop_signal: StopSignal | None = None
    grace: Duration = 10.0
    env: list[Variable] = []
    limits: AgentLimitsTable = Field(default_factory=AgentLimitsTable)
    sandbox: SandboxName = "none"
    container: ContainerTable | None = None
    readable: list[WholePath] = []
    user: UserName | None = None
    concurrency: Count | None = None
    fallback: list[Text] = []
    retry: RetryTable = Field(default_factory=RetryTable)
    network: bool = True
    exit_codes: dict[Annotated[str, Field(pattern=r"^(0|[1-9]\d{0,2})$")], Exit] = {}


class WhenTable(Table):
    """`rules.when`: one text is as good as a list of one."""

    repository: Globs | None = None
    base: Globs | None = None
    head: Globs | None = None
    author: Globs | None = None
    sender: Globs | None = None
    association: Globs | None = None
    labels: Globs | None = None
    draft: bool | None = None
    fork: bool | None = None
    paths: Globs | None = None
    title: Globs | None = None
    body: Globs | None = None
    event: Globs | None = None
    action: Globs | None = None
    conclusion: Globs | None = None
    ref: Globs | None = None
    payload: (
        Annotated[
            dict[str, Annotated[list[str], BeforeValidator(payload_values), Field(min_length=1)]],
            BeforeValidator(flat),
        ]
        | None
    ) = None


class PromptTable(OneOf):
    """`rules.prompt`."""

    builtin: Literal["review", "fix", "triage", "answer"] | None = None
    file: FilePath | None = None
    text: Text | None = None


class TermsTable(Budgets):
    """One entry of `rules.trust`; a text alone is what to `do`."""

    do: Literal["run", "hold", "refuse"] = "run"
    agent: Text | None = None
    sandbox: SandboxName | None = None

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> Any:
        return self.do if not self.changes() else handler(self)

    def changes(self) -> bool:
        """Say whether it is about more than what to do."""
        return any(
            getattr(self, name) is not None for name in TermsTable.model_fields.keys() - {"do"}
        )


Terms = Annotated[TermsTable, BeforeValidator(just_what_to_do)]


class TrustTable(Table):
    """`rules.trust`: a key for each degree of `core.model.Trust`."""

    admin: Terms | None = None
    maintain: Terms | None = None
    write: Terms | None = None
    member: Terms | None = None
    first_time: Terms | None = None
    none: Terms | None = None
    fork: Terms | None = None
    bot: Terms | None = None


class RuleTable(Budgets):
    """One `[[rules]]`."""

    name: Name
    on: list[Text] = []
    when: WhenTable = Field(default_factory=WhenTable)
    allow: Annotated[list[Permission], Field(min_length=1)] | None = None
    trust: TrustTable = Field(default_factory=TrustTable)
    agent: Text
    prompt: Annotated[PromptTable, BeforeValidator(never_just_text)] | None = None
    checkout: Literal["none", "base", "head", "merge"] = "head"
    publish: list[
        Literal[
            "check",
            "comment",
            "review",
            "pull_request",
            "reaction",
            "status",
            "labels",
            "callback",
        ]
    ] = []
    key: Text | None = None
    supersede: bool = True
    debounce: Duration = 0.0
    priority: Annotated[int, Field(ge=-1_000_000, le=1_000_000)] = 0


class RateTable(Table):
    """One of `safeguards.rate`."""

    per: RateScopes
    max: Count
    window: Positive


class LoopTable(Table):
    """`safeguards.loop`."""

    no_progress: Count = 20
    identical_failures: Count = 3


class CrashLoopTable(Table):
    """`safeguards.crash_loop`."""

    failures: Count = 3
    window: Positive = 15 * MINUTE
    suppress: Positive = 15 * MINUTE


class CircuitTable(Table):
    """`safeguards.circuit`."""

    failures: Count = 5
    window: Positive = 5 * MINUTE
    open: Positive = MINUTE


class SafeguardsTable(Table):
    """`[safeguards]`."""

    rate: list[RateTable] = []
    loop: LoopTable = Field(default_factory=LoopTable)
    crash_loop: CrashLoopTable = Field(default_factory=CrashLoopTable)
    circuit: CircuitTable = Field(default_factory=CircuitTable)


class ExpectTable(Table):
    """`tests.expect`."""

    rule: Text


class SampleTable(Table):
    """One `[[tests]]`."""

    payload: FilePath
    event: Text
    expect: ExpectTable


class ConfigTable(Table):
    """The whole file."""

    state_dir: FilePath = "/var/lib/covend"
    server: ServerTable = Field(default_factory=ServerTable)
    admin: AdminTable = Field(default_factory=AdminTable)
    store: StoreTable = Field(default_factory=StoreTable)
    github: GitHubTable | None = None
    limits: LimitsTable = Field(default_factory=LimitsTable)
    agents: dict[Name, AgentTable] = {}
    rules: list[RuleTable] = []
    safeguards: SafeguardsTable = Field(default_factory=SafeguardsTable)
    callbacks: dict[Name, CallbackTable] = {}
    schedules: list[ScheduleTable] = []
    tests: list[SampleTable] = []
    sources: dict[Name, SourceTable] = {}
