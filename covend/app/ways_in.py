"""Builds the ways by which work comes in: webhooks, submissions, replays, GitHub's delivery log and
the clock.
"""

from __future__ import annotations

from covend.app.parts import Parts
from covend.config.github_events import GITHUB_EVENTS
from covend.services.delivery_logs import DeliveryLogs
from covend.services.dispatcher import Dispatcher
from covend.services.explaining import Explaining, Stored
from covend.services.fetching import Fetching
from covend.services.intake import Intake
from covend.services.looking_through import LookingThrough
from covend.services.reconciler import Reconciler
from covend.services.replaying import Replaying
from covend.services.repositories import Repositories
from covend.services.scheduler import Scheduler
from covend.services.submitting import Submitting
from covend.web.public import PublicListener, senders_of


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
        receive=intake.receive,
        metrics=parts.metrics,
        events=frozenset(GITHUB_EVENTS),
        others=senders_of(parts.settings.sources, intake.receive_from),
    )


def submitting_of(parts: Parts, intake: Intake) -> Submitting:
    return Submitting(
        deliveries=parts.deliveries,
        tasks=parts.tasks,
        github=parts.github,
        rulebook=parts.rulebook,
        keep=intake.keep,
        is_open=parts.readiness.is_open,
        clock=parts.clock,
        metrics=parts.metrics,
    )


def replaying_of(parts: Parts, intake: Intake) -> Replaying:
    return Replaying(
        deliveries=parts.deliveries,
        rulebook=parts.rulebook,
        mention=parts.mention,
        keep=intake.keep,
        is_open=parts.readiness.is_open,
        clock=parts.clock,
    )


def explaining_of(parts: Parts) -> Explaining:
    return Explaining(
        rules=parts.rulebook,
        mention=parts.mention,
        clock=parts.clock,
        stored=Stored(
            deliveries=parts.deliveries,
            tasks=parts.tasks,
            outlook=parts.outlook,
        ),
        github=parts.github,
    )


def reconciler_of(parts: Parts, intake: Intake) -> Reconciler:
    fetching = Fetching(
        keep=intake.keep,
        route=parts.rulebook.route,
        mention=parts.mention,
        clock=parts.clock,
        metrics=parts.metrics,
    )
    return Reconciler(
        logs=DeliveryLogs(
            github=parts.github,
            deliveries=parts.deliveries,
            cursors=parts.cursors,
            clock=parts.clock,
        ),
        looking_through=LookingThrough(
            deliveries=parts.deliveries,
            cursors=parts.cursors,
            fetching=fetching,
            is_open=parts.readiness.is_open,
            clock=parts.clock,
            retention_s=parts.settings.store.retention.deliveries_s,
        ),
        is_open=parts.readiness.is_open,
        clock=parts.clock,
        wakeups=parts.wakeups,
        readiness=parts.readiness,
        every_s=parts.settings.github.reconcile_every_s,
    )


def scheduler_of(parts: Parts, intake: Intake) -> Scheduler:
    return Scheduler(
        schedules=parts.rulebook.schedules,
        cursors=parts.cursors,
        rulebook=parts.rulebook,
        look_up=Repositories(tasks=parts.tasks, github=parts.github).find,
        keep=intake.keep,
        is_open=parts.readiness.is_open,
        clock=parts.clock,
        metrics=parts.metrics,
    )
