"""What becomes of covend's own reviews that a newer one has outdated: one that asks for changes is
dismissed, so that it keeps nobody from merging; any other is folded away.

Which of both a review gets is decided when it is sent, by what the review is then.
https://docs.github.com/en/rest/pulls/reviews#dismiss-a-review-for-a-pull-request
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from covend.core.effects.drafting import draft_of, fence_of, subject_key
from covend.core.ending import Ending
from covend.core.model import Effect, EffectDraft, EffectKind, SubjectType, Task
from covend.core.settings import Policy
from covend.core.states import Outcome

MESSAGE = "Outdated: this rule has looked again since."
_BODY = {"message": MESSAGE, "event": "DISMISS"}


def review_slots(task: Task, policy: Policy) -> str:
    """Give what the slots of all reviews of this rule on this subject begin with."""
    return f"review/{policy.rule.name}/{subject_key(task)}/"


def dismissal_slot(review_id: str) -> str:
    """Name the one visible thing that a review's dismissal is."""
    return f"dismissal/{review_id}"


def slots_beside(review: Effect) -> str:
    """Give what the slots of all reviews of its rule on its subject begin with."""
    return f"{review.slot.rpartition('/')[0]}/"


def dismissal_of(review: Effect, review_id: str) -> EffectDraft:
    """Put away a review that was outdated before it appeared, whatever the head is by then."""
    return EffectDraft(
        kind=EffectKind.DISMISSAL,
        slot=dismissal_slot(review_id),
        subject=review.subject,
        target=review.target,
        request={
            "repository": review.request["repository"],
            "number": review.request["number"],
            "review_id": review_id,
            "body": _BODY,
        },
    )


def outdates(task: Task, policy: Policy, ending: Ending) -> bool:
    """Say whether this end outdates earlier reviews: also where it has nothing more to say, or an
    old demand for changes would stand for ever.
    """
    return (
        EffectKind.REVIEW in policy.rule.publish
        and bool(task.repository)
        and task.subject.type is SubjectType.PULL_REQUEST
        and task.subject.number is not None
        and ending.outcome is Outcome.SUCCEEDED
    )


def plan_dismissals(
    task: Task, policy: Policy, ending: Ending, outdated: Sequence[str]
) -> Iterator[EffectDraft]:
    """Put away the reviews of these ids."""
    if not outdates(task, policy, ending):
        return
    for review_id in outdated:
        request = {
            "number": task.subject.number,
            "review_id": review_id,
            "body": _BODY,
            **fence_of(task, policy),
        }
        yield draft_of(task, EffectKind.DISMISSAL, dismissal_slot(review_id), request)
