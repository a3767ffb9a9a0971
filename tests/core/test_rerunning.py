"""Which tasks somebody means who asks for a check to be made again."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from covend.core.model import DeliveryId, Task, TaskId
from covend.core.rerunning import RerunWish, Way, meant_by_rerun
from covend.core.states import TaskState
from tests.core.effects.effect_samples import NOON, PULL, SHA, task


def wish(external_id: str | None) -> RerunWish:
    return RerunWish(
        delivery=DeliveryId("d"),
        repository_key="42",
        head_sha=SHA,
        external_id=external_id,
        actor="mara",
        created_at=NOON + 3_600_000,
    )


def done(name: str, number: int) -> Task:
    subject = replace(PULL, number=number)
    return task(id=TaskId(name), state=TaskState.COMPLETED, subject=subject)


@pytest.mark.parametrize(
    ("external_id", "meant"), [("b.1", ["c"]), ("a.1", ["a"]), (None, ["c", "a"])]
)
def test_each_pull_request_of_one_head_has_a_check_of_its_own(
    external_id: str | None, meant: list[str]
) -> None:
    """The check of the other pull request was made again instead."""
    tasks = [done("c", 7), done("b", 7), done("a", 8)]
    found = meant_by_rerun(tasks, wish(external_id))
    assert found == [(each, Way.ANEW) for each in tasks if each.id in meant]
