"""Past deliveries are routed by other rules, and only what would change is told as a change."""

from __future__ import annotations

from covend.core.policy import policy_of
from covend.core.settings import Rule, Settings, When
from covend.services.rehearsing import Change, Rehearsed, Rehearsing
from covend.services.rulings import WrittenRules
from covend.store.outlook import StoredOutlook
from tests.services.house import House, a_rule, an_agent

SYNCHRONIZE = "pull_request.synchronize"


async def rehearsed(
    house: House, *rules: Rule, since: int = 0, rule: str | None = None
) -> list[Rehearsed]:
    policies = {each.name: policy_of(each, an_agent()) for each in rules}
    settings = Settings(state_dir=house.folder, rules=rules, policies=policies)
    room = Rehearsing(
        outlook=StoredOutlook(house.connection),
        rules=WrittenRules(settings, ()),
        mention="covend-demo",
    )
    return [each async for each in room.rehearse(since, rule)]


def changes(found: list[Rehearsed]) -> list[tuple[str, Change]]:
    return [(rule.rule, rule.change) for each in found for rule in each.rules]


async def test_the_same_rules_change_nothing(house: House) -> None:
    await house.adopt(a_rule(), an_agent())
    await house.task()
    (one,) = await rehearsed(house, a_rule())
    assert changes([one]) == [("review", Change.SAME)]
    assert one.rules[0].is_first


async def test_what_would_start_now_and_what_no_longer_would_is_told_with_its_reason(
    house: House,
) -> None:
    await house.adopt(a_rule(), an_agent())
    task = await house.task()
    narrower, other = a_rule(when=When(draft=True)), a_rule(name="other")
    (one,) = await rehearsed(house, narrower, other)
    review, added = one.rules
    assert (review.change, review.reason_then, review.reason_now) == (
        Change.NO_LONGER,
        "matched",
        "when.draft",
    )
    assert (added.change, added.key) == (Change.NEW, task.key.replace("review:", "other:", 1))


async def test_of_the_same_work_only_the_first_delivery_would_start_it(house: House) -> None:
    await house.deliver()
    await house.deliver("pull_request.reopened")
    rule = a_rule(on=("pull_request.opened", "pull_request.reopened"))
    found = await rehearsed(house, rule)
    assert [each.rules[0].is_first for each in found] == [True, False]


async def test_only_what_came_since_and_only_one_rule_is_looked_at(house: House) -> None:
    await house.deliver()
    house.clock.turn(s=3_600.0)
    since = house.clock.now()
    later = await house.deliver("pull_request.reopened")
    rules = (a_rule(on=("pull_request.*",)), a_rule(name="other", on=("pull_request.*",)))
    (one,) = await rehearsed(house, *rules, since=since, rule="other")
    assert one.delivery.id == later.delivery
    assert changes([one]) == [("other", Change.NEW)]
    assert await rehearsed(house, *rules, since=since + 1) == []


async def test_a_replay_is_not_counted_again(house: House) -> None:
    await house.adopt(a_rule(), an_agent())
    task = await house.task()
    await house.replaying().replay(str(task.delivery))
    assert len(await rehearsed(house, a_rule())) == 1


async def test_what_started_a_task_that_is_deleted_by_now_has_started_it(house: House) -> None:
    await house.adopt(a_rule(), an_agent())
    task = await house.task()
    for table, column in (("effects", "task_id"), ("timeline", "task_id"), ("tasks", "id")):
        house.meddle(f"DELETE FROM {table} WHERE {column} = :task", task=task.id)
    (one,) = await rehearsed(house, a_rule())
    assert changes([one]) == [("review", Change.SAME)]


async def test_a_delivery_that_cannot_be_read_is_told_as_that(house: House) -> None:
    await house.deliver()
    house.meddle("UPDATE deliveries SET headers = CAST('{}' AS BLOB)")
    (one,) = await rehearsed(house, a_rule())
    assert (one.is_readable, one.rules) == (False, ())
