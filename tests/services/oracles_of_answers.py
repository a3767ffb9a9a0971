"""What is said to whoever delivers: to a repetition the same as before, to all else what is so."""

from __future__ import annotations

from covend.core.model import Moment
from covend.store.protocol import Accepted
from tests.services.ground import ON_PULLS
from tests.services.happenings import Told
from tests.services.promises import Watch


def the_answer_is_right(
    told: Told,
    answer: Accepted,
    watch: Watch,
    at: Moment,
    is_alone: bool,
) -> None:
    """A repetition gets the first answer; work that is asked for is there, and will be done; what
    is past asks for nothing.
    """
    if told.accepted is not None:
        assert answer.duplicate
        assert set(answer.tasks) == set(told.accepted.tasks)
        return
    if is_alone:
        watch.does_the_work(answer.tasks, at)
    others = [each for each in watch.told if each.place == told.place and each is not told]
    if answer.reason == "stale":
        assert any(each.at >= told.at for each in others)
    elif told.name in ON_PULLS and is_alone:
        assert not any(_was_closed_after(told, each) for each in others), "it is long closed"
    assert (answer.state == "routed") == bool(answer.tasks)
    told.accepted = answer


def _was_closed_after(told: Told, other: Told) -> bool:
    is_closing = other.name == "pull_request.closed" and other.accepted is not None
    return is_closing and other.at > told.at
