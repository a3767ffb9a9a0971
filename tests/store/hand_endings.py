"""Ends of attempts as tests need them, and a newer head that overtakes one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from covend.core.ending import Ending, Result
from covend.core.model import Claim, Usage
from covend.core.states import Outcome, TaskState
from covend.store.protocol import Settlement
from tests.store.arrivals import NOW, Database

USED = Usage(input_tokens=100, output_tokens=11, cost_usd=0.5)


def ended(
    target: TaskState = TaskState.COMPLETED,
    outcome: Outcome = Outcome.SUCCEEDED,
    **changes: Any,
) -> Settlement:
    """Give the end of an attempt, with changes."""
    plain = Settlement(
        target=target,
        reason="r",
        ending=Ending(outcome=outcome, result=Result(usage=USED), error_code="exit_1"),
    )
    return replace(plain, **changes)


FAILED_AGAIN = ended(TaskState.QUEUED, Outcome.FAILED, not_before_at=NOW + 1)


def supersede(database: Database, claim: Claim) -> None:
    """Let a newer head take its place, as accepting it does."""
    database.connection._writer.execute(  # noqa: SLF001  by hand, past every query
        "UPDATE tasks SET superseded_by = 'newer' WHERE id = ?", (claim.task.id,)
    )
