"""What the world has to see of the work: all of it, once, and the truth.

It holds the outbox against the timeline, and the forge against the outbox.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from tests.services.ground import PUBLISHED
from tests.services.oracles_of_reviews import (
    is_put_away_as_said,
    no_old_demand_stays,
    only_outdated_reviews_are_put_away,
)
from tests.services.promises import ANNOTATED, MADE, Now, Row, Watch

OPEN = ("pending", "sending", "unknown")
ENDS_IT = ("cancelled", "failed", "superseded", "ignored")
UNASKED = ("closed", "installation_suspended", "installation_deleted")
"""What cancels a task without anybody's asking for that."""
SEEN_ENDS = ("completed", "failed", "cancelled")
"""Ends of an attempt that its status comment tells of; of what is superseded, its check is all."""
_VERDICTS = {
    "success": "success",
    "neutral": "neutral",
    "failure": "failure",
    "needs_input": "action_required",
}


def the_world_sees_the_work(now: Now, watch: Watch) -> None:
    by_task: dict[str, list[Row]] = {}
    for effect in now.effects:
        by_task.setdefault(effect["task_id"] or "", []).append(effect)
    for task in now.tasks.values():
        _has_its_effects(task, now, by_task.get(task["id"], []))
    _only_the_end_is_still_to_be_shown(now, by_task)
    _what_is_visible_is_known(now, watch)
    _every_command_is_answered(now, watch)
    only_outdated_reviews_are_put_away(now, watch)


def _has_its_effects(task: Row, now: Now, effects: list[Row]) -> None:
    """Each end of an attempt has written what its rule publishes, and nothing else was withheld
    than what a newer head or an end has made untrue.
    """
    kinds = Counter(each["kind"] for each in effects)
    moves = [each for each in now.timeline if each["task_id"] == task["id"]]
    moved = [each for each in moves if each["source"] != each["target"]]
    ends = Counter(each["target"] for each in moved if each["source"] == "running")
    published = PUBLISHED[task["rule"]]
    told = sum(ends[each] for each in SEEN_ENDS)
    assert kinds["comment"] == told * ("comment" in published), "an end, and what is said of it"
    for kind in ("review", "labels"):
        assert kinds[kind] == ends["completed"] * (kind in published), f"{kind} is missing"
    if "check" in published:
        checks = [_body(each)["status"] for each in effects if each["kind"] == "check"]
        overdue = sum(each["source"] == "completed" for each in moved)
        assert checks.count("completed") >= told + ends["superseded"] + overdue, "no end is shown"
    for effect in effects:
        if effect["state"] == "withheld":
            is_over = task["state"] in ENDS_IT
            is_told_anew = any(
                other["slot"] == effect["slot"] and other["id"] != effect["id"]
                for other in now.effects
            )
            is_overtaken = is_over or task["superseded_by"] or task["generation"] > 1
            assert is_overtaken or is_told_anew, "withheld, and nothing overtook it"


def _only_the_end_is_still_to_be_shown(now: Now, by_task: Mapping[str, list[Row]]) -> None:
    """Of what ended by itself while nobody was at it, nothing that was said before is still to
    leave, unless somebody has asked for it since.
    """
    moved = {each["task_id"]: each for each in now.timeline if each["source"] != each["target"]}
    for task, move in moved.items():
        is_by_itself = move["target"] != "cancelled" or move["reason"] in UNASKED
        if move["source"] == "running" or move["target"] not in ENDS_IT or not is_by_itself:
            continue
        for effect in by_task.get(task, []):
            is_new = effect["state"] == "pending" and not effect["tries"]
            is_older = max(effect["created_at"], effect["not_before_at"]) < move["at"]
            assert not (is_new and is_older), "its end is known, and what was before is to be shown"


def _what_is_visible_is_known(now: Now, watch: Watch) -> None:
    """Whatever covend has made visible belongs to an effect that is done, or that is not known to
    be.
    """
    made_by = [each for each in now.effects if each["kind"] in MADE]
    places = {each["remote_id"] for each in made_by if each["state"] == "done"}
    doubtful = {each["kind"] for each in now.effects if each["state"] in OPEN}
    for made in watch.forge.written:
        is_known = str(made.remote) in places
        assert is_known or made.kind in doubtful, f"a {made.kind} that nobody knows of"
    kinds = {made.remote: made.kind for made in watch.forge.written}
    for effect in made_by:
        if effect["state"] == "done":
            assert kinds[int(effect["remote_id"])] == effect["kind"], "done as something else"


def _every_command_is_answered(now: Now, watch: Watch) -> None:
    """By one reaction each; several commands of one comment may share it."""
    slots = Counter(each["slot"] for each in now.effects if each["task_id"] is None)
    for row in watch.ask("SELECT * FROM commands"):
        place = f"reaction/{row['place']}/{row['comment_id']}/"
        answers = sum(count for slot, count in slots.items() if slot.startswith(place))
        assert answers == (row["state"] != "received"), "a command has one answer at its end"
        if row["state"] == "done" and row["verb"] in ("status", "help"):
            said = slots[f"reply/{row['place']}/{row['comment_id']}"]
            assert said == 1, "who asks is told"


def in_the_end_the_truth_is_shown(now: Now, watch: Watch, lost: AbstractSet[str]) -> None:
    """Every visible thing is as the newest effect of it says, and every check says how its task
    has ended, but for those in repositories that are lost for good.
    """
    newest: dict[str, Row] = {}
    for effect in now.effects:
        if effect["state"] == "done" and effect["kind"] in MADE:
            newest[effect["remote_id"]] = effect
        elif effect["state"] == "done":
            assert is_put_away_as_said(effect, watch), f"no {effect['kind']} is there"
    for remote, effect in newest.items():
        shown = watch.forge.shown[int(remote)]
        for name, said in _body(effect).items():
            assert shown[name] == said, f"an older {effect['kind']} is shown"
        if effect["kind"] == "check" and effect["repository"] not in lost:
            _is_true(now.tasks[effect["task_id"]], shown)
    no_old_demand_stays(now, watch, lost)


def _is_true(task: Row, shown: dict[str, Any]) -> None:
    generation = int(shown["external_id"].rpartition(".")[2])
    if shown["name"] == ANNOTATED and generation != task["generation"]:
        return
    match task["state"]:
        case "completed":
            wanted = {_VERDICTS[task["conclusion"]]}
        case "failed":
            wanted = {"failure", "timed_out"}
        case "cancelled":
            wanted = {"cancelled"}
        case _:
            wanted = {"neutral"}
    assert shown["conclusion"] in wanted, f"a check says {shown['conclusion']}: {task['state']}"


def _body(effect: Row) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(effect["request"])["body"]
    return body
