"""What may go on where covend is not installed any more: nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tests.services.happenings import GIVEN, LOST, Told
from tests.services.promises import Now, Watch

FOR_GOOD = "installation.deleted"


def nothing_goes_on_there(now: Now, watch: Watch) -> None:
    """After a look for what is gone: its work has ended, or was asked to."""
    lost = lost_by(watch.told)
    for task in now.open_tasks():
        if task["repository"] in lost:
            assert task["state"] == "running", f"it waits, and its place is gone: {task['reason']}"
            assert task["cancel_requested_at"] is not None, "it goes on, and its place is gone"


def lost_by(told: Iterable[Told]) -> Mapping[str, str]:
    """List the repositories that are lost by all that was heard of them, each with what was."""
    heard = [each for each in told if each.name in LOST + GIVEN and each.accepted is not None]
    newest = {each.place[0]: each.name for each in sorted(heard, key=lambda each: each.at)}
    newest |= {each.place[0]: each.name for each in heard if each.name == FOR_GOOD}
    return {repository: name for repository, name in newest.items() if name in LOST}
