"""Turns a request into an envelope and its event, or says why it is refused; the same for every
source.

The order of the checks is a promise: type (415), signature (401), headers and body (400). A body
that is too large (413) and all that needs the store is judged elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from msgspec import Struct

from covend.core import outside
from covend.core.model import Envelope, Event, Moment
from covend.core.secret import Secret
from covend.core.sources import foreign, github, github_event, own, submission, ticks
from covend.core.sources.request import BODY_MAX, Headers, Refused, fold

__all__ = [
    "BODY_MAX",
    "SOURCES",
    "Accepted",
    "Headers",
    "Refused",
    "check_foreign_head",
    "check_head",
    "fold",
    "read",
    "read_foreign",
    "reopen",
]


class Accepted(Struct, frozen=True, kw_only=True):
    """A request that its source has signed, and what it says."""

    envelope: Envelope
    event: Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What one sender's file can do."""

    check_head: Callable[[Headers], Refused | None]
    verify: Callable[[Headers, bytes, Sequence[Secret]], Envelope | Refused]
    reopen: Callable[[Headers, bytes], Envelope | Refused]
    read_event: Callable[[Envelope, str | None], Event]


SOURCES: Mapping[str, Source] = {
    github.NAME: Source(
        check_head=github.check_head,
        verify=github.verify,
        reopen=github.reopen,
        read_event=github_event.read_event,
    ),
    own.NAME: Source(
        check_head=own.check_head,
        verify=own.verify,
        reopen=own.reopen,
        read_event=own.read_event,
    ),
    submission.NAME: Source(
        check_head=submission.check_head,
        verify=submission.verify,
        reopen=submission.reopen,
        read_event=submission.read_event,
    ),
    ticks.NAME: Source(
        check_head=ticks.check_head,
        verify=ticks.verify,
        reopen=ticks.reopen,
        read_event=ticks.read_event,
    ),
}
"""GitHub and covend itself; every other name is that of a sender in the configuration."""


def check_head(headers: Headers, *, source: str = github.NAME) -> Refused | None:
    """Refuse by the headers alone, before the body is read; KeyError for an unknown source."""
    return SOURCES[source].check_head(headers)


def read(
    headers: Headers,
    body: bytes,
    secrets: Sequence[Secret],
    mention: str | None,
    *,
    source: str = github.NAME,
) -> Accepted | Refused:
    """Verify a request and read its event; `mention` is the name that hears commands, if any."""
    opened = SOURCES[source].verify(headers, body, secrets)
    return opened if isinstance(opened, Refused) else _accept(opened, mention)


def check_foreign_head(source: outside.Source, headers: Headers) -> Refused | None:
    """As `check_head`, of a sender beside GitHub."""
    return foreign.check_head(source, headers)


def read_foreign(
    source: outside.Source, headers: Headers, body: bytes, now: Moment
) -> Accepted | Refused:
    """As `read`, of a sender beside GitHub; now is the wall's time."""
    opened = foreign.verify(source, headers, body, now)
    return opened if isinstance(opened, Refused) else _accept(opened, None)


def reopen(
    headers: Headers, body: bytes, mention: str | None, *, source: str = github.NAME
) -> Accepted | Refused:
    """Read what is stored, or came from the source's own API: no signature is asked for."""
    own_source = SOURCES.get(source)
    if own_source is None:
        opened = foreign.reopen(source, headers, body)
    else:
        opened = own_source.reopen(headers, body)
    return opened if isinstance(opened, Refused) else _accept(opened, mention)


def _accept(envelope: Envelope, mention: str | None) -> Accepted:
    source = SOURCES.get(envelope.source)
    read_event = foreign.read_event if source is None else source.read_event
    return Accepted(envelope=envelope, event=read_event(envelope, mention))
