"""How an effect is found again on GitHub: a signed marker in its text, or a check run's
`external_id`.

A marker whose signature is wrong, or that stands within other text, is not ours. That a copy of a
good one is not taken is up to the caller, who asks for covend's own author as well.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

from covend.core.model import TaskId

OPENING = "<!-- covend:"
"""Every marker begins so; text of others that does is changed before it is published."""

_SAFE = "/:._-"
_LINE = re.compile(
    r"^<!-- covend:v1 slot=(?P<slot>\S+) task=(?P<task>\S+) sig=(?P<sig>[0-9a-f]{64}) -->\r?$",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """Which visible thing this is (`slot`), and which version of it (`task`: an `external_id`, or
    the delivery of a command that is no task).
    """

    slot: str
    task: str


def external_id(task: TaskId, generation: int) -> str:
    """Name one generation of a task, as check runs carry it."""
    return f"{task}.{generation}"


def sign(marker: Marker, key: bytes) -> str:
    """Write a marker: one line that GitHub does not show."""
    slot, task = quote(marker.slot, safe=_SAFE), quote(marker.task, safe=_SAFE)
    return f"{OPENING}v1 slot={slot} task={task} sig={_signature(slot, task, key)} -->"


def find(body: str, key: bytes) -> Marker | None:
    """Read the last marker that was signed with `key` and has a line of its own."""
    for line in reversed(list(_LINE.finditer(body))):
        signature = _signature(line["slot"], line["task"], key)
        if hmac.compare_digest(signature, line["sig"]):
            return Marker(slot=unquote(line["slot"]), task=unquote(line["task"]))
    return None


def carries(body: str, signed: str) -> bool:
    """Say whether a text has exactly this signed marker on a line of its own."""
    return signed in body.splitlines()


def _signature(slot: str, task: str, key: bytes) -> str:
    return hmac.digest(key, f"covend:v1\n{slot}\n{task}".encode(), hashlib.sha256).hex()
