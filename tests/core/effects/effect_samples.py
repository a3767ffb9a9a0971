"""A task on a pull request, its claim and its policy, to be varied by the tests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from covend.core.ending import Ending, Finding, Result
from covend.core.model import (
    Claim,
    ClaimToken,
    DeliveryId,
    EffectKind,
    Subject,
    SubjectType,
    Task,
    TaskId,
    Trust,
)
from covend.core.settings import Agent, Policy, Rule
from covend.core.states import Outcome, TaskState

KEY = b"k" * 32
SHA = "1a2b3c4d5e6f708192a3b4c5d6e7f80912345678"
NOON = 1_795_262_400_000  # 2026-11-21T12:00:00Z
PULL = Subject(
    type=SubjectType.PULL_REQUEST,
    number=7,
    title="Scan codes",
    url="https://github.com/acme/till/pull/7",
    author="mara",
    head_sha=SHA,
    base_sha="b" * 40,
)
ISSUE = Subject(type=SubjectType.ISSUE, number=9, title="A bug", author="mara")
COMMIT = Subject(type=SubjectType.COMMIT, head_sha=SHA)
FINDING = Finding(path="src/till/scan.py", line=3, body="The default is shared.", severity="error")
ALL = (EffectKind.CHECK, EffectKind.COMMENT, EffectKind.REVIEW)


def task(**changed: Any) -> Task:
    sample = Task(
        id=TaskId("01kaj3v8qk7w2m5p9x4r6t1zbc"),
        state=TaskState.RUNNING,
        reason="claimed",
        not_before_at=NOON,
        rule="review",
        agent="claude",
        priority=0,
        key="key",
        generation=1,
        policy="0" * 64,
        trust=Trust.WRITE,
        event="pull_request.opened",
        installation_id=1,
        repository_id=42,
        repository="acme/till",
        default_branch="main",
        clone_url="https://github.com/acme/till.git",
        subject=PULL,
        command=None,
        needs=frozenset(),
        delivery=DeliveryId("d"),
        attempts=1,
        failures=0,
        infrastructure_failures=0,
        created_at=NOON,
        updated_at=NOON,
        finished_at=None,
        conclusion=None,
        summary=None,
        error_code=None,
        error_message=None,
        cost_usd=None,
    )
    return replace(sample, **changed)


def claim(*, attempt: int = 1, **changed: Any) -> Claim:
    return Claim(
        task=task(**changed),
        attempt=attempt,
        token=ClaimToken("token"),
        lease_until=NOON + 90_000,
        started_at=NOON,
    )


def policy(*publish: EffectKind) -> Policy:
    rule = Rule(name="review", on=("pull_request",), agent="claude", prompt="", publish=publish)
    return Policy(sha256="0" * 64, rule=rule, agent=Agent(name="claude", command=("claude",)))


def ending(outcome: Outcome = Outcome.SUCCEEDED, **changed: Any) -> Ending:
    """An ending; what `Result` has goes into its result."""
    of_result = {name: changed.pop(name) for name in list(changed) if name in Result.__slots__}
    own = {
        name: of_result.pop(name) for name in ("error_code", "error_message") if name in of_result
    }
    return Ending(outcome=outcome, result=Result(**of_result), **own, **changed)


def found_on(path: str, line: int) -> Finding:
    return replace(FINDING, path=path, line=line)
