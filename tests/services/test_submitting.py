"""What an operator submits is done once for each key, by the way of all deliveries; what it is
about is looked up before it runs.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from covend.core.errors import (
    DrainingError,
    KeyReusedError,
    NotFoundError,
    NotPermittedError,
    QueueFullError,
    StoreBusyError,
    StoreError,
    UserError,
)
from covend.core.model import DeliveryId, EffectKind, SubjectType, Task, Trust, Via
from covend.core.policy import policy_of
from covend.core.settings import Admission, Rule, Sandbox, Terms, When
from covend.core.sources.submission import Submission, read_submission
from covend.core.states import DeliveryState, TaskState
from covend.demo import payloads
from covend.demo.github import FOREVER, Fault
from covend.demo.records import Issue
from covend.edges.github.errors import Unreachable
from covend.services.submitting import Submitted
from covend.store.deliveries import StoredDeliveries
from covend.store.protocol import Accepted, Arrival, StoredDelivery
from tests.services.arriving import from_fork
from tests.services.house import House, a_rule, an_agent

ISSUE = 12
LISTENS_TO_NOTHING = When(repository=("other/*",), draft=True, labels=("never",))


def asking(**changed: Any) -> Submission:
    return read_submission({"rule": "review", "repository": "acme/till", **changed})


async def submit(house: House, key: str | None = None, **changed: Any) -> Submitted:
    return await house.submitting().submit(asking(**changed), key)


async def submitted(house: House, **changed: Any) -> Task:
    """Submit under a rule that listens to nothing, look up what there is to look up, and give the
    task as it is then.
    """
    if not house.policies:
        await house.adopt(a_rule(when=LISTENS_TO_NOTHING), an_agent())
    made = (await submit(house, **changed)).task
    await house.ripen()
    return (await house.story(made.id)).task


async def kept(house: House) -> list[StoredDelivery]:
    page, _ = await house.deliveries.page(limit=100)
    found = [await house.deliveries.find(each.id) for each in page]
    return [each for each in found if each is not None]


def counted(house: House, result: str) -> float:
    value = house.metrics.deliveries.labels("api", "submission", result)._value.get()  # noqa: SLF001
    return float(value)


def an_issue(**changed: Any) -> Issue:
    plain = Issue(number=ISSUE, id=99, title="It beeps", body=None, author=payloads.AUTHOR)
    return replace(plain, **changed)


# --- once -----------------------------------------------------------------------------------------


async def test_what_is_submitted_is_kept_as_a_delivery_and_queued(house: House) -> None:
    task = await submitted(house, inputs={"depth": 2})
    assert (task.state, task.rule, task.trust) == (TaskState.QUEUED, "review", Trust.ADMIN)
    assert (task.repository, task.event) == ("acme/till", "submission")
    (delivery,) = await kept(house)
    told = delivery.delivery
    assert (told.source, told.via, told.event) == ("api", Via.API, "submission")
    assert (told.state, told.tasks) == (DeliveryState.ROUTED, (task.id,))
    assert counted(house, "routed") == 1


async def test_without_a_key_each_request_is_new_work(house: House) -> None:
    one, other = await submitted(house), await submitted(house)
    assert one.id != other.id


async def test_the_same_key_and_request_give_the_same_task(house: House) -> None:
    await house.adopt(a_rule(), an_agent())
    first = await submit(house, "k", number=7)
    again = await submit(house, "k", number=7, repository="Acme/Till")
    assert (again.task.id, again.is_repeated, first.is_repeated) == (first.task.id, True, False)
    assert len(await kept(house)) == 1
    assert (counted(house, "routed"), counted(house, "duplicate")) == (1, 1)


async def test_the_same_key_gives_its_task_even_once_the_rule_is_gone_and_covend_drains(
    house: House,
) -> None:
    await house.adopt(a_rule(), an_agent())
    first = await submit(house, "k")
    house.policies.clear()
    house.is_open = False
    assert (await submit(house, "k")).task.id == first.task.id


async def test_another_request_under_the_same_key_is_a_conflict(house: House) -> None:
    await house.adopt(a_rule(), an_agent())
    first = await submit(house, "k", inputs={"a": 1})
    with pytest.raises(KeyReusedError):
        await submit(house, "k", inputs={"a": 2})
    assert [each.delivery.tasks for each in await kept(house)] == [(first.task.id,)]


async def test_two_submissions_of_one_key_in_the_same_instant_give_one_task(house: House) -> None:
    await house.adopt(a_rule(), an_agent())
    await submitted(house)  # what a submission has to know of the repository is in the store
    both = await asyncio.gather(*(submit(house, "k", number=7) for _ in range(8)))
    assert len({each.task.id for each in both}) == 1
    assert sorted(each.is_repeated for each in both) == [False, *[True] * 7]
    page, _ = await house.tasks.page(limit=100)
    assert len(page) == 2


async def test_two_requests_under_one_key_in_the_same_instant_conflict(house: House) -> None:
    await house.adopt(a_rule(), an_agent())
    await submitted(house)
    both = await asyncio.gather(
        submit(house, "k", number=7), submit(house, "k", number=8), return_exceptions=True
    )
    assert [type(each) for each in both if isinstance(each, Exception)] == [KeyReusedError]
    page, _ = await house.tasks.page(limit=100)
    assert len(page) == 2


async def test_after_its_delivery_is_forgotten_a_key_still_gives_the_task(house: House) -> None:
    await house.adopt(a_rule(), an_agent())
    first = await submit(house, "k")
    house.meddle("DELETE FROM deliveries")
    assert (await submit(house, "k")).task.id == first.task.id


# --- what is refused ------------------------------------------------------------------------------


async def test_an_unknown_rule_is_refused_with_the_nearest(house: House) -> None:
    await house.adopt(a_rule(), an_agent())
    with pytest.raises(UserError, match="There is no rule 'reveiw': did you mean 'review'"):
        await submit(house, rule="reveiw")
    with pytest.raises(UserError, match="There is no rule 'x': there are: review"):
        await submit(house, rule="x")
    assert await kept(house) == []


async def test_a_rule_that_refuses_admins_keeps_nothing(house: House) -> None:
    trust = {Trust.ADMIN: Terms(admission=Admission.REFUSE)}
    await house.adopt(a_rule(trust=trust), an_agent())
    with pytest.raises(NotPermittedError):
        await submit(house)
    assert await kept(house) == []


async def test_while_covend_drains_nothing_is_taken_in(house: House) -> None:
    await house.adopt(a_rule(), an_agent())
    house.is_open = False
    with pytest.raises(DrainingError):
        await submit(house)
    assert (await kept(house), counted(house, "draining")) == ([], 1)


async def test_a_full_queue_refuses_and_the_same_key_may_come_again(house: House) -> None:
    await house.adopt(a_rule(), an_agent())
    full = StoredDeliveries(house.connection, queue_max=0)
    with pytest.raises(QueueFullError):
        await house.submitting(deliveries=full).submit(asking(), "k")
    assert counted(house, "queue_full") == 1
    assert not (await submit(house, "k")).is_repeated


class Busy(StoredDeliveries):
    """A store that another program holds, for whom it is asked to keep or to find."""

    is_blind = False

    async def find(self, delivery: DeliveryId) -> StoredDelivery | None:
        if self.is_blind:
            raise StoreBusyError("another program holds it")
        return await super().find(delivery)

    async def accept(self, arrival: Arrival) -> Accepted:
        raise StoreBusyError("another program holds it")


@pytest.mark.parametrize("is_blind", [True, False])
async def test_a_store_that_cannot_answer_is_unavailable_and_nothing_is_there_already(
    house: House, is_blind: bool
) -> None:
    await house.adopt(a_rule(), an_agent())
    busy = Busy(house.connection, queue_max=100)
    busy.is_blind = is_blind
    with pytest.raises(StoreError) as caught:
        await house.submitting(deliveries=busy).submit(asking(), "k")
    assert caught.value.code == "store_unavailable"
    assert (counted(house, "store_unavailable"), counted(house, "duplicate")) == (1, 0)
    assert await kept(house) == []


# --- where ----------------------------------------------------------------------------------------


async def test_of_a_repository_that_is_known_nobody_is_asked(house: House) -> None:
    await house.adopt(a_rule(), an_agent())
    there = await house.task()
    house.github.requests.clear()
    made = (await submit(house, repository="ACME/Till")).task
    assert house.github.requests == []
    assert (made.repository, made.repository_key) == ("acme/till", there.repository_key)
    assert (made.installation_id, made.clone_url) == (there.installation_id, there.clone_url)


async def test_a_repository_of_which_nothing_came_in_is_looked_up(house: House) -> None:
    made = await submitted(house, repository="Acme/TILL")
    asked = [each.path.removeprefix("/api/v3") for each in house.github.requests]
    assert any(path.endswith("/installation") for path in asked)
    hosted = house.till.repository
    assert (made.repository, made.repository_id) == ("acme/till", hosted.id)
    assert made.installation_id == house.github.state.installation_id
    assert (made.default_branch, made.clone_url) == (
        "main",
        house.github.clone_url("acme", "till"),
    )


async def test_a_repository_that_is_not_there_is_told_as_that(house: House) -> None:
    await house.adopt(a_rule(), an_agent())
    with pytest.raises(NotFoundError, match="There is no repository acme/other that covend may"):
        await submit(house, repository="acme/other")
    assert await kept(house) == []


async def test_while_github_is_down_what_has_to_be_looked_up_is_not_kept(house: House) -> None:
    await house.adopt(a_rule(), an_agent())
    house.github.faults.add("GET", "*/installation", Fault.ERROR_500, FOREVER)
    with pytest.raises(Unreachable):
        await submit(house, "k")
    house.github.faults.clear()
    assert not (await submit(house, "k")).is_repeated


# --- what about -----------------------------------------------------------------------------------


async def test_a_pull_request_is_looked_up_before_it_is_queued(house: House) -> None:
    task = await submitted(house, number=7)
    live = house.till.live_pull(7)
    assert (task.state, task.trust) == (TaskState.QUEUED, Trust.ADMIN)
    subject = task.subject
    assert (subject.type, subject.title) == (SubjectType.PULL_REQUEST, live.title)
    assert (subject.author, subject.url.endswith("/pull/7")) == (live.author.login, True)
    assert (subject.head_sha, subject.base_sha) == (live.head_sha, live.base_sha)
    assert (subject.head_ref, subject.base_ref) == (live.head_ref, live.base_ref)


async def test_an_issue_is_known_as_one_by_then(house: House) -> None:
    house.till.issues[ISSUE] = an_issue()
    task = await submitted(house, number=ISSUE)
    assert task.state is TaskState.QUEUED
    subject = task.subject
    assert (subject.type, subject.number, subject.head_sha) == (SubjectType.ISSUE, ISSUE, None)
    assert (subject.title, subject.author) == ("It beeps", payloads.AUTHOR.login)
    assert subject.url.endswith(f"/issues/{ISSUE}")


async def test_what_has_no_such_number_is_refused(house: House) -> None:
    task = await submitted(house, number=404)
    assert (task.state, task.reason) == (TaskState.IGNORED, "subject_gone")


@pytest.mark.parametrize("number", [7, ISSUE])
async def test_what_is_closed_is_refused(house: House, number: int) -> None:
    house.till.issues[ISSUE] = an_issue(state="closed")
    house.till.pulls[7] = replace(house.till.pulls[7], state="closed")
    task = await submitted(house, number=number)
    assert (task.state, task.reason) == (TaskState.IGNORED, "closed")


async def test_the_head_that_was_named_must_still_be_one(house: House) -> None:
    live = house.till.live_pull(7)
    task = await submitted(house, number=7, head_sha=live.head_sha)
    assert task.state is TaskState.QUEUED
    task = await submitted(house, number=7, head_sha="a" * 40)
    assert (task.state, task.reason) == (TaskState.IGNORED, "head_moved")
    assert live.head_sha in (task.error_message or "")


async def test_a_commit_needs_no_look_up(house: House) -> None:
    task = await submitted(house, head_sha="a" * 40)
    assert (task.state, task.subject.type) == (TaskState.QUEUED, SubjectType.COMMIT)
    assert task.needs == frozenset()


async def test_while_github_is_down_a_submission_waits(house: House) -> None:
    house.github.faults.add("GET", "*/pulls/7", Fault.ERROR_500, FOREVER)
    task = await submitted(house, number=7)
    assert (task.state, task.reason) == (TaskState.RECEIVED, "look_up: github_unreachable")


# --- whose ----------------------------------------------------------------------------------------


async def caging(house: House, admission: Admission) -> Rule:
    """A rule that does the work of forks in a cage."""
    rule = a_rule(trust={Trust.FORK: Terms(admission=admission, sandbox=Sandbox.BUBBLEWRAP)})
    await house.adopt(rule, an_agent())
    policy = policy_of(rule, replace(an_agent(), sandbox=Sandbox.BUBBLEWRAP), ())
    house.policies_by_trust["review", Trust.FORK] = policy
    await house.deliveries.save_policy(policy, house.clock.now())
    return rule


async def test_work_of_a_fork_goes_on_without_a_second_yes_but_in_its_cage(house: House) -> None:
    await caging(house, Admission.HOLD)
    task = await submitted(house, number=from_fork(house))
    assert (task.state, task.trust) == (TaskState.QUEUED, Trust.FORK)
    assert task.policy == house.policies_by_trust["review", Trust.FORK].sha256


async def test_a_rule_that_refuses_forks_refuses_them_to_an_operator_as_well(house: House) -> None:
    await caging(house, Admission.REFUSE)
    task = await submitted(house, number=from_fork(house))
    assert (task.state, task.reason) == (TaskState.IGNORED, "trust")


# --- the agent ------------------------------------------------------------------------------------


async def test_the_agent_is_told_what_was_handed_in(house: House) -> None:
    script = 'cp "$COVEND_BRIEF" brief.json; cat >&2; cat brief.json'
    prompt = "Look {{ inputs.depth }} deep."
    await house.adopt(a_rule(prompt=prompt, publish=(EffectKind.COMMENT,)), an_agent(script))
    await submit(house, number=7, inputs={"depth": 2, "why": "✓"})
    await house.ripen()
    story = await house.run(await house.claim())
    assert story.task.state is TaskState.COMPLETED
    brief = json.loads(story.task.summary or "")
    assert brief["inputs"] == {"depth": 2, "why": "✓"}
    assert brief["prompt"] == "Look 2 deep."
    assert (brief["event"]["source"], brief["event"]["name"]) == ("api", "submission")
    assert brief["trust"] == "admin"
    await house.publish()
    (comment,) = house.github.state.comments
    assert comment.number == 7
