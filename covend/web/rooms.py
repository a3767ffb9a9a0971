"""What stands behind the admin listener: all that its API and its pages may ask."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from covend.core.safeguards.shapes import Terms
from covend.core.settings import Agent, Rule
from covend.edges.github.pacing import Quota
from covend.services.auditing import Auditing
from covend.services.clock import Clock
from covend.services.explaining import Explaining
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
    Happenings,
    Insight,
    Installations,
    Tasks,
    Upkeep,
)
from covend.telemetry.metrics import Metrics
from covend.web.findings import Examine


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
    explaining: Explaining
    installing: Installing
    reconciler: Reconciler
    resending: Resending
    auditing: Auditing
    metrics: Metrics
    clock: Clock
    readiness: Readiness
    happenings: Happenings
    insight: Insight
    rules: Callable[[], Sequence[Rule]]
    """Those in force, in their order."""
    agents: Callable[[], Mapping[str, Agent]]
    """Those in force, by name."""
    examine: Examine | None
    """Looks at the real world; None where nobody has handed that down."""
    terms: Callable[[], Terms]
    """What claims are bound by now: places and budgets."""
    quota: Callable[[], Quota | None]
    """What GitHub has left for us, as far as it has told."""
    redact: Callable[[str], str]
    """Takes known secrets out of a text."""
