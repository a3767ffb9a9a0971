"""What rules say of an event: each clause's answer with the values, the verdict, the drafts.

Deciding returns these; the store keeps them, and `explain` prints the very same.
"""

from __future__ import annotations

from msgspec import Struct

from covend.core.model import Command, Need, Subject, Trust
from covend.core.states import DeliveryState


class Known(Struct, frozen=True, kw_only=True):
    """What look-ups have found out beyond the payload; None means not looked up yet."""

    paths: tuple[str, ...] | None = None
    head_sha: str | None = None
    base_sha: str | None = None
    head_ref: str | None = None
    base_ref: str | None = None
    draft: bool | None = None
    fork: bool | None = None
    permission: str | None = None


class ClauseResult(Struct, frozen=True, kw_only=True):
    """What one `when` key (or `on`, `allow`, `trust`) said; `satisfied` is None while a look-up is
    missing. One that is satisfied and needs an approval holds the work until somebody says yes.
    """

    name: str
    satisfied: bool | None
    values: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()
    need: Need | None = None


class Verdict(Struct, frozen=True, kw_only=True):
    """What one rule said of an event, clause by clause; `explain` prints just this."""

    rule: str
    matched: bool | None
    reason: str
    clauses: tuple[ClauseResult, ...] = ()


class TaskDraft(Struct, frozen=True, kw_only=True):
    """A task that a verdict asks for, before the store has decided whether its key is free."""

    rule: str
    agent: str
    policy: str
    priority: int
    key: str
    trust: Trust
    event: str
    subject: Subject
    command: Command | None = None
    needs: frozenset[Need] = frozenset()
    debounce_s: float = 0.0
    fallbacks: tuple[str, ...] = ()
    """The agents to be tried after `agent`, in order."""
    is_by_head: bool = False
    """Whether the newest head of the subject takes the place of all others of this rule."""


class Routing(Struct, frozen=True, kw_only=True):
    """The answer of all rules to one event."""

    state: DeliveryState
    reason: str
    verdicts: tuple[Verdict, ...]
    drafts: tuple[TaskDraft, ...] = ()
