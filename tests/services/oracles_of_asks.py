"""What becomes of an ask for a check to be made again: one more version of the work, or a word that
there is none.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence

from tests.services.ground import PUBLISHED
from tests.services.happenings import RERUNNER
from tests.services.promises import OPEN, Now, Row, Watch

Work = tuple[str, str]
"""A rule and the head that it was about."""
ASKS = "SELECT * FROM reruns ORDER BY created_at"
_NEW = """\
SELECT t.rule, t.head_sha FROM delivery_tasks AS l
INNER JOIN deliveries AS d ON d.id = l.delivery_id
INNER JOIN tasks AS t ON t.id = l.task_id
WHERE d.via = 'replay' AND l.reason = 'new'"""
UNFIT = "Cannot be made again"


def no_ask_is_heard_twice(now: Now, watch: Watch) -> None:
    """Whatever came in between: nothing is done more often than somebody has asked for it."""
    asked = Counter(work for ask in watch.ask(ASKS) for work in _meant(ask, now))
    made = Counter((row["rule"], row["head_sha"]) for row in watch.ask(_NEW))
    for move in now.timeline:
        if move["reason"] == f"@{RERUNNER.login}" and move["source"] != move["target"]:
            task = now.tasks[move["task_id"]]
            made[task["rule"], task["head_sha"]] += 1
    assert not made - asked, "a check was made again, and nobody has asked for that"


def asks_are_heard(before: Now, after: Now, open_before: Sequence[Row], watch: Watch) -> None:
    """After a look for asks: each that was ended has made one more version of what had ended
    before it, and none of what is still to end.
    """
    still = {ask["delivery_id"] for ask in watch.ask(ASKS) if ask["state"] == "received"}
    asked: dict[Work, int] = {}
    for ask in open_before:
        if ask["delivery_id"] not in still:
            for work in _meant(ask, before):
                asked[work] = max(asked.get(work, 0), ask["created_at"])
    for (rule, head), at in asked.items():
        newest = max(_tasks(rule, head, before), key=lambda each: each["id"])
        is_over = newest["state"] not in OPEN and newest["finished_at"] <= at
        versions = [sum(each["generation"] for each in _of(newest, now)) for now in (before, after)]
        was, grown = _of(newest, before), versions[1] > versions[0]
        again = len(_of(newest, after)) - len(was) or int(grown)
        told = _unfit(newest["id"], after) - _unfit(newest["id"], before)
        assert again + told == is_over, "an ask that was not heard, or more than once"


def _meant(ask: Row, now: Now) -> Iterator[Work]:
    head = ask["head_sha"]
    if ask["external_id"] is None:
        rules = {each["rule"] for each in now.tasks.values() if each["head_sha"] == head}
        yield from ((rule, head) for rule in rules if "check" in PUBLISHED[rule])
    else:
        named = now.tasks[ask["external_id"].rpartition(".")[0]]
        assert named["head_sha"] == head
        yield named["rule"], head


def _tasks(rule: str, head: str, now: Now) -> list[Row]:
    wanted = (rule, head)
    return [each for each in now.tasks.values() if (each["rule"], each["head_sha"]) == wanted]


def _of(task: Row, now: Now) -> list[Row]:
    return [each for each in now.tasks.values() if each["key"] == task["key"]]


def _unfit(task: str, now: Now) -> int:
    bodies = (json.loads(e["request"])["body"] for e in now.effects if e["task_id"] == task)
    return sum(UNFIT in (body.get("output") or {}).get("title", "") for body in bodies)
