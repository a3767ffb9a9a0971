"""The labels that an agent wishes for an issue or pull request: added beside those it has, none is
ever taken away.

A name that GitHub would refuse is cut, or left out where it is not one plain line.
https://docs.github.com/en/rest/issues/labels#add-labels-to-an-issue
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from covend.core.effects.drafting import draft_of, fence_of, subject_key, version_of
from covend.core.effects.texts import clean
from covend.core.ending import Ending
from covend.core.model import EffectDraft, EffectKind, SubjectType, Task
from covend.core.settings import Policy
from covend.core.states import Outcome

LABELS_MAX = 10
NAME_MAX = 50
_LABELLED = frozenset({SubjectType.PULL_REQUEST, SubjectType.ISSUE})
_CONTROLS = frozenset("\n\t")


def plan_labels(task: Task, policy: Policy, ending: Ending) -> Iterator[EffectDraft]:
    """Add the labels of a result, where its rule publishes labels and the subject can have some."""
    subject = task.subject
    is_wanted = EffectKind.LABELS in policy.rule.publish and ending.outcome is Outcome.SUCCEEDED
    if not is_wanted or not task.repository or subject.number is None:
        return
    names = names_of(ending.result.labels)
    if subject.type not in _LABELLED or not names:
        return
    slot = f"labels/{policy.rule.name}/{subject_key(task)}/{version_of(task)}"
    request = {
        "number": subject.number,
        "on": subject.type,
        "body": {"labels": list(names)},
        **fence_of(task, policy),
    }
    yield draft_of(task, EffectKind.LABELS, slot, request)


def names_of(labels: Sequence[str]) -> tuple[str, ...]:
    """Give the names as GitHub takes them, each once in any case, the first ones first."""
    names = {name.casefold(): name for name in map(_name, reversed(labels)) if name}
    return tuple(reversed(names.values()))[:LABELS_MAX]


def _name(label: str) -> str:
    """Cut a name; "" of what has control characters, or nothing to read."""
    if clean(label) != label or _CONTROLS & set(label):
        return ""
    return " ".join(label.split())[:NAME_MAX].rstrip()
