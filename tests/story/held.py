"""What stories of work that is held back have in common: to send it, to see it wait, and what
holds it.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

from covend.demo.stage import Stage
from tests.story.config import ALONE
from tests.story.process import Covend, serving
from tests.story.test_cancel import run
from tests.story.two_hours_later import LATER_S

EACH_ITS_OWN = 'key = "{{{{ delivery }}}}"\nsupersede = false'
"""Every delivery is a piece of work of its own, on whatever head."""
PLAIN = f'{ALONE}\nkey = "{{{{{{{{ delivery }}}}}}}}"'
TWO_HOURS_LATER = (sys.executable, "-P", str(Path(__file__).with_name("two_hours_later.py")))


async def send(stage: Stage, covend: Covend, serial: int) -> str:
    """Send one more event about the pull request: it is accepted, and gives one task."""
    status, answer = await covend.post(*stage.signed("pull_request.synchronize", serial=serial))
    assert (status, answer["state"]) == (202, "routed")
    (task,) = answer["tasks"]
    return str(task)


async def ended(covend: Covend, task: str) -> Any:
    """Wait for a task's end, whichever that is."""

    async def look() -> Any:
        story = await covend.task(task)
        return story if story["finished_at"] else None

    return await covend.until(look)


async def waits(covend: Covend, task: str, reason: str, state: str = "queued") -> Any:
    """Wait until a task waits for that reason, and give its story; it must not end instead."""

    async def look() -> Any:
        story = await covend.task(task)
        assert story["finished_at"] is None, (story["state"], story["reason"])
        return story if (story["state"], story["reason"]) == (state, reason) else None

    return await covend.until(look)


async def told(stage: Stage, *args: str) -> str:
    """Give what a command of covend's prints; it must work."""
    code, out, error = await run(stage, *args)
    assert code == 0, error
    return out


async def holding(stage: Stage) -> list[str]:
    """List what holds work back, by id, as `covend safeguards` tells it."""
    return _holding(orjson.loads(await told(stage, "safeguards", "--json")))


async def nothing_holds(covend: Covend) -> bool:
    """Say so as the API does."""
    _, found = await covend.get("/api/v1/safeguards")
    return not _holding(found)


def _holding(found: Any) -> list[str]:
    return [each["id"] for each in found["items"] if each["holds"]]


def outcomes(story: Any) -> list[str]:
    return [attempt["outcome"] for attempt in story["attempts_list"]]


def reasons(story: Any) -> list[str]:
    return [move["why"] for move in story["timeline"]]


@asynccontextmanager
async def serving_later(stage: Stage) -> AsyncIterator[Covend]:
    """As `serving`, two hours later, for GitHub as well."""
    later = timedelta(seconds=LATER_S)
    stage.github.state.clock = lambda: datetime.now(UTC) + later
    async with serving(stage, TWO_HOURS_LATER) as covend:
        yield covend
