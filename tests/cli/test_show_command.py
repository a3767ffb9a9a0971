"""What `covend show` says of a command that was given to covend itself."""

from __future__ import annotations

import pytest

from covend.core.rules.verdicts import ClauseResult, Verdict
from tests.cli.operator_desk import Operator
from tests.cli.test_show import judged


@pytest.mark.parametrize(
    ("verb", "told"),
    [("approve", "`approve` is covend's own: its log tells what came of it"), ("fix", None)],
)
async def test_show_says_of_a_command_to_covend_itself_where_its_outcome_is_told(
    operator: Operator, verb: str, told: str | None
) -> None:
    said = (f"command.{verb}", "issue_comment.created")
    clause = ClauseResult(name="on", satisfied=False, values=said, conditions=("push",))
    verdict = Verdict(rule="review", matched=False, reason="event_not_wanted", clauses=(clause,))
    accepted = await operator.desk.deliveries.accept(judged(verdict))
    shown = (await operator.run("show", accepted.delivery)).output
    assert told in shown if told else "is covend's own" not in shown
