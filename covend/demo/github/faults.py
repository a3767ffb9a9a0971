"""Scripted faults: what goes wrong, on which requests, how often.

The first fault that matches a request is used up by it. Whether the request still took effect is
what tells the kinds apart, so it stands in the table.
"""

import asyncio
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from types import MappingProxyType

from covend.demo.github.answers import Answer, refusal

FOREVER = 1_000_000_000
"""As `times`: until the end of the test."""


class Fault(StrEnum):
    """What can go wrong."""

    RESET = "reset"
    ANSWER_LOST = "answer_lost"
    ERROR_500 = "error_500"
    ERROR_500_APPLIED = "error_500_applied"
    RATE_LIMITED_429 = "rate_limited_429"
    PRIMARY_403 = "primary_403"
    SECONDARY_403 = "secondary_403"
    SLOW = "slow"
    HELD = "held"
    KEPT_BACK = "kept_back"


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """How a fault runs: is the request applied, and is there an answer."""

    applied: bool
    answered: bool


COURSES = MappingProxyType(
    {
        Fault.RESET: Course(applied=False, answered=False),
        Fault.ANSWER_LOST: Course(applied=True, answered=False),
        Fault.ERROR_500: Course(applied=False, answered=True),
        Fault.ERROR_500_APPLIED: Course(applied=True, answered=True),
        Fault.RATE_LIMITED_429: Course(applied=False, answered=True),
        Fault.PRIMARY_403: Course(applied=False, answered=True),
        Fault.SECONDARY_403: Course(applied=False, answered=True),
        Fault.SLOW: Course(applied=True, answered=True),
        Fault.HELD: Course(applied=True, answered=True),
        Fault.KEPT_BACK: Course(applied=True, answered=False),
    }
)


@dataclass(slots=True, kw_only=True)
class Planned:
    """A fault that waits for its requests.

    `seconds` is the length of SLOW, and what `Retry-After` says where the kind sends it. HELD
    stops a request before it is applied: `reached` tells that it is there, `release` lets it on.
    KEPT_BACK does so after it is applied, and its answer is lost.
    """

    method: str
    path: str
    kind: Fault
    times: int
    seconds: float
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    _released: asyncio.Event = field(default_factory=asyncio.Event)

    def matches(self, method: str, path: str) -> bool:
        """Say whether this fault is meant for a request."""
        return self.times > 0 and self.method in {"*", method} and fnmatchcase(path, self.path)

    def release(self) -> None:
        """Let every held request go on."""
        self._released.set()

    async def delay(self) -> None:
        """Keep the request waiting, where the kind does."""
        if self.kind is not Fault.KEPT_BACK:
            self.reached.set()
        if self.kind is Fault.SLOW:
            await asyncio.sleep(self.seconds)
        if self.kind is Fault.HELD:
            await self._released.wait()

    async def linger(self) -> None:
        """Keep the answer waiting, where the kind does."""
        if self.kind is Fault.KEPT_BACK:
            self.reached.set()
            await self._released.wait()

    def answer(self, reset_at: int) -> Answer | None:
        """Give the answer that replaces the true one; None keeps the true one."""
        retry = {"Retry-After": str(int(self.seconds))}
        match self.kind:
            case Fault.ERROR_500 | Fault.ERROR_500_APPLIED:
                return refusal(500, "Server Error")
            case Fault.RATE_LIMITED_429:
                return refusal(429, "Too Many Requests", headers=retry)
            case Fault.PRIMARY_403:
                spent = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(reset_at)}
                return refusal(403, "API rate limit exceeded for installation.", headers=spent)
            case Fault.SECONDARY_403:
                message = "You have exceeded a secondary rate limit."
                return refusal(403, message, headers=retry)
            case _:
                return None


@dataclass(slots=True)
class Faults:
    """The faults still to come, in the order in which they were planned."""

    planned: list[Planned] = field(default_factory=list)

    def add(
        self, method: str, path: str, kind: Fault | str, times: int = 1, *, seconds: float = 1.0
    ) -> Planned:
        """Plan a fault for the next `times` requests; `path` is a glob without the query.

        A glob star also matches slashes; `*` as method means every method.
        """
        fault = Planned(method=method, path=path, kind=Fault(kind), times=times, seconds=seconds)
        self.planned.append(fault)
        return fault

    def take(self, method: str, path: str) -> Planned | None:
        """Find the fault for a request and count it down."""
        found = next((fault for fault in self.planned if fault.matches(method, path)), None)
        if found is not None:
            found.times -= 1
        return found

    def clear(self) -> None:
        """Forget every fault and let held requests go on."""
        for fault in self.planned:
            fault.release()
        self.planned.clear()
