"""The settings of what lies outside beside GitHub: who is called back, what comes by the clock, and
who else may send.

Frozen and checked, like all settings; `settings` gives them on.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from covend.core.model import Trust
from covend.core.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Callback:
    """A receiver of Standard Webhooks."""

    name: str
    url: str
    secrets: tuple[Secret, ...]
    """The first signs, and so do all others while they rotate."""
    allow_addresses: tuple[str, ...] = ()
    """Networks of private receivers, as CIDR."""
    events: tuple[str, ...] = ()
    """`task.completed`, `task.failed`."""


class Missed(StrEnum):
    """What becomes of the ticks of a schedule during which covend did not live."""

    RUN_ONCE = "run_once"
    SKIP = "skip"


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Work by the clock; `cron` is in UTC."""

    name: str
    cron: str
    rule: str
    repository: str | None = None
    missed: Missed = Missed.RUN_ONCE


class SourceKind(StrEnum):
    """How a sender signs and what its envelope looks like."""

    STANDARD_WEBHOOKS = "standard-webhooks"
    HMAC = "hmac"
    GITEA = "gitea"
    GITLAB = "gitlab"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A sender beside GitHub, posted to `/webhooks/NAME`."""

    name: str
    kind: SourceKind
    secrets: tuple[Secret, ...]
    trust: Trust = Trust.NONE
    """How far whoever has signed is trusted."""
    header: str | None = None
    """Of the signature; for `hmac`."""
    algorithm: str = "sha256"
    encoding: str = "hex"
    """`hex` or `base64`."""
    prefix: str = ""
    """What stands before the signature in its header."""
    timestamp_header: str | None = None
    """Where the request tells when it was signed, in seconds since 1970; it is signed as well."""
    tolerance_s: float = 300.0
    event_header: str | None = None
    id_header: str | None = None
