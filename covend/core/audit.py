"""What people have asked covend to change: who, what, when, from where, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from covend.core.model import Moment

CLIENT_MAX = 200
"""Characters kept of what a program says of itself."""
DETAILS_MAX = 2_000
"""Characters kept of what was asked for, as JSON."""


class Way(StrEnum):
    """By which door a wish came."""

    API = "api"
    DASHBOARD = "dashboard"
    COMMENT = "comment"
    """Said to covend in a comment on GitHub."""
    SIGNAL = "signal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What somebody asks to be changed, written down before anything is."""

    who: str
    """`operator`, or `@LOGIN` of a commenter."""
    way: Way
    address: str | None
    """Where the request came from: an IP address, `unix`, or nothing for what is no request."""
    client: str | None
    """What the program said of itself; anybody can say anything."""
    verb: str
    """The name of the change, such as `cancel_task`."""
    target: str | None
    """What it is about: an id, a scope."""
    details: str
    """The rest of what was asked, as JSON; never a secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """A wish, and what came of it."""

    number: int
    at: Moment
    wish: Wish
    outcome: str | None
    """`ok`, or the code of the error; None: covend ended before it was known, and the
    change may or may not have been made.
    """
    ended_at: Moment | None
