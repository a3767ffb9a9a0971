"""The tables of what lies outside beside GitHub: callbacks, schedules and other senders."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from covend.config.base import Secrets, Table
from covend.config.values import (
    CallbackUrl,
    Cron,
    HeaderName,
    Name,
    Network,
    Positive,
    RepositoryName,
    Text,
    never_sha1,
    never_twice,
)


class CallbackTable(Table):
    """`[callbacks.NAME]`."""

    url: CallbackUrl
    """Where the callback is posted to, over https."""
    secrets: Secrets
    """Secrets of Standard Webhooks: the first signs, the others still verify while you rotate."""
    allow_addresses: list[Network] = []
    """Networks that are not public and may be called all the same: `10.0.0.0/8`."""
    events: Annotated[
        list[Literal["task.completed", "task.failed"]],
        AfterValidator(never_twice),
        Field(min_length=1),
    ]
    """Which ends of a task are told."""


class ScheduleTable(Table):
    """One `[[schedules]]`."""

    name: Name
    """What the schedule is called; its tick is the event `schedule.NAME`."""
    cron: Cron
    """When it ticks, in UTC: minute, hour, day of month, month, day of week."""
    rule: Text
    """The rule that it starts."""
    repository: RepositoryName | None = None
    """The repository that the work is about; a rule with a checkout needs one."""
    missed: Literal["run_once", "skip"] = "run_once"
    """What becomes of ticks while covend was down: one for all of them, or none."""


class SourceTable(Table):
    """`[sources.NAME]`; which kind knows which key is said in `inward`."""

    kind: Literal["standard-webhooks", "hmac", "gitea", "forgejo", "gitlab"]
    """How its webhooks are signed, and what they look like."""
    secrets: Secrets
    """Secrets of which any may have signed."""
    trust: Literal["admin", "maintain", "write", "member", "first_time", "none", "bot"] | None = (
        None
    )
    """How far whatever comes is trusted. Without it `member`; for a forge `none`."""
    header: HeaderName | None = None
    """The header with the signature, for `hmac`."""
    algorithm: Annotated[Literal["sha256", "sha512"], BeforeValidator(never_sha1)] | None = None
    """What it is signed with, for `hmac`. Without it `sha256`."""
    encoding: Literal["hex", "base64"] | None = None
    """How the signature is written, for `hmac`. Without it `hex`."""
    prefix: Text | None = None
    """What stands before the signature, as `sha256=`, for `hmac`."""
    timestamp_header: HeaderName | None = None
    """The header with the moment of signing, for `hmac`."""
    tolerance: Positive | None = None
    """How far the moment of signing may be off."""
    event_header: HeaderName | None = None
    """The header with the event's name."""
    id_header: HeaderName | None = None
    """The header with the delivery's id, for `hmac`."""
