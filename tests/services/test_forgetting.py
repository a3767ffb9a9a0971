"""What stays and what goes where an installation is forgotten: all of its past, and nothing that
came after somebody asked, is still to be shown, or is another's.
"""

from __future__ import annotations

import pytest

from covend.core.installing import InstallationState
from covend.core.model import Task
from covend.core.settings import Checkout
from covend.core.states import TaskState
from covend.core.units import DAY
from covend.store.installing import StoredInstallations
from covend.store.protocol import Settlement
from tests.services.house import House, a_rule, an_agent, an_ending
from tests.services.test_installing import (
    adopt,
    counts,
    ended_and_deleted,
    forget_all,
    installing,
    state_of,
    tell_installation,
)

OTHER = 9_000_001


async def ask(house: House) -> None:
    await installing(house).ask_to_forget(house.github.state.installation_id)


async def finish(house: House, number: int) -> Task:
    claim = await house.claimed(number=number)
    done = Settlement(target=TaskState.COMPLETED, reason="succeeded", ending=an_ending())
    await house.tasks.settle(claim, done, house.clock.now())
    return claim.task


def ids_of_deliveries(house: House) -> list[str]:
    return [row[0] for row in house.ask("SELECT id FROM deliveries")]


@pytest.fixture
async def living(house: House) -> House:
    await adopt(house)
    await tell_installation(house, "created")
    return house


async def test_what_came_after_somebody_asked_stays(living: House) -> None:
    claim = await living.claimed(number=7)
    await ask(living)
    living.clock.turn(s=60)
    later = await finish(living, living.open_pull().number)
    await forget_all(living)
    assert await state_of(living, later) == (TaskState.COMPLETED, "succeeded")
    assert later.delivery in ids_of_deliveries(living)
    assert await state_of(living, claim.task) == (TaskState.RUNNING, "claimed")


async def test_the_delivery_of_open_work_stays_with_it(living: House) -> None:
    task = await living.queued()
    await ask(living)
    await forget_all(living)
    assert task.delivery in ids_of_deliveries(living)


async def test_what_is_still_to_be_shown_is_shown_first(living: House) -> None:
    claim = await living.claimed()
    await living.announce(claim)
    done = Settlement(target=TaskState.COMPLETED, reason="succeeded", ending=an_ending())
    await living.tasks.settle(claim, done, living.clock.now())
    await ask(living)
    await forget_all(living)
    assert len(await living.outbox()) == 1
    await living.publish()
    await forget_all(living)
    assert set((await counts(living)).values()) == {0}


async def test_one_whose_work_goes_on_keeps_no_other_from_being_forgotten(living: House) -> None:
    await living.queued()
    await ask(living)
    living.meddle(
        "INSERT INTO installations (id, account, state, told_at, created_at, updated_at, forget_at)"
        " VALUES (:id, 'gone', 'deleted', 0, 0, 0, 1)",
        id=OTHER,
    )
    await forget_all(living)
    await forget_all(living)
    assert living.ask("SELECT id FROM installations WHERE id = :id", id=OTHER) == []


async def test_what_was_asked_of_its_checks_goes_too(house: House) -> None:
    task = await ended_and_deleted(house)
    house.meddle(
        "INSERT INTO reruns (delivery_id, repository_key, head_sha, actor, not_before_at,"
        " created_at) VALUES (:delivery, '1', 'x', 'somebody', 0, 0)",
        delivery=task.delivery,
    )
    await ask(house)
    await forget_all(house)
    assert house.ask("SELECT actor FROM reruns") == []


async def test_what_an_operator_has_paused_in_one_that_lives_stays_paused(living: House) -> None:
    name = living.till.full_name.lower()
    living.meddle(
        "INSERT INTO repositories (repository_key, installation_id, full_name, state, told_at,"
        " updated_at) VALUES ('1', :id, :name, 'present', 0, 0)",
        id=living.github.state.installation_id,
        name=living.till.full_name,
    )
    living.meddle(
        "INSERT INTO safeguards (id, kind, scope, state, reason, created_at, updated_at)"
        " VALUES (:id, 'pause', :scope, 'open', 'mine', 1, 1)",
        id=f"pause/repository:{name}",
        scope=f"repository:{name}",
    )
    await ask(living)
    await forget_all(living)
    assert living.ask("SELECT count(*) FROM safeguards") == [(1,)]


async def test_the_kept_workspaces_of_its_attempts_go_too(house: House) -> None:
    task = await ended_and_deleted(house)
    kept = house.folder / "kept"
    for name in (f"{task.id}-1", f"{task.id}-1.1", "another-1"):
        (kept / name / "workspace").mkdir(parents=True)
    await ask(house)
    await forget_all(house)
    assert [path.name for path in kept.iterdir()] == ["another-1"]


@pytest.mark.parametrize("waits", [None, "another-1"])
async def test_the_mirror_of_a_repository_goes_unless_another_needs_it(
    house: House, waits: str | None
) -> None:
    await house.adopt(a_rule(checkout=Checkout.HEAD), an_agent())
    story = await house.attempt()
    (mirror,) = house.workspaces.mirrors.all()
    for name in filter(None, (f"{story.task.id}-1", waits)):
        mirror.keep_for(name)
    await tell_installation(house, "deleted")
    await ask(house)
    await forget_all(house)
    assert mirror.path.exists() == (waits is not None)


async def test_the_mirror_of_one_that_lives_stays(living: House) -> None:
    await living.adopt(a_rule(checkout=Checkout.HEAD), an_agent())
    await living.attempt()
    await living.publish()
    await ask(living)
    await forget_all(living)
    assert (await counts(living))["tasks"] == 0
    assert len(living.workspaces.mirrors.all()) == 1


async def test_one_that_is_known_by_its_work_alone_can_be_forgotten(house: House) -> None:
    """It was made before covend took its first webhook: GitHub has told nothing of it."""
    await adopt(house)
    await finish(house, 7)
    await ask(house)
    (known,) = await StoredInstallations(house.connection).list()
    assert (known.account, known.state) == ("acme", InstallationState.ACTIVE)
    await forget_all(house)
    assert set((await counts(house)).values()) == {0}


async def test_what_github_still_remembers_of_it_does_not_come_back(house: House) -> None:
    await ended_and_deleted(house)
    house.clock.turn(s=31 * DAY)
    await forget_all(house)
    (mark,) = house.ask("SELECT value FROM cursors WHERE name LIKE 'forgotten/%'")
    assert int(mark[0]) == house.clock.now()
