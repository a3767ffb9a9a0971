"""What stands behind the admin listener: all that its API and its pages may ask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from covend.services.auditing import Auditing
from covend.services.clock import Clock
from covend.services.installing import Installing
from covend.services.live import Live
from covend.services.operations import Operations
from covend.services.readiness import Readiness
from covend.services.reconciler import Reconciler
from covend.services.replaying import Replaying
from covend.services.resending import Resending
from covend.services.submitting import Submitting
from covend.store.protocol import (
    Audit,
    Deliveries,
    Effects,
    Guards,
    Installations,
    Tasks,
    Upkeep,
)
from covend.telemetry.metrics import Metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class Rooms:
    """Made by the composition root."""

    deliveries: Deliveries
    tasks: Tasks
    effects: Effects
    guards: Guards
    installations: Installations
    upkeep: Upkeep
    audit: Audit
    live: Live
    operations: Operations
    submitting: Submitting
    replaying: Replaying
    installing: Installing
    reconciler: Reconciler
    resending: Resending
    auditing: Auditing
    metrics: Metrics
    clock: Clock
    readiness: Readiness
    redact: Callable[[str], str]
    """Takes known secrets out of a text."""
