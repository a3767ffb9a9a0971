"""A stored delivery that is routed again asks for its work anew, by the rules as they are now."""

from __future__ import annotations

from typing import Any

import pytest

from covend.core.errors import (
    ConflictError,
    DrainingError,
    NotFoundError,
    StoreBusyError,
    StoreError,
    UserError,
)
from covend.core.model import DeliveryId, Task, Via
from covend.core.settings import When
from covend.core.states import DeliveryState, TaskState
from covend.demo import payloads
from covend.store.deliveries import StoredDeliveries
from covend.store.protocol import Accepted, Foreseen, StoredDelivery
from tests.services.arriving import arrive, asked
from tests.services.house import House, a_rule, an_agent
from tests.services.test_submitting import submit

COMMAND = "issue_comment.created"


async def replayed(house: House, delivery: str, *, rule: str | None = None) -> Accepted:
    again = await house.replaying().replay(delivery, rule=rule)
    assert isinstance(again.came_to, Accepted)
    return again.came_to


async def the_task(house: House, accepted: Accepted) -> Task:
    (made,) = accepted.tasks
    return (await house.story(made)).task


async def foreseen(house: House, delivery: str, *, rule: str | None = None) -> Foreseen:
    again = await house.replaying().foresee(delivery, rule=rule)
    assert isinstance(again.came_to, Foreseen)
    return again.came_to


async def stored(house: House, delivery: DeliveryId) -> StoredDelivery:
    found = await house.deliveries.find(delivery)
    assert found is not None
    return found


async def count(house: House) -> tuple[int, int]:
    deliveries, _ = await house.deliveries.page(limit=100)
    tasks, _ = await house.tasks.page(limit=100)
    return len(deliveries), len(tasks)


async def reviewed(house: House) -> Task:
    """A pull request that was reviewed to the end."""
    await house.adopt(a_rule(), an_agent())
    return (await house.attempt()).task


def later(payload: dict[str, Any]) -> None:
    payload["pull_request"]["updated_at"] = "2036-01-01T00:00:00Z"


def origin(task: Task) -> DeliveryId:
    assert task.delivery is not None
    return task.delivery


async def test_a_replay_is_a_delivery_of_its_own_with_a_task_of_the_next_generation(
    house: House,
) -> None:
    first = await reviewed(house)
    again = await replayed(house, origin(first))
    made = await the_task(house, again)
    assert (made.key, made.generation, made.state) == (first.key, 2, TaskState.QUEUED)
    assert (again.delivery != first.delivery, made.delivery) == (True, again.delivery)
    new, old = await stored(house, again.delivery), await stored(house, origin(first))
    assert (new.delivery.via, new.delivery.source) == (Via.REPLAY, "github")
    assert (new.body, new.delivery.body_sha256) == (old.body, old.delivery.body_sha256)
    assert old.delivery.duplicates == 0


async def test_work_that_is_open_is_met(house: House) -> None:
    await house.adopt(a_rule(), an_agent())
    first = await house.queued()
    again = await replayed(house, origin(first))
    assert (again.reason, again.tasks) == ("same_work", (first.id,))


async def test_a_replay_of_a_replay_asks_for_the_same_work(house: House) -> None:
    first = await reviewed(house)
    again = await replayed(house, origin(first))
    twice = await replayed(house, again.delivery)
    assert (twice.reason, twice.tasks) == ("same_work", again.tasks)


async def test_todays_rules_decide(house: House) -> None:
    await house.adopt(a_rule(on=("push",)), an_agent())
    ignored = await house.deliver()
    assert ignored.state is DeliveryState.IGNORED
    await house.adopt(a_rule(), an_agent())
    await house.adopt(a_rule(name="second"), an_agent())
    again = await replayed(house, ignored.delivery)
    assert (again.state, len(again.tasks)) == (DeliveryState.ROUTED, 2)


async def test_one_rule_alone_may_be_asked(house: House) -> None:
    await house.adopt(a_rule(), an_agent())
    await house.adopt(a_rule(name="second"), an_agent())
    first = await house.deliver()
    for task in first.tasks:
        await house.tasks.refuse(task, reason="r", message="m", now=house.clock.now())
    again = await house.replaying().replay(first.delivery, rule="second")
    assert [verdict.rule for verdict in again.verdicts] == ["second"]
    assert isinstance(again.came_to, Accepted)
    assert (await the_task(house, again.came_to)).rule == "second"


async def test_a_rule_that_does_not_want_it_is_told_as_that(house: House) -> None:
    await house.adopt(a_rule(), an_agent())
    await house.adopt(a_rule(name="drafts", when=When(draft=True)), an_agent())
    first = await house.deliver()
    again = await replayed(house, first.delivery, rule="drafts")
    assert (again.state, again.reason, again.tasks) == (DeliveryState.IGNORED, "no_match", ())


async def test_a_command_is_done_again_and_looked_up_again(house: House) -> None:
    await house.adopt(a_rule(on=("command.review",), allow=("maintain",)), an_agent())
    first = await house.queued(event=COMMAND, sender=payloads.MAINTAINER)
    await house.run(await house.claim())
    again = await the_task(house, await replayed(house, origin(first)))
    assert (again.generation, again.command) == (2, first.command)
    await house.ripen()
    ripe = (await house.story(again.id)).task
    assert ripe.state is TaskState.QUEUED
    assert ripe.subject.head_sha == house.till.live_pull(7).head_sha
    assert house.ask("SELECT count(*) FROM commands") == [(1,)]


async def test_a_submission_is_replayed_under_its_own_key(house: House) -> None:
    await house.adopt(a_rule(), an_agent())
    first = (await submit(house, inputs={"a": 1})).task
    await house.run(await house.claim())
    again = await the_task(house, await replayed(house, origin(first)))
    assert (again.key, again.generation, again.inputs) == (first.key, 2, {"a": 1})


async def test_a_replayed_closing_closes_nothing(house: House) -> None:
    """It was open again, and what was submitted on it meanwhile was cancelled."""
    await house.adopt(a_rule(), an_agent())
    closed = await arrive(house, "pull_request.closed")
    going_on = (await submit(house, number=7)).task
    await replayed(house, closed.delivery)
    assert (await house.story(going_on.id)).task.state is TaskState.RECEIVED


async def test_an_old_head_is_done_again_and_takes_nobodys_place(house: House) -> None:
    first = await reviewed(house)
    house.till.git.push(7, {"README.md": "Pushed meanwhile.\n"}, "One more")
    await house.adopt(a_rule(on=("pull_request.opened", "pull_request.synchronize")), an_agent())
    newer = await asked(house, "pull_request.synchronize", later)
    assert newer.subject.head_sha != first.subject.head_sha
    again = await the_task(house, await replayed(house, origin(first), rule="review"))
    assert (again.state, again.subject.head_sha) == (TaskState.QUEUED, first.subject.head_sha)
    assert (await house.story(newer.id)).task.state is TaskState.QUEUED


# --- only looking ---------------------------------------------------------------------------------


async def test_a_dry_run_says_what_a_replay_then_comes_to_and_keeps_nothing(house: House) -> None:
    first = await reviewed(house)
    before = await count(house)
    (meeting,) = (await foreseen(house, origin(first))).meetings
    assert (meeting.rule, meeting.key, meeting.reason) == ("review", first.key, "new")
    assert await count(house) == before
    made = await the_task(house, await replayed(house, origin(first)))
    assert (made.key, made.generation) == (meeting.key, meeting.generation)
    (meeting,) = (await foreseen(house, origin(first))).meetings
    assert (meeting.reason, meeting.task) == ("same_work", made.id)


async def test_a_dry_run_is_answered_while_covend_drains(house: House) -> None:
    first = await reviewed(house)
    house.is_open = False
    assert (await foreseen(house, origin(first))).has_room
    with pytest.raises(DrainingError):
        await replayed(house, origin(first))
    assert (await count(house))[0] == 1


# --- what is refused ------------------------------------------------------------------------------


async def test_what_is_not_there_or_unreadable_is_refused(house: House) -> None:
    first = await reviewed(house)
    with pytest.raises(NotFoundError):
        await replayed(house, "nothing")
    with pytest.raises(UserError, match="There is no rule 'revue': did you mean 'review'"):
        await replayed(house, origin(first), rule="revue")
    house.meddle("UPDATE deliveries SET headers = CAST('{}' AS BLOB)")
    with pytest.raises(ConflictError, match="cannot be read any more"):
        await replayed(house, origin(first))
    house.meddle("UPDATE deliveries SET source = 'gone'")
    with pytest.raises(ConflictError, match="cannot be read any more"):
        await foreseen(house, origin(first))


async def test_a_store_that_cannot_answer_is_unavailable(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def busy(*_: object) -> None:
        raise StoreBusyError("another program holds it")

    monkeypatch.setattr(StoredDeliveries, "find", busy)
    for do in (house.replaying().replay, house.replaying().foresee):
        with pytest.raises(StoreError) as caught:
            await do("d")
        assert caught.value.code == "store_unavailable"


async def test_whoever_waits_for_work_is_woken(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await reviewed(house)
    rung: list[str] = []
    monkeypatch.setattr(house.wakeups.queued, "wake", lambda: rung.append("queued"))
    await replayed(house, origin(first))
    assert rung == ["queued"]
