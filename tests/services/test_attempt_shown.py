"""What a task shows beside its review: annotations, labels, reactions; each of it once."""

from __future__ import annotations

import json

import pytest

from covend.core.ending import Ending, Finding, Result
from covend.core.model import EffectKind
from covend.core.states import EffectState, Outcome
from covend.demo.github import Fault
from tests.services.house import CHECK, House, a_rule, an_agent

LABELS, REACTION = EffectKind.LABELS, EffectKind.REACTION


def answering(**result: object) -> str:
    return f"cat > $COVEND_RESULT <<'END'\n{json.dumps(result)}\nEND"


async def test_findings_without_a_review_are_annotations_of_the_check(house: House) -> None:
    comments = [{"path": "README.md", "line": n + 1, "body": "Look."} for n in range(70)]
    await house.adopt(
        a_rule(publish=(CHECK,)), an_agent(answering(summary="s", review={"comments": comments}))
    )
    await house.attempt()
    await house.publish()
    (run,) = house.github.state.check_runs
    assert (run.conclusion, run.title) == ("success", "70 notes")
    assert [each["end_line"] for each in run.annotations] == list(range(1, 71))


@pytest.mark.parametrize("fault", [Fault.ANSWER_LOST, Fault.RESET, Fault.ERROR_500_APPLIED])
async def test_a_batch_whose_outcome_is_not_known_is_added_once(house: House, fault: Fault) -> None:
    await house.adopt(a_rule(publish=(CHECK,)), an_agent())
    findings = tuple(Finding(path="README.md", line=n + 1, body="x") for n in range(120))
    await house.settled(Ending(outcome=Outcome.SUCCEEDED, result=Result(findings=findings)))
    house.github.faults.add("PATCH", "*/check-runs/*", fault)
    await house.publish()
    for _ in range(6):
        house.clock.turn(s=70)
        await house.publish()
    assert set(await house.states()) == {EffectState.DONE}
    (run,) = house.github.state.check_runs
    assert [each["end_line"] for each in run.annotations] == list(range(1, 121))


async def test_labels_of_a_result_are_on_the_pull_request(house: House) -> None:
    await house.adopt(
        a_rule(publish=(LABELS,)), an_agent(answering(labels=["Bug", "bug", "x" * 60, "a\nb"]))
    )
    await house.attempt()
    await house.publish()
    assert [label.name for label in house.till.pulls[7].labels] == ["Bug", "x" * 50]


async def test_work_is_shown_by_reactions_to_its_pull_request(house: House) -> None:
    await house.adopt(a_rule(publish=(REACTION,)), an_agent(answering(conclusion="failure")))
    claim = await house.claimed()
    await house.announce(claim)
    await house.publish()
    await house.run(claim)
    await house.publish()
    given = [(each.subject, each.content) for each in house.github.state.reactions]
    assert given == [("issue", "eyes"), ("issue", "-1")]
    assert len(house.posted("/reactions")) == 2


async def test_a_commanded_task_is_reacted_to_at_its_command(house: House) -> None:
    await house.adopt(a_rule(on=("command.review",), publish=(REACTION,)), an_agent())
    await house.attempt(event="issue_comment.created")
    await house.publish()
    given = [(each.subject, each.content) for each in house.github.state.reactions]
    assert given == [("comment", "eyes"), ("comment", "+1")]
