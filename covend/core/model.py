"""The records that everything else speaks in: frozen, by keyword, without behaviour.

Moments are integer milliseconds UTC and end in `_at`; durations are float seconds and end in `_s`.
What every delivery makes anew is a `msgspec.Struct`, the rest are dataclasses: a frozen dataclass
sets each field by a call of its own, which the event loop of a busy intake feels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NewType

from msgspec import Struct
from msgspec import field as struct_field

from covend.core.states import DeliveryState, EffectState, Outcome, TaskState

DeliveryId = NewType("DeliveryId", str)
TaskId = NewType("TaskId", str)
EffectId = NewType("EffectId", str)
ClaimToken = NewType("ClaimToken", str)
Moment = int
Json = Mapping[str, Any]


class Via(StrEnum):
    """The way a delivery came in."""

    WEBHOOK = "webhook"
    RECONCILE = "reconcile"
    API = "api"
    SCHEDULE = "schedule"
    REPLAY = "replay"


class SubjectType(StrEnum):
    """What a task is about."""

    PULL_REQUEST = "pull_request"
    ISSUE = "issue"
    COMMIT = "commit"
    NONE = "none"


class Trust(StrEnum):
    """How far the one who caused a delivery is trusted, as far as its payload tells."""

    ADMIN = "admin"
    MAINTAIN = "maintain"
    WRITE = "write"
    MEMBER = "member"
    FIRST_TIME = "first_time"
    NONE = "none"
    FORK = "fork"
    BOT = "bot"


class Need(StrEnum):
    """What has to be looked up before a task can leave `received`."""

    PATHS = "paths"
    HEAD = "head"
    PERMISSION = "permission"
    CHECKS = "checks"
    """All check runs and statuses of the head."""
    APPROVAL = "approval"
    """No look-up: somebody with the right to must say yes."""


class Conclusion(StrEnum):
    """What the agent says of the work: a verdict, not a fault."""

    SUCCESS = "success"
    FAILURE = "failure"
    NEUTRAL = "neutral"
    NEEDS_INPUT = "needs_input"


class EffectKind(StrEnum):
    """The surfaces on which a task can become visible (a rule's `publish`)."""

    CHECK = "check"
    COMMENT = "comment"
    REVIEW = "review"
    PULL_REQUEST = "pull_request"
    REACTION = "reaction"
    STATUS = "status"
    CALLBACK = "callback"
    LABELS = "labels"
    DISMISSAL = "dismissal"
    """Of covend's own review of an older head; follows from `REVIEW`, never published by itself."""


class Mode(StrEnum):
    """Whether an attempt began a conversation with its agent, or went on with one."""

    FRESH = "fresh"
    RESUME = "resume"


class Phase(StrEnum):
    """The part of an attempt that is under way."""

    CHECKOUT = "checkout"
    EXECUTOR = "executor"
    FALLBACK = "fallback"
    PUBLISH = "publish"


class Envelope(Struct, frozen=True, kw_only=True):
    """A request whose signature was good, before anything was read out of its payload."""

    source: str
    delivery: DeliveryId
    event: str
    body: bytes
    body_sha256: str
    headers: Mapping[str, str]
    payload: Json
    """What is looked at; of large payloads only a part."""
    whole: Json = struct_field(default_factory=dict)


class Repository(Struct, frozen=True, kw_only=True):
    """Where work is done, as a task has to know it."""

    id: int
    full_name: str
    installation_id: int | None = None
    default_branch: str | None = None
    clone_url: str | None = None


class Subject(Struct, frozen=True, kw_only=True):
    """What the work is about; `head_sha` is None where the payload does not tell it (see
    `Need.HEAD`).
    """

    type: SubjectType = SubjectType.NONE
    number: int | None = None
    title: str = ""
    url: str = ""
    author: str = ""
    head_sha: str | None = None
    base_sha: str | None = None
    head_ref: str | None = None
    base_ref: str | None = None
    head_repository: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """`@mention verb text` as the first words of a comment or review."""

    verb: str
    text: str
    actor: str
    comment_id: int
    place: str
    """`issue_comment`, `review` or `review_comment`."""


class Event(Struct, frozen=True, kw_only=True):
    """A typed reading of a delivery. Any field may be empty: senders break their own schemas."""

    source: str
    delivery: DeliveryId
    name: str
    action: str | None = None
    installation_id: int | None = None
    repository_id: int | None = None
    repository: str | None = None
    default_branch: str | None = None
    clone_url: str | None = None
    depth: int = 0
    """How many tasks lie behind it, each started by the one before."""
    parent: TaskId | None = None
    """The task whose end it tells."""
    rule: str | None = None
    """The one rule that it asks for by name, whatever that one listens to."""
    inputs: Json = struct_field(default_factory=dict)
    """What its sender wants the agent to know."""
    subject_updated_at: Moment | None = None
    """When its subject was last changed; GitHub tells it to the second."""
    before_sha: str | None = None
    """The head that the subject had before this event."""
    closed_at: Moment | None = None
    """When its pull request or issue was closed, where that is what it tells."""
    sender: str | None = None
    sender_type: str | None = None
    author: str | None = None
    association: str | None = None
    trust: Trust = Trust.NONE
    subject: Subject = Subject()
    labels: tuple[str, ...] = ()
    draft: bool | None = None
    fork: bool | None = None
    title: str | None = None
    body: str | None = None
    conclusion: str | None = None
    ref: str | None = None
    comment_id: int | None = None
    """Of the comment or review that the event is about, command or not."""
    command: Command | None = None
    paths: tuple[str, ...] | None = None
    """The changed paths where the payload tells all of them (a push); else see `Need.PATHS`."""
    payload: Json = struct_field(default_factory=dict)

    @property
    def full_name(self) -> str:
        """Give `name.action`, or the name alone where the event has no action."""
        return f"{self.name}.{self.action}" if self.action else self.name

    @property
    def is_foreign(self) -> bool:
        """Say whether another sender than GitHub tells it: GitHub knows nothing of its things.

        Its name begins with the sender's: `forge:push`. No event of GitHub's has a colon there.
        """
        return ":" in self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One accepted delivery as the store keeps it (its body is read apart)."""

    id: DeliveryId
    source: str
    via: Via
    event: str
    action: str | None
    installation_id: int | None
    repository_id: int | None
    repository: str | None
    sender: str | None
    state: DeliveryState
    reason: str
    received_at: Moment
    body_sha256: str
    duplicates: int
    tasks: tuple[TaskId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One unit of work as the store keeps it."""

    id: TaskId
    state: TaskState
    reason: str
    not_before_at: Moment
    rule: str
    agent: str
    priority: int
    key: str
    generation: int
    policy: str
    trust: Trust
    event: str
    installation_id: int | None
    repository_id: int | None
    repository: str | None
    default_branch: str | None
    clone_url: str | None
    subject: Subject
    command: Command | None
    needs: frozenset[Need]
    delivery: DeliveryId | None
    attempts: int
    failures: int
    infrastructure_failures: int
    created_at: Moment
    updated_at: Moment
    finished_at: Moment | None
    conclusion: Conclusion | None
    summary: str | None
    error_code: str | None
    error_message: str | None
    cost_usd: float | None
    cancel_requested_at: Moment | None = None
    """When somebody wished a running task to be cancelled; it then ends so, whatever happens."""
    repository_key: str = ""
    """The repository's id as text, else its name: what never changes about it."""
    actor: str | None = None
    subject_updated_at: Moment | None = None
    superseded_by: TaskId | None = None
    """The task on a newer head; this one then ends superseded, whatever happens."""
    parent: TaskId | None = None
    depth: int = 0
    fallbacks: tuple[str, ...] = ()
    """The agents still to be tried after this one, in order."""
    is_afresh: bool = False
    """Whether the next attempt goes on with no session, because going on has failed."""
    retry_until_at: Moment | None = None
    approved_at: Moment | None = None
    approved_by: str | None = None
    inputs: Json = field(default_factory=dict)
    """What was handed in with a submission, for its agent."""

    @property
    def is_foreign(self) -> bool:
        """Say whether another sender than GitHub asked for it (see `Event.is_foreign`)."""
        return ":" in self.event.partition(".")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What an attempt used up, as its agent reports it."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The right to execute a task once: every later write carries `token`, or changes nothing."""

    task: Task
    attempt: int
    token: ClaimToken
    lease_until: Moment
    started_at: Moment


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One execution of a task as the store keeps it."""

    task: TaskId
    number: int
    agent: str
    node: str
    mode: Mode
    phase: Phase
    outcome: Outcome | None
    error_code: str | None
    error_message: str | None
    exit_code: int | None
    signal: str | None
    pid: int | None
    pid_started: int | None
    boot_id: str | None
    cgroup: str | None
    """Absolute path of the cgroup that holds its processes, where there is one."""
    workspace: str | None
    """The name of its directory, without a path."""
    started_at: Moment
    ended_at: Moment | None
    session: str | None
    resumes: str | None
    """The session it was asked to go on with; where `mode` is fresh, it could not."""
    usage: Usage
    log_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectDraft:
    """An intended write to the outside, before it has an id; `request` holds all that is needed to
    send it.

    Effects of one `slot` are versions of one visible thing (a check run, the status comment): the
    first is
    created, later ones update it. Effects of one `subject` are sent one after the other, oldest
    first.
    """

    kind: EffectKind
    slot: str
    subject: str
    target: str
    request: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """One row of the outbox."""

    id: EffectId
    task: TaskId | None
    """None where it answers a command that is no task."""
    kind: EffectKind
    slot: str
    subject: str
    target: str
    installation_id: int | None
    repository: str | None
    request: Json
    state: EffectState
    tries: int
    not_before_at: Moment
    remote_id: str | None
    remote_url: str | None
    error: str | None
    created_at: Moment
    sent_at: Moment | None
    """When a request left that may have had an effect; None where certainly none did."""
    done_at: Moment | None
