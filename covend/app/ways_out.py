"""Builds the ways by which work becomes visible: the outbox to GitHub, and callbacks."""

from __future__ import annotations

from covend.app.parts import Parts
from covend.core.model import EffectKind
from covend.edges.callbacks.sender import Sender
from covend.edges.github.surfaces import SURFACES, Surface
from covend.services.adopting import Adopting
from covend.services.calling import Calling
from covend.services.fencing import Fencing
from covend.services.following import Following
from covend.services.identity import kept_secret
from covend.services.notifying import Notifying
from covend.services.publisher import Publisher
from covend.services.pushing import Pushing
from covend.services.resending import Resending
from covend.services.settling import Publishing, Settlements


def publishing_of(parts: Parts) -> Publishing:
    """Sign markers by a key that the state directory keeps."""
    key = kept_secret(parts.settings.state_dir / "marker.key")
    parts.secrets.keep([key])
    return Publishing(is_app=parts.settings.github.app_id is not None, key=key.encode())


def settlements_of(parts: Parts, publishing: Publishing) -> Settlements:
    notifying = Notifying(
        callbacks=parts.rulebook.callbacks, redact=parts.secrets.values, clock=parts.clock
    )
    return Settlements(
        clock=parts.clock,
        publishing=publishing,
        terms=parts.rulebook.terms,
        follow=Following(route=parts.rulebook.route, clock=parts.clock).arrival,
        call_back=notifying.drafts,
    )


def publisher_of(parts: Parts, settlements: Settlements) -> Publisher:
    pushing = Pushing(
        mirrors=parts.workspaces.mirrors,
        api_url=parts.settings.github.api_url,
        metrics=parts.metrics,
    )
    pulls = Surface(send=pushing.send, look_up=pushing.look_up)
    adopting = Adopting(effects=parts.effects, cursors=parts.cursors, clock=parts.clock)
    return Publisher(
        effects=parts.effects,
        github=parts.github,
        clock=parts.clock,
        wakeups=parts.wakeups,
        metrics=parts.metrics,
        secrets=parts.secrets,
        fencing=Fencing(
            tasks=parts.tasks,
            github=parts.github,
            clock=parts.clock,
            wakeups=parts.wakeups,
            metrics=parts.metrics,
            settlements=settlements,
        ),
        surfaces=adopting.over({**SURFACES, EffectKind.PULL_REQUEST: pulls}),
    )


def calling_of(parts: Parts) -> Calling:
    return Calling(
        callbacks=parts.callbacks,
        effects=parts.effects,
        guards=parts.guards,
        rulebook=parts.rulebook,
        send=Sender(wall=parts.clock.wall).send,
        clock=parts.clock,
        wakeups=parts.wakeups,
        metrics=parts.metrics,
    )


def resending_of(parts: Parts) -> Resending:
    return Resending(effects=parts.effects, clock=parts.clock, wakeups=parts.wakeups)
