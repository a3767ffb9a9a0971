"""Makes the program's settings out of a file without errors; every default is already in place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from covend.config.agent_tables import AgentTable, ContainerTable
from covend.config.agent_tables import Budgets as BudgetsTable
from covend.config.github_events import is_command
from covend.config.inward import schedules_of, sources_of
from covend.config.locate import KeyPath
from covend.config.outward import callbacks_of
from covend.config.presets import COMMANDS, STOP_SIGNAL, STOP_SIGNALS, preset_of
from covend.config.rule_tables import RuleTable, TermsTable, WhenTable
from covend.config.samples import Bodies, samples_of
from covend.config.schema import (
    AdminTable,
    ConfigTable,
    GitHubTable,
    LimitsTable,
    SafeguardsTable,
    ServerTable,
    StoreTable,
)
from covend.config.trust import CONFINEMENT
from covend.config.values import read_address
from covend.core.bounds import (
    SCOPES,
    Budgets,
    Circuit,
    CrashLoop,
    FailureKind,
    Loop,
    Rate,
    Retry,
    Safeguards,
)
from covend.core.model import EffectKind, Trust
from covend.core.policy import policy_of
from covend.core.secret import Secret
from covend.core.settings import (
    Admin,
    Admission,
    Agent,
    AgentLimits,
    Checkout,
    Container,
    Engine,
    GitHub,
    Limits,
    Policy,
    Retention,
    Rule,
    Sandbox,
    Server,
    Settings,
    Store,
    Terms,
    When,
)

Secrets = Mapping[KeyPath, Secret]
Agents = Mapping[str, Agent]
NO_BODIES: Bodies = MappingProxyType({})

MAY_COMMAND = ("admin", "maintain", "write")
"""Whom a rule with a command obeys where its `allow` is silent."""


def assemble(
    config: ConfigTable,
    templates: Mapping[int, str],
    secrets: Secrets,
    directory: Path,
    bodies: Bodies = NO_BODIES,
) -> Settings:
    """Give the settings; `directory` is where relative paths begin, `secrets` may be empty."""
    agents = {name: _agent(name, agent) for name, agent in config.agents.items()}
    rules = tuple(_rule(rule, templates.get(i, "")) for i, rule in enumerate(config.rules))
    policies = {rule.name: _policy(rule, agents) for rule in rules}
    return Settings(
        state_dir=directory / config.state_dir,
        server=_server(config.server),
        admin=_admin(config.admin, secrets),
        store=_store(config.store),
        github=_github(config.github, secrets),
        limits=_limits(config.limits),
        agents=agents,
        rules=rules,
        safeguards=_safeguards(config.safeguards),
        callbacks=callbacks_of(config.callbacks, secrets),
        schedules=schedules_of(config.schedules),
        sources=sources_of(config.sources, secrets),
        tests=samples_of(config.tests, bodies) if bodies else (),
        policies=policies,
        policies_by_trust={
            (rule.name, trust): policy
            for rule in rules
            for trust, policy in _policies_by_trust(rule, agents)
            if policy != policies[rule.name]
        },
    )


# --- policies -------------------------------------------------------------------------------------


def _policy(rule: Rule, agents: Agents, sandbox: Sandbox = Sandbox.NONE) -> Policy:
    """Take the snapshot of a rule with its agent, and with those named as the agent's `fallback`
    (not theirs in turn); each is confined by `sandbox` at least.
    """
    agent = agents[rule.agent]
    others = (agents[name] for name in agent.fallback)
    agent, *fallbacks = (_confine(one, sandbox) for one in (agent, *others))
    return policy_of(rule, agent, fallbacks)


def _policies_by_trust(rule: Rule, agents: Agents) -> Iterator[tuple[Trust, Policy]]:
    for trust, terms in rule.trust.items():
        other = replace(
            rule, agent=terms.agent or rule.agent, budgets=terms.budgets or rule.budgets
        )
        yield trust, _policy(other, agents, terms.sandbox or Sandbox.NONE)


def _confine(agent: Agent, sandbox: Sandbox) -> Agent:
    """Trust never takes away a sandbox that the agent has by itself."""
    is_more = CONFINEMENT.index(sandbox) > CONFINEMENT.index(agent.sandbox)
    return replace(agent, sandbox=sandbox) if is_more else agent


# --- one table each -------------------------------------------------------------------------------


def _server(server: ServerTable) -> Server:
    host, port = read_address(server.listen)
    return Server(host=host, port=port, public_url=server.public_url)


def _admin(admin: AdminTable, secrets: Secrets) -> Admin:
    socket = admin.listen.removeprefix("unix:") if admin.listen.startswith("unix:") else None
    host, port = read_address(admin.listen) if socket is None else (Admin().host, Admin().port)
    return Admin(
        host=host,
        port=port,
        socket=Path(socket) if socket else None,
        hosts=tuple(admin.hosts),
        token=secrets.get(("admin", "token")),
        readers={
            name: secrets[path]
            for name in admin.readers
            if (path := ("admin", "readers", name)) in secrets
        },
        metrics_token=admin.metrics_token,
    )


def _store(store: StoreTable) -> Store:
    kept = store.retention
    retention = Retention(
        deliveries_s=kept.deliveries,
        completed_s=kept.completed,
        failed_s=kept.failed,
        logs_s=kept.logs,
        workspaces_s=kept.workspaces,
        installations_s=kept.installations,
    )
    return Store(url=store.url, retention=retention)


def _github(github: GitHubTable | None, secrets: Secrets) -> GitHub:
    if github is None:
        return GitHub()
    paths = (("github", "webhook_secrets", index) for index in range(len(github.webhook_secrets)))
    return GitHub(
        app_id=github.app_id,
        private_key=secrets.get(("github", "private_key")),
        token=secrets.get(("github", "token")),
        webhook_secrets=tuple(secrets[path] for path in paths if path in secrets),
        api_url=github.api_url,
        reconcile_every_s=github.reconcile_every,
        mention=github.mention,
        ignore_senders=tuple(github.ignore_senders),
    )


def _limits(limits: LimitsTable) -> Limits:
    return Limits(
        concurrency=limits.concurrency,
        concurrency_per_repository=limits.concurrency_per_repository,
        concurrency_per_installation=limits.concurrency_per_installation,
        queue_max=limits.queue_max,
        lease_s=limits.lease,
        drain_s=limits.drain,
        chain_depth=limits.chain_depth,
        workspaces_bytes=limits.workspaces,
        label_repositories_max=limits.label_repositories_max,
        budget_usd_per_day=limits.budget_usd_per_day,
        budget_tokens_per_day=limits.budget_tokens_per_day,
        budget_usd_per_repository_per_day=limits.budget_usd_per_repository_per_day,
        budget_tokens_per_repository_per_day=limits.budget_tokens_per_repository_per_day,
    )


def _agent(name: str, agent: AgentTable) -> Agent:
    preset = preset_of(agent.preset, agent.command)
    command = agent.command or [COMMANDS[preset]]
    return Agent(
        name=name,
        preset=preset,
        command=tuple(command),
        model=agent.model,
        timeout_s=agent.timeout,
        idle_timeout_s=agent.idle_timeout,
        stop_signal=agent.stop_signal or STOP_SIGNALS.get(preset, STOP_SIGNAL),
        grace_s=agent.grace,
        env=tuple(agent.env),
        limits=_agent_limits(agent),
        sandbox=Sandbox(agent.sandbox),
        container=_container(agent.container),
        readable=tuple(agent.readable),
        user=agent.user,
        concurrency=agent.concurrency,
        fallback=tuple(dict.fromkeys(agent.fallback)),
        retry=_retry(agent),
        budgets=_budgets(agent),
        network=agent.network,
        exit_codes={int(code): meaning for code, meaning in agent.exit_codes.items()},
    )


def _agent_limits(agent: AgentTable) -> AgentLimits:
    limits = agent.limits
    return AgentLimits(
        memory_bytes=limits.memory,
        pids=limits.pids,
        cpus=limits.cpus,
        output_bytes=limits.output,
    )


def _container(container: ContainerTable | None) -> Container | None:
    if container is None:
        return None
    engine = Engine(container.engine) if container.engine else None
    return Container(image=container.image, engine=engine)


def _retry(agent: AgentTable) -> Retry:
    retry = agent.retry
    return Retry(
        attempts=retry.attempts,
        infrastructure=retry.infrastructure,
        base_s=retry.base,
        max_s=retry.max,
        age_s=retry.age,
        on=tuple(map(FailureKind, retry.on)),
    )


def _budgets(table: BudgetsTable, otherwise: Budgets | None = None) -> Budgets:
    """Give what is written in a table; what is not, is as in `otherwise`."""
    written = {
        name: amount
        for name in Budgets.__slots__
        if (amount := getattr(table, f"budget_{name}")) is not None
    }
    return replace(otherwise or Budgets(), **written)


def _rule(rule: RuleTable, prompt: str) -> Rule:
    budgets = _budgets(rule)
    return Rule(
        name=rule.name,
        on=tuple(rule.on),
        when=_when(rule.when),
        allow=_allow(rule),
        trust={
            trust: _terms(terms, budgets)
            for trust in Trust
            if (terms := getattr(rule.trust, trust)) is not None
        },
        budgets=budgets,
        agent=rule.agent,
        prompt=prompt,
        checkout=Checkout(rule.checkout),
        publish=tuple(dict.fromkeys(EffectKind(kind) for kind in rule.publish)),
        key=rule.key,
        supersede=rule.supersede,
        debounce_s=rule.debounce,
        priority=rule.priority,
    )


def _allow(rule: RuleTable) -> tuple[str, ...] | None:
    """Never let just anybody give a command."""
    if rule.allow is None:
        return MAY_COMMAND if any(map(is_command, rule.on)) else None
    return tuple(rule.allow)


def _terms(terms: TermsTable, budgets: Budgets) -> Terms:
    """Read an entry of `trust`; `budgets` are the rule's, which hold where it names no others."""
    own = _budgets(terms, budgets)
    return Terms(
        admission=Admission(terms.do),
        agent=terms.agent,
        sandbox=Sandbox(terms.sandbox) if terms.sandbox else None,
        budgets=own if own != budgets else None,
    )


def _safeguards(table: SafeguardsTable) -> Safeguards:
    loop, crash_loop, circuit = table.loop, table.crash_loop, table.circuit
    return Safeguards(
        rate=tuple(
            Rate(
                per=tuple(scope for scope in SCOPES if scope in rate.per),
                max_count=rate.max,
                window_s=rate.window,
            )
            for rate in table.rate
        ),
        loop=Loop(no_progress=loop.no_progress, identical_failures=loop.identical_failures),
        crash_loop=CrashLoop(
            failures=crash_loop.failures,
            window_s=crash_loop.window,
            suppress_s=crash_loop.suppress,
        ),
        circuit=Circuit(failures=circuit.failures, window_s=circuit.window, open_s=circuit.open),
    )


def _when(when: WhenTable) -> When:
    asked = when.model_dump(exclude_none=True, exclude={"payload"})
    clauses: dict[str, Any] = {
        name: value if isinstance(value, bool) else tuple(value) for name, value in asked.items()
    }
    payload = when.payload
    fields = None if payload is None else {path: tuple(globs) for path, globs in payload.items()}
    return When(**clauses, payload=fields)
