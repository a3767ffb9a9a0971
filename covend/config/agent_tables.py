"""The tables of agents: what does the work, and what it may use and spend."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from covend.config.base import Table
from covend.config.values import (
    Bytes,
    Count,
    Duration,
    Image,
    Money,
    Positive,
    RetriedKinds,
    Text,
    Tokens,
    UserName,
    Variable,
    WholePath,
)
from covend.core.settings import MIB
from covend.core.units import DAY, MINUTE

StopSignal = Literal["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"]
Exit = Literal["success", "neutral", "failure", "needs_input", "retry", "error"]
SandboxName = Literal["none", "bubblewrap", "container"]


class Budgets(Table):
    """What a rule or an agent may spend."""

    budget_usd_per_attempt: Money | None = None
    """US dollars that one attempt may cost; beyond it the attempt is stopped. Without it no bound.
    """
    budget_usd_per_subject: Money | None = None
    """US dollars that all work on one pull request or issue may cost, ever. Without it no bound."""
    budget_tokens_per_attempt: Tokens | None = None
    """Tokens that one attempt may use; beyond it the attempt is stopped. Without it no bound."""
    budget_tokens_per_subject: Tokens | None = None
    """Tokens that all work on one pull request or issue may use, ever. Without it no bound."""


class RetryTable(Table):
    """`agents.NAME.retry`."""

    attempts: Annotated[int, Field(ge=1, le=100)] = 3
    """Attempts in all that may fail."""
    infrastructure: Annotated[int, Field(ge=0, le=100)] = 3
    """Retries after an attempt was interrupted or lost, which use up none of `attempts`."""
    base: Positive = 30.0
    """Longest wait before the first retry; it is random, and doubles each time."""
    max: Positive = 15 * MINUTE
    """Longest wait before any retry."""
    age: Positive = DAY
    """A task whose first failed attempt began longer ago is not tried again."""
    on: RetriedKinds = Field(default=["temporary", "timeout", "invalid_result", "outside"])
    """Kinds of failure after which it is tried again."""


class AgentLimitsTable(Table):
    """`agents.NAME.limits`."""

    memory: Bytes | None = None
    """Memory of all its processes together; beyond it the attempt fails. Without it no bound."""
    pids: Count | None = None
    """Processes at once. Without it no bound."""
    cpus: Annotated[float, Field(gt=0, le=4096)] | None = None
    """Processors it may use, as `2.0`; only where covend has a cgroup. Without it no bound."""
    output: Bytes = 64 * MIB
    """Size of the log that is stored of an attempt; more is cut with a mark, and the attempt goes
    on.
    """


class ContainerTable(Table):
    """`agents.NAME.container`."""

    image: Image
    """The image, which must be there: covend never pulls one."""
    engine: Literal["docker", "podman"] | None = None
    """What runs the container. Without it the one that is found."""


class AgentTable(Budgets):
    """`[agents.NAME]`; what is None here is filled in by the preset."""

    preset: Literal["claude", "codex", "coven-code", "command"] | None = None
    """Whose flags, exit codes and output are known. Without it by `command`."""
    command: Annotated[list[Text], Field(min_length=1)] | None = None
    """The program and its arguments, without a shell. `{prompt} {brief} {result} {workspace}
    {session} {model}` as whole words are replaced. Without it the preset's.
    """
    model: Text | None = None
    """The model, for `{model}` and for the presets' own flag."""
    timeout: Positive = 30 * MINUTE
    """How long the agent's process may take."""
    idle_timeout: Positive = 5 * MINUTE
    """How long it may be without any output."""
    stop_signal: StopSignal | None = None
    """The first signal, to the whole process group. Without it `SIGINT` for claude and codex, else
    `SIGTERM`.
    """
    grace: Duration = 10.0
    """From the first signal to SIGKILL of the whole tree."""
    env: list[Variable] = Field(default=[])
    """Variables that it inherits, by name, beside `PATH`, `HOME`, `LANG` and `TZ`."""
    limits: AgentLimitsTable = Field(default_factory=AgentLimitsTable)
    """What its process tree may use."""
    sandbox: SandboxName = "none"
    """What it is confined in."""
    container: ContainerTable | None = None
    """What the container is made of, with `sandbox = "container"`."""
    readable: list[WholePath] = Field(default=[])
    """Whole paths that a sandbox shows beside the system and the program, for reading."""
    user: UserName | None = None
    """A user of this machine that it runs as; covend must then be root. Without it covend's own."""
    concurrency: Count | None = None
    """Attempts of this agent at once. Without it no bound but the daemon's."""
    fallback: list[Text] = Field(default=[])
    """Agents that take over, in this order, when this one fails for good or is suppressed."""
    retry: RetryTable = Field(default_factory=RetryTable)
    """When it is tried again."""
    network: bool = True
    """Whether it has the network; `false` needs a sandbox."""
    exit_codes: dict[Annotated[str, Field(pattern=r"^(0|[1-9]\d{0,2})$")], Exit] = Field(default={})
    """What an exit code means, where it is not the preset's: `{ "3" = "needs_input" }`."""
