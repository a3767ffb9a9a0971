"""Builds the services, each with the few values it needs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import anyio.to_thread
from aiohttp import web

from covend.app.parts import Parts
from covend.config.github_events import GITHUB_EVENTS
from covend.core.errors import ConfigError
from covend.core.settings import Agent, Settings
from covend.edges.agents.sandbox import let_through, sandbox_problem
from covend.services.attempt import Attempts
from covend.services.closing import Closing
from covend.services.commanding import Commanding
from covend.services.dispatcher import Dispatcher
from covend.services.executing import Executing
from covend.services.following import Following
from covend.services.giving_back import GivingBack
from covend.services.identity import kept_secret
from covend.services.intake import Intake
from covend.services.keeping import Service
from covend.services.leases import Leases
from covend.services.live import Live
from covend.services.looking_up import LookUps
from covend.services.operations import OnDrain, Operations
from covend.services.preparing import Preparing
from covend.services.publisher import Publisher
from covend.services.recovery import Recovery
from covend.services.replaying import Replaying
from covend.services.ripening import Ripening
from covend.services.settling import Publishing, Settlements
from covend.services.submitting import Submitting
from covend.services.surroundings import Surroundings
from covend.services.tidying import Tidying
from covend.web.addresses import Addresses, url_of
from covend.web.admin import admin_app
from covend.web.public import PublicListener

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


def publishing_of(parts: Parts) -> Publishing:
    """Sign markers by a key that the state directory keeps."""
    key = kept_secret(parts.settings.state_dir / "marker.key")
    parts.secrets.keep([key])
    return Publishing(is_app=parts.settings.github.app_id is not None, key=key.encode())


def settlements_of(parts: Parts, publishing: Publishing) -> Settlements:
    return Settlements(
        clock=parts.clock,
        publishing=publishing,
        terms=parts.rulebook.terms,
        follow=Following(route=parts.rulebook.route, clock=parts.clock).arrival,
    )


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
    )


def publisher_of(parts: Parts) -> Publisher:
    return Publisher(
        effects=parts.effects,
        github=parts.github,
        clock=parts.clock,
        wakeups=parts.wakeups,
        metrics=parts.metrics,
        secrets=parts.secrets,
    )


def loops_of(
    parts: Parts,
    publishing: Publishing,
    settlements: Settlements,
    dispatcher: Dispatcher,
    giving_back: GivingBack,
    operations: Operations,
) -> tuple[Service, ...]:
    return (
        Leases(
            tasks=parts.tasks,
            from_thread=parts.tasks_from_thread,
            running=dispatcher.running,
            giving_back=giving_back,
            clock=parts.clock,
            metrics=parts.metrics,
            lease_s=parts.settings.limits.lease_s,
        ),
        Ripening(
            tasks=parts.tasks,
            look_ups=LookUps(
                deliveries=parts.deliveries, github=parts.github, mention=parts.mention
            ),
            clock=parts.clock,
            wakeups=parts.wakeups,
            policy_of=parts.rulebook.policy,
            key=publishing.key,
            metrics=parts.metrics,
        ),
        Closing(
            tasks=parts.tasks,
            effects=parts.effects,
            clock=parts.clock,
            wakeups=parts.wakeups,
            metrics=parts.metrics,
            settlements=settlements,
        ),
        Commanding(
            commands=parts.commands,
            operations=operations,
            github=parts.github,
            clock=parts.clock,
            wakeups=parts.wakeups,
            key=publishing.key,
            verbs=parts.rulebook.verbs,
        ),
        Tidying(
            workspaces=parts.workspaces,
            guards=parts.guards,
            clock=parts.clock,
            age_s=parts.settings.store.retention.workspaces_s,
            budget_bytes=parts.settings.limits.workspaces_bytes,
        ),
    )


def intake_of(parts: Parts, dispatcher: Dispatcher) -> Intake:
    return Intake(
        deliveries=parts.deliveries,
        route=parts.rulebook.route,
        secrets=parts.settings.github.webhook_secrets,
        mention=parts.mention,
        clock=parts.clock,
        wakeups=parts.wakeups,
        stop_attempt=dispatcher.stop,
        count_task=parts.metrics.count_task,
    )


def listener_of(parts: Parts, intake: Intake) -> PublicListener:
    return PublicListener(
        receive=intake.receive, metrics=parts.metrics, events=frozenset(GITHUB_EVENTS)
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


def submitting_of(parts: Parts, intake: Intake) -> Submitting:
    return Submitting(
        deliveries=parts.deliveries,
        tasks=parts.tasks,
        github=parts.github,
        rulebook=parts.rulebook,
        keep=intake.keep,
        is_open=lambda: parts.readiness.state == "ready",
        clock=parts.clock,
        metrics=parts.metrics,
    )


def replaying_of(parts: Parts, intake: Intake) -> Replaying:
    return Replaying(
        deliveries=parts.deliveries,
        rulebook=parts.rulebook,
        mention=parts.mention,
        keep=intake.keep,
        is_open=lambda: parts.readiness.state == "ready",
        clock=parts.clock,
    )


async def listen(
    parts: Parts,
    listener: PublicListener,
    intake: Intake,
    operations: Operations,
    stack: AsyncExitStack,
) -> Addresses:
    """Open both listeners; port 0 takes a free one."""
    server, admin = parts.settings.server, parts.settings.admin
    public = web.ServerRunner(listener.server())
    await public.setup()
    stack.push_async_callback(public.cleanup)
    await web.TCPSite(public, server.host, server.port).start()
    operators = web.AppRunner(
        admin_app(
            deliveries=parts.deliveries,
            tasks=parts.tasks,
            effects=parts.effects,
            guards=parts.guards,
            upkeep=parts.upkeep,
            live=live_of(parts),
            operations=operations,
            submitting=submitting_of(parts, intake),
            replaying=replaying_of(parts, intake),
            metrics=parts.metrics,
            clock=parts.clock,
            readiness=parts.readiness,
            token=parts.admin_token,
            hosts=frozenset({*admin.hosts, admin.host}),
            metrics_token=admin.metrics_token,
        ),
        access_log=None,
        shutdown_timeout=CLOSE_S,
    )
    await operators.setup()
    stack.push_async_callback(operators.cleanup)
    if admin.socket is not None:
        await web.UnixSite(operators, admin.socket).start()
    else:
        await web.TCPSite(operators, admin.host, admin.port).start()
    return Addresses(
        public=url_of(public),
        admin=f"unix:{admin.socket}" if admin.socket else url_of(operators),
        admin_token=parts.admin_token,
    )
