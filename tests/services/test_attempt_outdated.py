"""A newer review of the same rule on the same pull request puts the older ones away."""

from __future__ import annotations

from collections.abc import Sequence

from covend.core.errors import StoreError
from covend.core.model import Effect, EffectKind
from covend.core.states import TaskState
from covend.store.effects import StoredEffects
from covend.store.protocol import TaskStory
from tests.services.house import House, a_rule, an_agent

DEMAND = """cat > $COVEND_RESULT <<'END'
{"summary": "Look.", "review": {"event": "request_changes"}}
END"""
REMARK = DEMAND.replace("request_changes", "comment")
NOTHING = "printf '{}' > $COVEND_RESULT"


async def reviewed(house: House, script: str, *, rule: str = "review") -> TaskStory:
    """One push, one attempt, and all of it published."""
    named = a_rule(name=rule, on=("pull_request.opened", "pull_request.synchronize"))
    house.policies.clear()
    await house.adopt(named, an_agent(script))
    house.till.git.push(7, {"README.md": f"{house.clock.now()}.\n"}, "One more")
    story = await house.attempt()
    await house.publish()
    house.clock.turn(s=60)
    return story


def shown(house: House) -> list[tuple[str, str | None]]:
    return [(each.state, each.minimized) for each in house.github.state.reviews]


async def test_a_newer_review_puts_the_older_one_away(house: House) -> None:
    await reviewed(house, DEMAND)
    await reviewed(house, REMARK)
    await reviewed(house, DEMAND)
    assert shown(house) == [
        ("DISMISSED", None),
        ("COMMENTED", "OUTDATED"),
        ("CHANGES_REQUESTED", None),
    ]


async def test_what_is_put_away_is_not_put_away_again(house: House) -> None:
    for _ in range(4):
        await reviewed(house, DEMAND)
    put_away = [each for each in await house.outbox() if each.kind is EffectKind.DISMISSAL]
    assert len({each.slot for each in put_away}) == len(put_away) == 3


async def test_a_good_end_without_a_word_takes_the_demand_back(house: House) -> None:
    await reviewed(house, DEMAND)
    await reviewed(house, NOTHING)
    assert shown(house) == [("DISMISSED", None)]


async def test_a_failure_takes_nothing_back(house: House) -> None:
    await reviewed(house, DEMAND)
    await reviewed(house, "exit 3")
    assert shown(house) == [("CHANGES_REQUESTED", None)]


async def test_another_rules_review_stays(house: House) -> None:
    await reviewed(house, DEMAND)
    await reviewed(house, REMARK, rule="style")
    assert shown(house) == [("CHANGES_REQUESTED", None), ("COMMENTED", None)]


class Silent(StoredEffects):
    async def visible(self, slot_prefix: str) -> Sequence[Effect]:
        raise StoreError(f"nothing is told of {slot_prefix}")


async def test_a_store_that_does_not_tell_keeps_no_task_from_its_end(house: House) -> None:
    await reviewed(house, DEMAND)
    house.effects = Silent(house.connection)
    story = await reviewed(house, DEMAND)
    assert story.task.state is TaskState.COMPLETED
    assert shown(house) == [("CHANGES_REQUESTED", None), ("CHANGES_REQUESTED", None)]
