"""What happens to a pull request, as arrivals; and the lives of the tasks that it asks for."""

from __future__ import annotations

from typing import Any

from msgspec import structs

from covend.core.ending import Ending, Result
from covend.core.model import (
    Claim,
    ClaimToken,
    Command,
    EffectDraft,
    EffectId,
    EffectKind,
    Moment,
    Subject,
    SubjectType,
    Task,
    TaskId,
)
from covend.core.rules.verdicts import TaskDraft
from covend.core.states import Outcome, TaskState
from covend.store.protocol import Arrival, Settlement
from tests.store.arrivals import NOW, Database, arrival, draft, numbers, terms

SECOND = 1000
LEASE_S = 90.0
NUMBER = 7
REVIEW = EffectDraft(
    kind=EffectKind.REVIEW, slot="review", subject="p", target="acme/r1#7", request={"a": 1}
)
CHECK = EffectDraft(
    kind=EffectKind.CHECK, slot="check", subject="p", target="acme/r1#7", request={"a": 1}
)


def wanted(head: str, *, number: int = NUMBER, rule: str = "review", **changes: Any) -> TaskDraft:
    """A draft of a rule on one head of a pull request, whose newest head counts."""
    subject = Subject(type=SubjectType.PULL_REQUEST, number=number, head_sha=head)
    plain = {
        "rule": rule,
        "key": f"{rule}:1:pull_request:{number}:{head}",
        "subject": subject,
        "is_by_head": True,
    }
    return draft(**plain | changes)


def said(
    *drafts: TaskDraft,
    action: str = "synchronize",
    at: Moment | None = None,
    before: str | None = None,
    closed_at: Moment | None = None,
    number: int = NUMBER,
    now: Moment = NOW,
    repository_id: int = 1,
    **event: Any,
) -> Arrival:
    """What a webhook says of a pull request, with the moment that its payload tells."""
    plain = arrival(*drafts, repository_id=repository_id, now=now)
    changed = structs.replace(
        plain.event,
        action=action,
        subject=Subject(type=SubjectType.PULL_REQUEST, number=number),
        subject_updated_at=at,
        before_sha=before,
        closed_at=closed_at,
        sender="ada",
        **event,
    )
    return structs.replace(plain, event=changed)


def pushed(head: str, *, at: Moment | None = NOW, **changes: Any) -> Arrival:
    """A push of a head, of which one rule wants a review."""
    event = {
        name: changes.pop(name) for name in ("before", "now", "action", "number") if name in changes
    }
    numbered = {"number": event["number"]} if "number" in event else {}
    return said(wanted(head, **numbered, **changes), at=at, **event)


def closed(*drafts: TaskDraft, at: Moment, **changes: Any) -> Arrival:
    """The closing of a pull request."""
    return said(*drafts, action="closed", at=at, closed_at=at, **changes)


def commanded(verb: str = "fix", *drafts: TaskDraft, comment_id: int = 1, **event: Any) -> Arrival:
    """A comment that commands something."""
    command = Command(
        verb=verb, text="it", actor="ada", comment_id=comment_id, place="issue_comment"
    )
    asked = [structs.replace(each, command=command) for each in drafts]
    return said(*asked, action="created", command=command, **event)


async def task(database: Database, identifier: TaskId) -> Task:
    """Read a task."""
    story = await database.tasks.story(identifier)
    assert story is not None
    return story.task


async def states(database: Database, *identifiers: TaskId) -> list[str]:
    """Read the states of some tasks."""
    return [str((await task(database, each)).state) for each in identifiers]


async def queued(database: Database, arrived: Arrival) -> TaskId:
    """Accept an arrival that asks for one task."""
    (made,) = (await database.deliveries.accept(arrived)).tasks
    return made


async def claim(database: Database, now: Moment = NOW) -> Claim:
    """Claim the next task."""
    taken = await database.tasks.claim(
        node="n",
        token=ClaimToken(f"token-{next(numbers)}"),
        now=now,
        lease_s=LEASE_S,
        terms=terms(),
    )
    assert taken.claim is not None, "there is nothing to claim"
    return taken.claim


async def settled(
    database: Database, taken: Claim, target: TaskState, *effects: EffectDraft, **changes: Any
) -> TaskState:
    """Settle an attempt; give the state that its task ended in."""
    outcome = Outcome.SUCCEEDED if target is TaskState.COMPLETED else Outcome.FAILED
    settlement = Settlement(
        target=target,
        reason="settled",
        ending=Ending(outcome=outcome, result=Result(summary="Fine.")),
        effects=tuple(named(*effects)),
        **changes,
    )
    written = await database.tasks.settle(taken, settlement, NOW)
    return written.target


async def tried(database: Database, arrived: Arrival, **changes: Any) -> TaskId:
    """Accept an arrival, try its task once, and leave it waiting for its next try."""
    made = await queued(database, arrived)
    taken = await claim(database)
    assert taken.task.id == made
    await settled(database, taken, TaskState.QUEUED, not_before_at=NOW + SECOND, **changes)
    return made


def named(*effects: EffectDraft) -> list[tuple[EffectId, EffectDraft]]:
    """Give drafts their ids."""
    return [(EffectId(f"e{next(numbers):09d}"), each) for each in effects]
