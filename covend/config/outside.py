"""The tables of what lies outside beside GitHub: callbacks, schedules and other senders."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from covend.config.base import Secrets, Table
from covend.config.values import Cron, GuardedUrl, Name, Network, Text


class CallbackTable(Table):
    """`[callbacks.NAME]`."""

    url: GuardedUrl
    secrets: Secrets
    allow_addresses: list[Network] = []
    events: Annotated[list[Literal["task.completed", "task.failed"]], Field(min_length=1)]


class ScheduleTable(Table):
    """One `[[schedules]]`."""

    name: Name
    cron: Cron
    rule: Text
    missed: Literal["run_once", "skip"] = "run_once"


class SourceTable(Table):
    """`[sources.NAME]`; the header is that of the signature, for `hmac` alone."""

    kind: Literal["standard-webhooks", "hmac", "gitea", "gitlab"]
    secrets: Secrets
    header: Text | None = None
