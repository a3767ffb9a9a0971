"""Where covend is installed: what is gone takes its work with it, and is forgotten in its time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from covend.core.contract.outcome import StopReason
from covend.core.errors import NotFoundError
from covend.core.installing import InstallationState
from covend.core.intake import Refused, fold
from covend.core.model import Task, TaskId
from covend.core.states import EffectState, Outcome, TaskState
from covend.core.units import DAY
from covend.demo import payloads
from covend.services.installing import Installing
from covend.services.live import log_path
from covend.store.installing import StoredInstallations
from covend.store.protocol import Settlement
from tests.services.house import House, a_rule, an_agent, an_ending
from tests.services.rooms import WEBHOOK_SECRET

TERM_S = 30 * DAY
BEFORE = "2020-01-01T00:00:00Z"
STEPS_MAX = 20


def installing(house: House, stopped: list[tuple[TaskId, StopReason]] | None = None) -> Installing:
    told = [] if stopped is None else stopped
    return Installing(
        installations=StoredInstallations(house.connection),
        tasks=house.tasks,
        clock=house.clock,
        wakeups=house.wakeups,
        logs=house.folder / "logs",
        workspaces=house.workspaces,
        term_s=TERM_S,
        stop_attempt=lambda task, reason: told.append((task, reason)),
        count_task=house.metrics.count_task,
    )


async def tell(house: House, event: str, payload: Mapping[str, Any]) -> None:
    """Send a signed webhook that is about no pull request."""
    body = json.dumps(payload).encode()
    headers = payloads.signed(body, WEBHOOK_SECRET, event, str(uuid4()))
    assert not isinstance(await house.intake().receive(fold(headers.items()), body), Refused)


async def tell_installation(house: House, action: str, **changes: Any) -> None:
    told = {
        "id": house.github.state.installation_id,
        "account": {"login": "acme"},
        "permissions": {"checks": "write"},
        "events": ["pull_request"],
        "updated_at": house.clock.moment().isoformat(),
        **changes,
    }
    await tell(house, "installation", {"action": action, "installation": told})


async def tell_removed(house: House, *, added: bool = False) -> None:
    repository = {"id": house.till.repository.id, "full_name": house.till.full_name}
    named = {"repositories_added" if added else "repositories_removed": [repository]}
    installation = {
        "id": house.github.state.installation_id,
        "account": {"login": "acme"},
        "updated_at": house.clock.moment().isoformat(),
    }
    payload = {"action": "x", "installation": installation, **named}
    await tell(house, "installation_repositories", payload)


async def adopt(house: House) -> None:
    await house.adopt(a_rule(), an_agent())


async def state_of(house: House, task: Task) -> tuple[TaskState, str]:
    now = (await house.story(task.id)).task
    return now.state, now.reason


@pytest.mark.parametrize(
    ("action", "reason"),
    [("suspend", "installation_suspended"), ("deleted", "installation_deleted")],
)
async def test_work_of_an_installation_that_is_gone_is_cancelled(
    house: House, action: str, reason: str
) -> None:
    await adopt(house)
    task = await house.queued()
    await tell_installation(house, action)
    assert await installing(house).end_gone() == 1
    assert await state_of(house, task) == (TaskState.CANCELLED, reason)
    assert await installing(house).end_gone() == 0


async def test_work_in_a_repository_that_was_taken_away_is_pointless(house: House) -> None:
    await adopt(house)
    task = await house.queued()
    await tell_removed(house)
    await installing(house).end_gone()
    assert await state_of(house, task) == (TaskState.IGNORED, "repository_removed")


async def test_what_runs_there_is_asked_to_stop_and_never_completes(house: House) -> None:
    await adopt(house)
    claim = await house.claimed()
    await tell_installation(house, "deleted")
    stopped: list[tuple[TaskId, StopReason]] = []
    await installing(house, stopped).end_gone()
    assert stopped == [(claim.task.id, StopReason.CANCELLED)]
    assert await installing(house, stopped).end_gone() == 0
    done = Settlement(target=TaskState.COMPLETED, reason="succeeded", ending=an_ending())
    stop = Settlement(
        target=TaskState.CANCELLED, reason="x", ending=an_ending(outcome=Outcome.CANCELLED)
    )
    written = replace(done, if_cancelled=stop)
    await house.tasks.settle(claim, written, house.clock.now())
    assert (await state_of(house, claim.task))[0] is TaskState.CANCELLED
    assert await installing(house, stopped).end_gone() == 0


async def test_what_was_still_to_be_shown_there_is_withheld(house: House) -> None:
    await adopt(house)
    claim = await house.claimed()
    await house.announce(claim)
    retry = Settlement(
        target=TaskState.QUEUED,
        reason="retry",
        ending=an_ending(outcome=Outcome.FAILED),
        not_before_at=house.clock.now() + 1,
    )
    await house.tasks.settle(claim, retry, house.clock.now())
    await tell_removed(house)
    await installing(house).end_gone()
    effects = (await house.story(claim.task.id)).effects
    assert {each.state for each in effects} == {EffectState.WITHHELD}


@pytest.mark.parametrize(
    ("is_installation", "state", "reason"),
    [
        (True, TaskState.CANCELLED, "installation_deleted"),
        (False, TaskState.IGNORED, "repository_removed"),
    ],
)
async def test_what_is_asked_for_after_it_is_gone_never_starts(
    house: House, is_installation: bool, state: TaskState, reason: str
) -> None:
    """Its agent started at once, and was stopped a minute later: GitHub promises no order."""
    await adopt(house)
    await (tell_installation(house, "deleted") if is_installation else tell_removed(house))
    task = await house.queued()
    taken = await house.look()
    assert taken.claim is None
    assert [(each.id, each.state) for each in taken.ended] == [(task.id, state)]
    assert await state_of(house, task) == (state, reason)


async def test_older_news_that_comes_late_changes_nothing(house: House) -> None:
    await adopt(house)
    task = await house.queued()
    await tell_installation(house, "unsuspend")
    await tell_installation(house, "suspend", updated_at=BEFORE)
    assert await installing(house).end_gone() == 0
    assert (await state_of(house, task))[0] is TaskState.QUEUED


async def test_a_deleted_installation_stays_so_whatever_is_told_later(house: House) -> None:
    await tell_installation(house, "deleted", updated_at=BEFORE)
    await tell_installation(house, "created")
    (known,) = await StoredInstallations(house.connection).list()
    assert known.state is InstallationState.DELETED


async def test_a_repository_that_was_given_back_is_worked_on_again(house: House) -> None:
    await adopt(house)
    await tell_removed(house)
    house.clock.turn(s=1)
    await tell_removed(house, added=True)
    task = await house.queued()
    assert await installing(house).end_gone() == 0
    assert (await state_of(house, task))[0] is TaskState.QUEUED


# --- forgetting -----------------------------------------------------------------------------------


async def forget_all(house: House) -> None:
    for _ in range(STEPS_MAX):
        if not await installing(house).forget():
            return
    raise AssertionError("there is always something to forget")


async def counts(house: House) -> dict[str, int]:
    tables = ("tasks", "attempts", "timeline", "effects", "deliveries", "delivery_tasks")
    reader = house.connection._writer  # noqa: SLF001  past every query
    return {t: reader.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in tables}


async def ended_and_deleted(house: House) -> Task:
    await adopt(house)
    claim = await house.claimed()
    await house.announce(claim)
    log_path(house.folder / "logs", claim.task.id, 1).write_text("{}\n")
    done = Settlement(target=TaskState.COMPLETED, reason="succeeded", ending=an_ending())
    await house.tasks.settle(claim, done, house.clock.now())
    await tell_installation(house, "deleted")
    return claim.task


async def test_what_is_known_of_a_deleted_installation_goes_after_its_term(house: House) -> None:
    task = await ended_and_deleted(house)
    house.clock.turn(s=TERM_S - 1)
    await forget_all(house)
    assert (await counts(house))["tasks"] == 1
    house.clock.turn(s=2)
    await forget_all(house)
    assert set((await counts(house)).values()) == {0}
    assert not log_path(house.folder / "logs", task.id, 1).exists()
    assert await StoredInstallations(house.connection).list() == []


async def test_it_goes_at_once_where_somebody_asks_for_it(house: House) -> None:
    await ended_and_deleted(house)
    await installing(house).ask_to_forget(house.github.state.installation_id)
    await forget_all(house)
    assert (await counts(house))["tasks"] == 0


async def test_one_that_lives_goes_on_and_only_its_past_is_gone(house: House) -> None:
    await adopt(house)
    await tell_installation(house, "created")
    task = await house.queued()
    await installing(house).ask_to_forget(house.github.state.installation_id)
    await forget_all(house)
    assert (await state_of(house, task))[0] is TaskState.QUEUED
    (known,) = await StoredInstallations(house.connection).list()
    assert known.state is InstallationState.ACTIVE
    assert known.forget_at is not None


async def test_what_nobody_knows_cannot_be_forgotten(house: House) -> None:
    with pytest.raises(NotFoundError, match="No installation 99 is known"):
        await installing(house).ask_to_forget(99)


async def test_budgets_of_a_namesake_are_not_forgotten_with_a_repository(house: House) -> None:
    writer = house.connection._writer  # noqa: SLF001  by hand, past every query
    name = house.till.full_name.lower()
    scopes = (f"repository:{name}", f"rule:review@{name}#7", f"repository:{name}er", "all")
    for scope in scopes:
        writer.execute("INSERT INTO spending (scope, day) VALUES (?, 1)", (scope,))
    await tell_removed(house)
    await tell_installation(house, "deleted")
    await installing(house).ask_to_forget(house.github.state.installation_id)
    await forget_all(house)
    left = [row[0] for row in writer.execute("SELECT scope FROM spending ORDER BY scope")]
    assert left == ["all", f"repository:{name}er"]
