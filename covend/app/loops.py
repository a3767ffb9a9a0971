"""Builds the loops that run beside dispatcher and outboxes."""

from __future__ import annotations

from covend.app.listening import Desk
from covend.app.parts import Parts
from covend.services.auditing import Auditing
from covend.services.closing import Closing
from covend.services.commanding import Commanding
from covend.services.concluding import Concluding
from covend.services.dispatcher import Dispatcher
from covend.services.giving_back import GivingBack
from covend.services.keeping import Service
from covend.services.leases import Leases
from covend.services.looking_up import LookUps
from covend.services.rerunning import Rerunning
from covend.services.ripening import Ripening
from covend.services.settling import Publishing, Settlements
from covend.services.tidying import Tidying
from covend.services.upkeep import Upkeep, longest_window


def loops_of(
    parts: Parts,
    publishing: Publishing,
    settlements: Settlements,
    dispatcher: Dispatcher,
    giving_back: GivingBack,
    desk: Desk,
) -> tuple[Service, ...]:
    return (
        desk.installing,
        desk.reconciler,
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
            operations=desk.operations,
            github=parts.github,
            clock=parts.clock,
            wakeups=parts.wakeups,
            key=publishing.key,
            verbs=parts.rulebook.verbs,
            auditing=Auditing(audit=parts.audit, clock=parts.clock),
        ),
        Rerunning(
            reruns=parts.reruns,
            tasks=parts.tasks,
            operations=desk.operations,
            replaying=desk.replaying,
            settlements=settlements,
            clock=parts.clock,
            wakeups=parts.wakeups,
        ),
        Concluding(
            left_open=parts.left_open,
            tasks=parts.tasks,
            settlements=settlements,
            clock=parts.clock,
            wakeups=parts.wakeups,
        ),
        Tidying(
            workspaces=parts.workspaces,
            guards=parts.guards,
            clock=parts.clock,
            revoke_idle=parts.github.revoke_idle,
            age_s=parts.settings.store.retention.workspaces_s,
            budget_bytes=parts.settings.limits.workspaces_bytes,
        ),
        Upkeep(
            retention=parts.retention,
            kept=parts.settings.store.retention,
            rates_s=lambda: longest_window(parts.rulebook.terms()),
            logs=parts.settings.state_dir / "logs",
            clock=parts.clock,
        ),
    )
