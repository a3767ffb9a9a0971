"""Builds the services, each with the few values it needs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import anyio.to_thread

from covend.app.parts import Parts
from covend.core.errors import ConfigError
from covend.core.settings import Agent, Settings
from covend.edges.agents.sandbox import let_through, sandbox_problem
from covend.services.attempt import Attempts
from covend.services.dispatcher import Dispatcher
from covend.services.executing import Executing
from covend.services.giving_back import GivingBack
from covend.services.installing import Installing
from covend.services.live import Live
from covend.services.operations import OnDrain, Operations
from covend.services.outdated import Outdated
from covend.services.preparing import Preparing
from covend.services.recovery import Recovery
from covend.services.settling import Settlements
from covend.services.surroundings import Surroundings

CLOSE_S = 5.0


async def refuse_unconfined(
    state_dir: Path, passage: Path, environ: Mapping[str, str], settings: Settings
) -> None:
    """Raise ConfigError where an agent cannot be confined as it is configured; open the state
    directory as far as agents of another user need it, to its `passage`.

    `state_dir` is the one in use, which only a restart changes.
    """
    agents = _agents_of(settings)
    if any(agent.user is not None for agent in agents):
        await anyio.to_thread.run_sync(_open_passage, state_dir, passage)
    for agent in agents:
        look = partial(
            sandbox_problem,
            agent,
            state_dir=state_dir,
            surrounding=environ,
            is_root=os.geteuid() == 0,
        )
        if (problem := await anyio.to_thread.run_sync(look)) is not None:
            raise ConfigError(f"agents.{agent.name}: {problem}")


def _agents_of(settings: Settings) -> tuple[Agent, ...]:
    """List every agent that may be started, each once, also as a rule's `trust` confines it."""
    agents = list(settings.agents.values())
    for policy in settings.policies_by_trust.values():
        agents += [agent for agent in (policy.agent, *policy.fallbacks) if agent not in agents]
    return tuple(agents)


def _open_passage(state_dir: Path, passage: Path) -> None:
    try:
        let_through(state_dir, [passage])
    except OSError as error:
        message = f"state_dir: agents of another user cannot be let through: {error}"
        raise ConfigError(message) from error


def giving_back_of(
    parts: Parts, settlements: Settlements, environ: Mapping[str, str]
) -> GivingBack:
    return GivingBack(
        tasks=parts.tasks,
        containment=parts.containment,
        environ=environ,
        clock=parts.clock,
        metrics=parts.metrics,
        settlements=settlements,
    )


def recovery_of(parts: Parts, giving_back: GivingBack) -> Recovery:
    return Recovery(
        tasks=parts.tasks,
        effects=parts.effects,
        clock=parts.clock,
        giving_back=giving_back,
        workspaces=parts.workspaces,
    )


def dispatcher_of(parts: Parts, settlements: Settlements, environ: Mapping[str, str]) -> Dispatcher:
    return Dispatcher(
        tasks=parts.tasks,
        run=_attempts(parts, settlements, environ).run,
        clock=parts.clock,
        wakeups=parts.wakeups,
        metrics=parts.metrics,
        node=os.uname().nodename,
        limits=parts.settings.limits,
        terms=parts.rulebook.terms,
    )


def _attempts(parts: Parts, settlements: Settlements, environ: Mapping[str, str]) -> Attempts:
    surroundings = Surroundings(
        state_dir=parts.settings.state_dir,
        api_url=parts.settings.github.api_url,
        environ=dict(environ),
        secrets=parts.secrets,
    )
    preparing = Preparing(
        tasks=parts.tasks,
        github=parts.github,
        workspaces=parts.workspaces,
        surroundings=surroundings,
        clock=parts.clock,
    )
    executing = Executing(
        tasks=parts.tasks,
        containment=parts.containment,
        surroundings=surroundings,
        clock=parts.clock,
        wakeups=parts.wakeups,
        metrics=parts.metrics,
    )
    return Attempts(
        tasks=parts.tasks,
        github=parts.github,
        clock=parts.clock,
        wakeups=parts.wakeups,
        metrics=parts.metrics,
        settlements=settlements,
        preparing=preparing,
        executing=executing,
        outdated=Outdated(parts.effects),
    )


def installing_of(parts: Parts, dispatcher: Dispatcher) -> Installing:
    return Installing(
        installations=parts.installations,
        tasks=parts.tasks,
        clock=parts.clock,
        wakeups=parts.wakeups,
        logs=parts.settings.state_dir / "logs",
        workspaces=parts.workspaces,
        term_s=parts.settings.store.retention.installations_s,
        stop_attempt=dispatcher.stop,
        count_task=parts.metrics.count_task,
    )


def live_of(parts: Parts) -> Live:
    return Live(
        tasks=parts.tasks,
        bells=parts.wakeups.followers,
        logs=parts.settings.state_dir / "logs",
    )


def operations_of(
    parts: Parts, settlements: Settlements, dispatcher: Dispatcher, on_drain: OnDrain
) -> Operations:
    return Operations(
        tasks=parts.tasks,
        guards=parts.guards,
        clock=parts.clock,
        wakeups=parts.wakeups,
        metrics=parts.metrics,
        settlements=settlements,
        stop_attempt=dispatcher.stop,
        on_drain=on_drain,
        names_of=parts.rulebook.names_of,
    )
