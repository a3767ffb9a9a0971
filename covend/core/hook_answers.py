"""What it means that GitHub's webhook did not arrive: by the status that GitHub has noted, why, and
what mends it.

https://docs.github.com/en/webhooks/testing-and-troubleshooting-webhooks/troubleshooting-webhooks
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class Cause(NamedTuple):
    """Why a try came to nothing."""

    why: str
    fix: str


_GOOD = range(200, 400)
_NOWHERE = Cause(
    "GitHub reached nobody at the webhook's address",
    "let the address lead to server.listen, by a reverse proxy or a tunnel with TLS that is up",
)
_BY_STATUS: Mapping[int, Cause] = MappingProxyType(
    {
        0: _NOWHERE,
        401: Cause(
            "the signature did not fit (401)",
            "give the App's webhook the secret that github.webhook_secrets has",
        ),
        404: Cause(
            "nothing is there (404)", "let the webhook's URL end in /webhooks/github, as it is"
        ),
        408: Cause("the body came too slowly (408)", "see what stands before covend"),
        413: Cause("something before covend refuses large bodies (413)", "let it pass 25 MiB"),
        415: Cause(
            "the content type is not known (415)", "set it to application/json, on the App's page"
        ),
        502: _NOWHERE,
        503: Cause(
            "covend, or what stands before it, is not ready (503)",
            "see `covend doctor`: it starts, stops, is drained, or its queue or disk is full",
        ),
        504: Cause(
            "nobody has answered within 10 s (504)", "see what stands before covend, and its log"
        ),
    }
)


def is_good(status: int) -> bool:
    """Say whether GitHub counts a delivery with that answer as arrived."""
    return status in _GOOD


def cause_of(status: int) -> Cause:
    """Say why a try failed that GitHub has noted with this status; 0 or 502 where it connected to
    nobody.
    """
    told = f"the webhook's address answered {status}"
    otherwise = Cause(told, "see the log of covend, and of what stands before it")
    return _BY_STATUS.get(status, otherwise)
