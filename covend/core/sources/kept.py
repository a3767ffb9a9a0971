"""What covend itself writes as a delivery, and reads again: an object under headers of its own.

Refuses what its own headers do not name, so that no other record is taken for it.
"""

from __future__ import annotations

import hashlib

from covend.core.model import DeliveryId, Envelope
from covend.core.rules import facts
from covend.core.sources.request import BAD_BODY, Headers, Refused, parse_object

EVENT_HEADER = "x-covend-event"
DELIVERY_HEADER = "x-covend-delivery"


def headers_of(event: str, delivery: str) -> dict[str, str]:
    """Give the headers under which it is kept."""
    return {EVENT_HEADER: event, DELIVERY_HEADER: delivery}


def read_again(
    headers: Headers, body: bytes, *, source: str, event: str, otherwise: Refused
) -> Envelope | Refused:
    """Read what was kept; `otherwise` where its headers name another event, or no delivery."""
    payload = parse_object(body)
    delivery = headers.get(DELIVERY_HEADER, "")
    if isinstance(payload, Refused):
        return BAD_BODY
    if headers.get(EVENT_HEADER) != event or not delivery:
        return otherwise
    return Envelope(
        source=source,
        delivery=DeliveryId(delivery),
        event=event,
        body=body,
        body_sha256=hashlib.sha256(body).hexdigest(),
        headers=dict(headers),
        payload=payload,
        whole=payload,
    )


def read_ask_again(
    headers: Headers, body: bytes, *, source: str, event: str, otherwise: Refused
) -> Envelope | Refused:
    """As `read_again`, what asks one rule for work; `otherwise` also where it names no rule."""
    read = read_again(headers, body, source=source, event=event, otherwise=otherwise)
    if isinstance(read, Refused) or facts.name(read.payload.get("rule")):
        return read
    return otherwise
