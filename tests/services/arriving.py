"""Webhooks that differ from the samples in what a test is about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import uuid4

from covend.core.intake import Refused, fold
from covend.core.model import Task
from covend.demo import payloads
from covend.demo.records import Account, App
from covend.store.protocol import Accepted
from tests.services.house import House
from tests.services.rooms import WEBHOOK_SECRET

STRANGER = Account(login="passing-by", id=77)
Change = Callable[[dict[str, Any]], object]


async def arrive(
    house: House,
    event: str,
    change: Change = lambda _: None,
    *,
    number: int = 7,
    sender: Account = payloads.AUTHOR,
    app: App | None = None,
    serial: int = 1,
) -> Accepted:
    """Send a webhook whose payload `change` has had a hand in; `app` made the check it is about."""
    scene = house.github.scene(
        house.till, number, serial=serial, sender=sender, text=f"@{house.mention} review"
    )
    scene = replace(scene, app=app or scene.app)
    payload = payloads.SAMPLES[event](scene)
    change(payload)
    body = payloads.encode(payload)
    headers = payloads.signed(body, WEBHOOK_SECRET, event.partition(".")[0], str(uuid4()))
    accepted = await house.intake().receive(fold(headers.items()), body)
    assert not isinstance(accepted, Refused)
    return accepted


async def asked(house: House, event: str, change: Change = lambda _: None, **scene: Any) -> Task:
    """As `arrive`, for what asks for one task, and give it."""
    (made,) = (await arrive(house, event, change, **scene)).tasks
    return (await house.story(made)).task


async def looked_at(house: House, task: Task) -> Task:
    """Let what is due be looked at once, and give the task as it is then."""
    await house.ripen()
    return (await house.story(task.id)).task


def another_app(house: House) -> App:
    return replace(house.github.state.app, id=15368, slug="github-actions", name="Actions")


def from_fork(house: House) -> int:
    """Open a stranger's pull request, and give its number."""
    house.github.add_account(STRANGER)
    pull = house.till.open_pull(
        head_ref="gift",
        files={"src/gift.py": "print()\n"},
        title="A gift",
        author=STRANGER,
        now=house.clock.moment(),
        from_fork=True,
    )
    return pull.number
