"""What intake does when a delivery is kept; a store that cannot keep it starts nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from io import StringIO
from uuid import uuid4

import aiohttp
import pytest
from aiohttp import web
from msgspec import structs

from covend.core.contract.outcome import StopReason
from covend.core.errors import StoreBusyError, StoreError
from covend.core.intake import Headers, Refused, fold
from covend.core.model import DeliveryId, Event, TaskId
from covend.core.rules.verdicts import Routing, TaskDraft
from covend.core.secret import Secret
from covend.core.states import DeliveryState
from covend.demo import payloads
from covend.services.intake import Intake
from covend.services.wakeups import Wakeup, Wakeups
from covend.store.deliveries import StoredDeliveries
from covend.store.protocol import Accepted, Arrival
from covend.telemetry import logs
from covend.telemetry.metrics import Metrics
from covend.web.public import PublicListener
from tests.services.hand_clock import HandClock
from tests.store.pulls import wanted

SECRET = "It's a Secret to Everybody"
RUNNING = TaskId("running")


class Shelf(StoredDeliveries):
    """A store that answers as it is told, or raises."""

    def __init__(self, answer: Accepted | Exception) -> None:
        self.answer = answer
        self.kept: list[Arrival] = []

    async def accept(self, arrival: Arrival) -> Accepted:
        self.kept.append(arrival)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Rung(Wakeup):
    """A bell that remembers."""

    def __init__(self) -> None:
        super().__init__()
        self.was_rung = False

    def wake(self) -> None:
        self.was_rung = True


@dataclass
class Setting:
    """An intake, and what it has rung and stopped."""

    shelf: Shelf
    wakeups: Wakeups = field(default_factory=Wakeups)
    stopped: list[tuple[TaskId, StopReason]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in ("queued", "received", "commands", "overdue"):
            setattr(self.wakeups, name, Rung())

    def intake(self) -> Intake:
        return Intake(
            deliveries=self.shelf,
            route=route,
            secrets=[Secret(SECRET)],
            mention="covend",
            clock=HandClock(),
            wakeups=self.wakeups,
            stop_attempt=self.stop,
        )

    def stop(self, task: TaskId, reason: StopReason) -> None:
        self.stopped.append((task, reason))

    async def receive(self, name: str) -> Accepted | Refused:
        headers, body = request(name)
        return await self.intake().receive(headers, body)

    @property
    def rung(self) -> set[str]:
        names = ("queued", "received", "commands", "overdue")
        return {name for name in names if getattr(self.wakeups, name).was_rung}


def route(_event: Event) -> Routing:
    return Routing(state=DeliveryState.ROUTED, reason="matched", verdicts=(), drafts=drafts())


def drafts() -> tuple[TaskDraft, ...]:
    return (wanted("a"),)


def request(name: str, text: str = "@covend status") -> tuple[Headers, bytes]:
    """A signed sample."""
    scene = payloads.scene(now=HandClock().moment(), serial=1, number=7, text=text)
    body = payloads.encode(payloads.SAMPLES[name](scene))
    headers = payloads.signed(body, SECRET, name.partition(".")[0], str(uuid4()))
    return fold(headers.items()), body


def accepted(*tasks: TaskId, duplicate: bool = False, **changes: object) -> Accepted:
    plain = Accepted(
        delivery=DeliveryId("d"),
        state=DeliveryState.ROUTED,
        reason="matched",
        tasks=tasks,
        duplicate=duplicate,
    )
    return structs.replace(plain, **changes)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("pull_request.synchronize", StopReason.SUPERSEDED),
        ("pull_request.closed", StopReason.CANCELLED),
    ],
)
async def test_what_a_delivery_overtakes_is_asked_to_stop_after_the_commit(
    name: str, reason: StopReason
) -> None:
    setting = Setting(Shelf(accepted(overtaken=(RUNNING,))))
    await setting.receive(name)
    assert setting.stopped == [(RUNNING, reason)]


@pytest.mark.parametrize(
    ("name", "answer", "rung"),
    [
        ("pull_request.opened", accepted(TaskId("t")), {"queued", "received"}),
        ("pull_request.opened", accepted(leaves_overdue=True), {"overdue"}),
        ("issue_comment.created", accepted(), {"commands"}),
        ("pull_request.opened", accepted(), set()),
        ("issue_comment.created", accepted(TaskId("t"), duplicate=True), set()),
    ],
)
async def test_only_those_loops_are_woken_that_have_something_to_do(
    name: str, answer: Accepted, rung: set[str]
) -> None:
    setting = Setting(Shelf(answer))
    await setting.receive(name)
    assert setting.rung == rung


async def test_a_store_that_cannot_keep_a_delivery_starts_nothing() -> None:
    setting = Setting(Shelf(StoreError("the disk is gone")))
    with pytest.raises(StoreError):
        await setting.receive("issue_comment.created")
    assert len(setting.shelf.kept) == 1
    assert (setting.rung, setting.stopped) == (set(), [])


# --- what is said of it ---------------------------------------------------------------------------


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> StringIO:
    """Where the log goes for the length of a test."""
    stream = StringIO()
    monkeypatch.setattr(logs, "_lines", logs.Lines(stream, 0, str))
    return stream


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (StoreError("the disk is gone"), "store_unavailable"),
        (StoreBusyError("another program holds it"), "store_busy"),
    ],
)
async def test_a_store_that_cannot_answer_is_called_so_and_never_a_duplicate(
    written: StringIO, error: StoreError, code: str
) -> None:
    setting, metrics = Setting(Shelf(error)), Metrics()
    headers, body = request("pull_request.opened")
    status, answer = await post(setting.intake(), metrics, headers, body)
    said: Sequence[str] = [json.dumps(answer), written.getvalue(), metrics.render().decode()]
    assert (status, answer["error"]["code"]) == (503, code)
    assert f'result="{code}"' in said[2]
    assert f'"{code}"' in said[1]
    assert all("duplicate" not in each.lower() for each in said[:2])
    assert 'result="duplicate"' not in said[2]


async def post(
    intake: Intake, metrics: Metrics, headers: Headers, body: bytes
) -> tuple[int, dict[str, dict[str, str]]]:
    """Send a request through the public listener."""
    listener = PublicListener(
        receive=intake.receive, metrics=metrics, events=frozenset({"pull_request"})
    )
    runner = web.ServerRunner(listener.server())
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/webhooks/github"
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, data=body, headers=headers) as response,
        ):
            return response.status, await response.json()
    finally:
        await runner.cleanup()
