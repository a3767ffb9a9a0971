"""What would become of an event is told by the very verdicts and holds that work later meets."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from covend.core.errors import NotFoundError
from covend.core.model import EffectKind, Need, SubjectType
from covend.core.policy import policy_of
from covend.core.rules.explanation import Explanation, RuleExplanation
from covend.core.rules.gates import Stand
from covend.core.safeguards.shapes import Safeguard, SafeguardKind
from covend.core.settings import Agent, Rule, Settings, When
from covend.demo import payloads
from covend.services.explaining import Explaining, Stored, token_scope
from covend.services.rulings import WrittenRules
from covend.store.deliveries import StoredDeliveries
from covend.store.guards import StoredGuards
from covend.store.outlook import StoredOutlook
from covend.store.protocol import Arrival, Foreseen
from tests.services.house import House, a_rule, an_agent

SYNCHRONIZE = "pull_request.synchronize"


def explaining(
    house: House, *rules: Rule, agent: Agent | None = None, queue_max: int = 1_000
) -> Explaining:
    """Explain by these rules, over the house's store and the stand-in of GitHub."""
    policies = {rule.name: policy_of(rule, agent or an_agent()) for rule in rules}
    settings = Settings(state_dir=house.folder, rules=rules, policies=policies)
    return Explaining(
        rules=WrittenRules(settings, ["covend-demo[bot]"]),
        mention="covend-demo",
        clock=house.clock,
        stored=Stored(
            deliveries=StoredDeliveries(house.connection, queue_max=queue_max),
            tasks=house.tasks,
            outlook=StoredOutlook(house.connection),
        ),
        github=house.client,
    )


def payload(house: House, event: str = "pull_request.opened", **scene: Any) -> tuple[str, bytes]:
    made = house.github.scene(house.till, 7, serial=4, **scene)
    return event.partition(".")[0], payloads.encode(payloads.SAMPLES[event](made))


def gate(rule: RuleExplanation, name: str) -> tuple[Stand, str]:
    found = next(each for each in rule.gates if each.name == name)
    return found.stand, found.why


def only(found: Explanation) -> RuleExplanation:
    (rule,) = found.rules
    return rule


async def test_the_verdict_is_the_one_that_is_stored_with_the_delivery(house: House) -> None:
    rule = a_rule(when=When(draft=True))
    await house.adopt(rule, an_agent())
    ignored = await house.deliver()
    found = await explaining(house, rule).of_delivery(ignored.delivery)
    stored = await house.deliveries.find(ignored.delivery)
    assert stored is not None
    assert tuple(each.verdict for each in found.rules) == stored.verdicts
    assert found.end == "starts nothing: review: when.draft is false, wants true"


async def test_without_asking_github_a_look_up_is_told_and_with_it_is_answered(
    house: House,
) -> None:
    rule = a_rule(when=When(paths=("src/**",)))
    told = await explaining(house, rule).of_payload(*payload(house))
    assert only(told).work is not None
    assert Need.PATHS in only(told).work.needs  # type: ignore[union-attr]
    assert gate(only(told), "look_up")[0] is Stand.HOLD
    live = await explaining(house, rule).of_payload(*payload(house), is_live=True)
    clause = next(each for each in only(live).verdict.clauses if each.name == "when.paths")
    assert clause.satisfied is True
    assert "src/till/basket.py" in clause.values
    assert gate(only(live), "look_up")[0] is Stand.PASS


async def test_paths_that_do_not_fit_start_nothing_once_they_are_known(house: House) -> None:
    rule = a_rule(when=When(paths=("docs/**",)))
    live = await explaining(house, rule).of_payload(*payload(house), is_live=True)
    assert not live.starts
    assert live.end.startswith("starts nothing: review: when.paths is ")


async def test_whoever_may_not_command_is_told_by_the_live_permission(house: House) -> None:
    rule = a_rule(on=("command.review",), allow=("admin",))
    event = payload(house, "issue_comment.created", text="@covend-demo review")
    told = await explaining(house, rule).of_payload(*event)
    assert gate(only(told), "permission")[0] is Stand.UNKNOWN
    assert "looked up at the time" in gate(only(told), "permission")[1]
    live = await explaining(house, rule).of_payload(*event, is_live=True)
    assert not live.starts
    assert "allow is" in live.end


async def test_a_live_pull_request_is_taken_for_what_a_rule_listens_to(house: House) -> None:
    found = await explaining(house, a_rule(on=(SYNCHRONIZE,))).of_pull("acme/till", 7)
    assert found.event.full_name == SYNCHRONIZE
    assert found.event.subject.head_sha == house.till.live_pull(7).head_sha
    assert found.starts
    opened = await explaining(house, a_rule()).of_pull("acme/till", 7)
    assert opened.event.full_name == "pull_request.opened"
    assert (await house.deliveries.page(limit=9))[0] == []


async def test_a_pull_request_that_is_not_there_is_not_explained(house: House) -> None:
    with pytest.raises(NotFoundError):
        await explaining(house, a_rule()).of_pull("acme/nothing", 7)
    with pytest.raises(NotFoundError, match="acme/till#4711"):
        await explaining(house, a_rule()).of_pull("acme/till", 4711)


async def test_covends_own_doing_is_refused_at_its_gate_and_no_later_one_is_told(
    house: House,
) -> None:
    name, body = payload(house)
    changed = orjson.loads(body)
    changed["sender"]["login"] = "covend-demo[bot]"
    found = await explaining(house, a_rule()).of_payload(name, orjson.dumps(changed))
    stands = [(each.name, each.stand) for each in found.gates]
    assert stands == [("ping", Stand.PASS), ("own_event", Stand.REFUSE)]
    assert not found.starts


async def test_a_newer_head_names_the_work_that_it_would_end(house: House) -> None:
    rule = a_rule(on=("pull_request.opened", SYNCHRONIZE))
    await house.adopt(rule, an_agent())
    older = await house.queued()
    house.till.git.push(7, {"README.md": "Pushed.\n"}, "One more")
    name, body = payload(house, SYNCHRONIZE)
    later = orjson.loads(body)
    later["pull_request"]["updated_at"] = "2036-01-01T00:00:00Z"
    found = await explaining(house, rule).of_payload(name, orjson.dumps(later))
    work = only(found).work
    assert work is not None
    assert work.collision is not None
    assert work.collision.supersedes == (older.id,)
    assert f"supersedes {older.id}" in found.end
    assert (await house.story(older.id)).task.state is older.state


async def test_each_safeguard_that_holds_says_why_and_until(house: House) -> None:
    blocked = Safeguard(
        id="loop/acme/till#7",
        kind=SafeguardKind.LOOP,
        scope="acme/till#7",
        state="blocked",
        reason="20 turns without progress",
        until=None,
        values={},
    )
    await StoredGuards(house.connection).put(blocked, house.clock.now())
    found = await explaining(house, a_rule()).of_payload(*payload(house))
    stand, why = gate(only(found), "loop")
    assert stand is Stand.HOLD
    assert "20 turns without progress" in why
    assert "covend unblock acme/till#7" in why


async def test_what_is_deleted_by_its_age_meanwhile_does_nothing_any_more(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.adopt(a_rule(), an_agent())
    task = await house.task()
    foresee = StoredDeliveries.foresee

    async def foresee_and_delete(self: StoredDeliveries, arrival: Arrival) -> Foreseen:
        foreseen = await foresee(self, arrival)
        for table, column in (("effects", "task_id"), ("timeline", "task_id"), ("tasks", "id")):
            house.meddle(f"DELETE FROM {table} WHERE {column} = :task", task=task.id)
        return foreseen

    monkeypatch.setattr(StoredDeliveries, "foresee", foresee_and_delete)
    assert (await explaining(house, a_rule()).of_payload(*payload(house))).starts


async def test_where_the_queue_is_full_nothing_starts(house: House) -> None:
    found = await explaining(house, a_rule(), queue_max=0).of_payload(*payload(house))
    assert not found.starts
    assert found.end.endswith("the queue is full: 503 with Retry-After")


async def test_where_all_places_are_taken_it_waits_for_one(house: House) -> None:
    agent = an_agent(concurrency=1)
    rule = a_rule()
    await house.adopt(rule, agent)
    await house.claimed()
    policies = {rule.name: policy_of(rule, agent)}
    settings = Settings(
        state_dir=house.folder, rules=(rule,), policies=policies, agents={agent.name: agent}
    )
    room = explaining(house, rule)
    room._rules = WrittenRules(settings, ())  # noqa: SLF001
    other = house.open_pull()
    made = house.github.scene(house.till, other.number, serial=9)
    body = payloads.encode(payloads.SAMPLES["pull_request.opened"](made))
    found = await room.of_payload("pull_request", body)
    stand, why = gate(only(found), "concurrency")
    assert (stand, why) == (
        Stand.HOLD,
        "1 of 1 attempts of agent sh run: it begins when a slot is free",
    )


@pytest.mark.parametrize(
    ("kinds", "subject", "scope"),
    [
        ((), SubjectType.NONE, {"metadata": "read"}),
        (
            (EffectKind.COMMENT,),
            SubjectType.ISSUE,
            {"issues": "write", "metadata": "read"},
        ),
        (
            (EffectKind.CHECK, EffectKind.REVIEW),
            SubjectType.PULL_REQUEST,
            {"checks": "write", "metadata": "read", "pull_requests": "write"},
        ),
    ],
    ids=["nothing", "issue", "review"],
)
def test_tokens_are_asked_for_no_more_than_the_work_needs(
    kinds: tuple[EffectKind, ...], subject: SubjectType, scope: dict[str, str]
) -> None:
    assert token_scope(a_rule(publish=kinds), subject) == scope
