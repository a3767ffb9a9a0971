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
    secrets: Secrets
    allow_addresses: list[Network] = []
    events: Annotated[
        list[Literal["task.completed", "task.failed"]],
        AfterValidator(never_twice),
        Field(min_length=1),
    ]


class ScheduleTable(Table):
    """One `[[schedules]]`."""

    name: Name
    cron: Cron
    rule: Text
    repository: RepositoryName | None = None
    missed: Literal["run_once", "skip"] = "run_once"


class SourceTable(Table):
    """`[sources.NAME]`; which kind knows which key is said in `inward`."""

    kind: Literal["standard-webhooks", "hmac", "gitea", "forgejo", "gitlab"]
    secrets: Secrets
    trust: Literal["admin", "maintain", "write", "member", "first_time", "none", "bot"] | None = (
        None
    )
    header: HeaderName | None = None
    algorithm: Annotated[Literal["sha256", "sha512"], BeforeValidator(never_sha1)] | None = None
    encoding: Literal["hex", "base64"] | None = None
    prefix: Text | None = None
    timestamp_header: HeaderName | None = None
    tolerance: Positive | None = None
    event_header: HeaderName | None = None
    id_header: HeaderName | None = None
