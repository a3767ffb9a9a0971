"""Watches an App that was made: until somebody has installed it, and until a delivery has come all
the way; says why one did not. Every wait has an end.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import anyio.to_thread

from covend.cli.client import Client, NothingThereError
from covend.cli.exits import Failure
from covend.core.hook_answers import cause_of
from covend.edges.github import app_look
from covend.edges.github.app_look import InstallationNow, Try
from covend.edges.github.direct import Direct

INSTALL_WAIT_S = 300.0
ARRIVE_WAIT_S = 30.0
LOOK_EVERY_S = 1.0
PING = "ping"
AGAIN = "then: covend app test"
_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """What became of a test delivery; `fix` is empty where it has come all the way."""

    what: str
    fix: str = ""
    status: int | None = None

    @property
    def ok(self) -> bool:
        """Say whether it has come all the way."""
        return not self.fix


async def wait_for_installation(direct: Direct) -> Sequence[InstallationNow]:
    """Look until there is one; none after `INSTALL_WAIT_S`. Raises as `app_look.installations`."""
    return await _look(lambda: app_look.installations(direct), INSTALL_WAIT_S) or ()


async def deliver_once_more(direct: Direct, client: Client) -> Delivered:
    """Have GitHub send its ping (or the newest delivery) again, and see whether it comes here."""
    log = await _look(lambda: app_look.tries(direct), ARRIVE_WAIT_S)
    if not log:
        return Delivered(what="GitHub has sent nothing yet", fix=f"open a pull request; {AGAIN}")
    chosen = next((each for each in log if each.event == PING), log[0])
    known = frozenset(each.id for each in log)
    await app_look.try_again(direct, chosen)

    async def newest() -> Try | None:
        found = await app_look.tries(direct)
        return next((t for t in found if t.guid == chosen.guid and t.id not in known), None)

    done = await _look(newest, ARRIVE_WAIT_S)
    if done is None:
        what = f"GitHub was asked to send a {chosen.event} again, and has not within"
        return Delivered(what=f"{what} {ARRIVE_WAIT_S:g} s", fix=AGAIN)
    return await anyio.to_thread.run_sync(_judge, done, client)


def _judge(done: Try, client: Client) -> Delivered:
    here = _reach(client)
    if not done.arrived and isinstance(here, Failure):
        what = f"the {done.event} did not arrive ({done.status}): no covend runs here"
        return Delivered(what=what, fix=f"start it: covend serve; {AGAIN}", status=done.status)
    if not done.arrived:
        cause = cause_of(done.status)
        what = f"the {done.event} did not arrive: {cause.why}"
        return Delivered(what=what, fix=f"{cause.fix}; {AGAIN}", status=done.status)
    if isinstance(here, Failure):
        what = f"somebody took the {done.event} ({done.status}), and not the covend of here"
        return Delivered(what=what, fix=f"{here.message}; {AGAIN}", status=done.status)
    try:
        client.get("deliveries", done.guid)
    except NothingThereError:
        what = f"somebody took the {done.event} ({done.status}), and this covend has none of it"
        fix = f"let the webhook's URL lead here: it reaches another covend; {AGAIN}"
        return Delivered(what=what, fix=fix, status=done.status)
    except Failure as failure:
        return Delivered(what=failure.message, fix=AGAIN, status=done.status)
    return Delivered(
        what=f"the {done.event} arrived: covend answered {done.status} and has it stored",
        status=done.status,
    )


def _reach(client: Client) -> Failure | Any:
    try:
        return client.look("/readyz")
    except Failure as failure:
        return failure


async def _look(ask: Callable[[], Awaitable[_Found]], within_s: float) -> _Found | None:
    """Ask again and again until there is something to see; None after `within_s`."""
    with anyio.move_on_after(within_s):
        while True:
            if found := await ask():
                return found
            await anyio.sleep(LOOK_EVERY_S)
    return None
