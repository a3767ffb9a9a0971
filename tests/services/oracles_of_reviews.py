"""What the world may see of findings: those about the head that is there, and none that a newer
look has outdated.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from tests.services.forge import Written
from tests.services.promises import MARKER, Now, Row, Watch

DEMANDS = "CHANGES_REQUESTED"


def findings_are_about_the_head(kind: str, text: str, head: str | None, now: Now) -> None:
    """Of what was found by itself, not by a command, nothing is shown beside another head."""
    found = MARKER.search(text)
    if found is None or head is None:
        return
    name, _, generation = found[2].rpartition(".")
    task = now.tasks.get(name)
    if task is None or task["command"] or task["generation"] != int(generation):
        return
    is_found = any(
        move["task_id"] == name and move["target"] == "completed" for move in now.timeline
    )
    assert not is_found or task["head_sha"] == head, f"a {kind} on a head that has moved"


def only_outdated_reviews_are_put_away(now: Now, watch: Watch) -> None:
    """Each once, and not the newest, unless what was to take its place could not be shown."""
    forge = watch.forge
    twice = [each for each, count in Counter(forge.put_away).items() if count > 1]
    assert not twice, "a review was put away twice"
    missing = {e["slot"].rpartition("/")[0] for e in now.effects if _is_missing(e)}
    newest = _newest(watch)
    for remote in forge.put_away:
        review = next(each for each in forge.written if each.remote == remote)
        if _kind_of(review) not in missing:
            assert newest[_kind_of(review)] != remote, "the newest review was put away"


def no_old_demand_stays(now: Now, watch: Watch, lost: AbstractSet[str]) -> None:
    """In the end: no review keeps anybody from merging that a later look of its rule outdates."""
    done = [each for each in now.effects if each["kind"] == "review" and each["state"] == "done"]
    for effect in done:
        if effect["repository"] in lost or not any(_outdates(each, effect, now) for each in done):
            continue
        shown = watch.forge.shown[int(effect["remote_id"])]
        is_folded = shown["state"] != DEMANDS and shown.get("is_minimized")
        is_away = shown["state"] == "DISMISSED" or is_folded
        assert is_away, f"an outdated review stays: {shown['state']}"


def _outdates(newer: Row, older: Row, now: Now) -> bool:
    kinds = [each["slot"].rpartition("/")[0] for each in (newer, older)]
    is_in_force = now.tasks[newer["task_id"]]["state"] == "completed"
    return bool(kinds[0] == kinds[1] and newer["task_id"] > older["task_id"] and is_in_force)


def _is_missing(effect: Row) -> bool:
    return bool(effect["kind"] == "review" and effect["state"] not in ("done", "withheld"))


def _newest(watch: Watch) -> Mapping[str, int]:
    return {_kind_of(each): each.remote for each in watch.forge.made("review")}


def _kind_of(review: Written) -> str:
    """Name the rule and the pull request."""
    found = MARKER.search(review.body["body"])
    assert found is not None
    return found[1].rpartition("/")[0]


def is_put_away_as_said(effect: Row, watch: Watch) -> bool:
    """Say whether a dismissal, or labels that are done, are to be seen."""
    request = json.loads(effect["request"])
    if effect["kind"] == "dismissal":
        return int(effect["remote_id"]) in watch.forge.put_away
    place = (request["repository"], request["number"])
    return set(request["body"]["labels"]) <= set(watch.forge.labelled.get(place, ()))
