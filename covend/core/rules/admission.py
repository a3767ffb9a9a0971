"""Decides by trust what becomes of work that a rule wants: it runs, waits for a yes, or is refused.

Where a live permission may change the trust, nothing is decided before it is known: a member whom
the payload does not know as one must not be refused for that. A command passes without approval
where its actor may write; work of a fork keeps the fork's trust, whoever asks for it.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from covend.core.model import Event, Need, Trust
from covend.core.rules.trust import PERMITTED, UNALTERABLE, settle_trust
from covend.core.rules.verdicts import ClauseResult, Known
from covend.core.settings import HELD_BY_DEFAULT, Admission, Rule

CLAUSE = "trust"
"""The clause's name, and a verdict's reason where it refuses."""


class Treatment(Struct, frozen=True, kw_only=True):
    """How one rule treats one trust."""

    admission: Admission
    is_open: bool
    """Whether a permission may change the trust, and the rule asks for that."""
    is_open_to_command: bool
    """Whether a permission of a command's actor may change the answer."""
    settled: ClauseResult | None
    """The clause where all is known; None where the rule has nothing to say of that trust."""
    unsettled: ClauseResult
    let_in: ClauseResult
    """The clause of a command whose actor may write."""


Treatments = Mapping[Trust, Treatment]


def prepare_treatments(rule: Rule) -> Treatments:
    """Say for every trust how the rule treats it."""
    asks = not rule.trust.keys().isdisjoint(PERMITTED.values())
    return {trust: _prepare(rule, trust, asks=asks) for trust in Trust}


def admission_of(rule: Rule, trust: Trust) -> Admission:
    """Give what the rule says of a trust, else what covend does by itself."""
    terms = rule.trust.get(trust)
    if terms is not None:
        return terms.admission
    return Admission.HOLD if trust in HELD_BY_DEFAULT else Admission.RUN


def trust_of(event: Event, known: Known) -> Trust:
    """Give the trust of an event, as far as it is known by now."""
    return settle_trust(event.trust, permission=known.permission, is_fork=known.fork is True)


def judge_admission(
    treatments: Treatments, event: Event, known: Known, *, is_command: bool
) -> ClauseResult | None:
    """Let the trust have its say; a clause that is satisfied and needs an approval holds."""
    treatment = treatments[trust_of(event, known)]
    if known.permission is None:
        is_open = treatment.is_open or (is_command and treatment.is_open_to_command)
        is_askable = is_open and event.sender and not event.is_foreign
        return treatment.unsettled if is_askable else treatment.settled
    is_hold = treatment.admission is Admission.HOLD
    if is_command and is_hold and known.permission in PERMITTED:
        return treatment.let_in
    return treatment.settled


def _prepare(rule: Rule, trust: Trust, *, asks: bool) -> Treatment:
    admission = admission_of(rule, trust)
    is_alterable = trust not in UNALTERABLE
    is_named = trust in rule.trust or admission is not Admission.RUN
    return Treatment(
        admission=admission,
        is_open=asks and is_alterable,
        is_open_to_command=admission is Admission.HOLD
        or (admission is Admission.REFUSE and is_alterable),
        settled=_clause(
            trust,
            admission,
            satisfied=admission is not Admission.REFUSE,
            need=Need.APPROVAL if admission is Admission.HOLD else None,
        )
        if is_named
        else None,
        unsettled=_clause(trust, admission, satisfied=None, need=Need.PERMISSION),
        let_in=_clause(trust, admission, satisfied=True, need=None),
    )


def _clause(
    trust: Trust,
    admission: Admission,
    *,
    satisfied: bool | None,
    need: Need | None,
) -> ClauseResult:
    return ClauseResult(
        name=CLAUSE,
        satisfied=satisfied,
        values=(trust.value,),
        conditions=(admission.value,),
        need=need,
    )
