"""Every surface of GitHub on which an effect can appear: how it is sent, and how it is found again.

A kind that is not in the table cannot be published yet.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from covend.core.model import Effect, EffectKind
from covend.edges.github import (
    checks,
    comments,
    dismissals,
    labels,
    reactions,
    reviews,
    statuses,
)
from covend.edges.github.client import GitHubClient, Sent

Send = Callable[[GitHubClient, Effect, Sent | None], Awaitable[Sent]]
LookUp = Callable[[GitHubClient, Effect], Awaitable[Sent | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """`send` writes (updating what the slot already has); `look_up` says whether a write has
    arrived.

    Both raise the errors of `errors`. Only OutcomeUnknown leaves open whether something was
    written.
    """

    send: Send
    look_up: LookUp


SURFACES: Mapping[EffectKind, Surface] = MappingProxyType(
    {
        EffectKind.CHECK: Surface(send=checks.send, look_up=checks.look_up),
        EffectKind.STATUS: Surface(send=statuses.send, look_up=statuses.look_up),
        EffectKind.COMMENT: Surface(send=comments.send, look_up=comments.look_up),
        EffectKind.REVIEW: Surface(send=reviews.send, look_up=reviews.look_up),
        EffectKind.REACTION: Surface(send=reactions.send, look_up=reactions.look_up),
        EffectKind.LABELS: Surface(send=labels.send, look_up=labels.look_up),
        EffectKind.DISMISSAL: Surface(send=dismissals.send, look_up=dismissals.look_up),
    }
)
