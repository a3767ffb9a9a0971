"""What has to add up of the work that was done: tries, costs, generations, what follows, and the
order in which it was claimed.

It counts from the attempts and the timeline alone, never from what covend has counted itself.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from covend.core.model import Moment
from tests.services.ground import RETRY
from tests.services.happenings import STRANGER
from tests.services.promises import DAY_MS, Now, Row, Watch

FAILED = ("failed", "timed_out", "idle_timed_out")
INTERRUPTED = ("interrupted", "lost")
ENDED = ("completed", "failed", "cancelled", "superseded")
PUT_OFF = ("rate_limited", "github_rate_limited")
"""The codes here of what the outside has put off to a moment: no try is used up by it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """An attempt, in the order of beginnings or ends, and what its task became by its end."""

    task: Row
    attempt: Row
    generation: int
    """How often the task had been asked for once more."""
    is_end: bool
    target: str
    reason: str
    number: int
    """In the timeline."""

    @property
    def has_failed(self) -> bool:
        """Say whether it has used up a try."""
        code = self.attempt["error_code"]
        return self.is_end and self.attempt["outcome"] in FAILED and code not in PUT_OFF


def turns_of(now: Now) -> Iterator[Turn]:
    """Tell all beginnings and ends of attempts in the order in which they were written."""
    attempts = {(each["task_id"], each["number"]): each for each in now.attempts}
    begun, asked = Counter[str](), Counter[str]()
    for move in now.timeline:
        task, source, target = move["task_id"], move["source"], move["target"]
        is_begin, is_end = "running" == target != source, "running" == source != target
        begun[task] += is_begin
        asked[task] += source in ("failed", "cancelled") and target == "queued"
        if is_begin or is_end:
            yield Turn(
                task=now.tasks[task],
                attempt=attempts[task, begun[task]],
                generation=asked[task],
                is_end=is_end,
                target=target,
                reason=move["reason"],
                number=move["number"],
            )


def work_adds_up(now: Now, watch: Watch, *, is_forgiven: bool) -> None:
    turns = list(turns_of(now))
    _costs_are_sums(now)
    if not is_forgiven:
        _spending_is_what_attempts_cost(now, watch)
    _tries_have_their_number(turns)
    _ends_agree_with_attempts(now, turns)
    _each_end_is_told_once(now, watch)
    _deliveries_say_what_they_did(watch)
    _nobody_is_served_who_may_not_ask(now, watch)


# --- what it cost ---------------------------------------------------------------------------------


def _costs_are_sums(now: Now) -> None:
    cost = Counter[str]()
    for attempt in now.attempts:
        cost[attempt["task_id"]] += attempt["cost_usd"] or 0
    for task in now.tasks.values():
        assert (task["cost_usd"] or 0) == cost[task["id"]], "a cost is lost, or counted twice"


def _spending_is_what_attempts_cost(now: Now, watch: Watch) -> None:
    spent = Counter[tuple[str, int]]()
    for attempt in now.attempts:
        task, usd = now.tasks[attempt["task_id"]], attempt["cost_usd"]
        if usd:
            repository, day = task["repository"].lower(), attempt["ended_at"] // DAY_MS
            subject = f"{repository}#{task['subject_number']}"
            spent["all", day] += usd
            spent[f"repository:{repository}", day] += usd
            spent[f"rule:{task['rule']}@{subject}", 0] += usd
            spent[f"agent:{attempt['agent']}@{subject}", 0] += usd
    kept = {(row["scope"], row["day"]): row["usd"] for row in watch.ask("SELECT * FROM spending")}
    assert kept == spent, "a budget has counted something else than what was spent"


# --- how often it was tried -----------------------------------------------------------------------


def _tries_have_their_number(turns: Sequence[Turn]) -> None:
    """No agent has more tries of a task than it may; what gave up because they were used up had
    all of them. Asked for once more, it has all of them again.
    """
    ends = sorted((each for each in turns if each.is_end), key=_version)
    for _, group in groupby(ends, key=_version):
        of_version = list(group)
        interrupted = sum(each.attempt["outcome"] in INTERRUPTED for each in of_version)
        returned = [each for each in of_version if each.attempt["outcome"] in INTERRUPTED]
        again = sum(each.target == "queued" for each in returned)
        assert again <= RETRY.infrastructure, "given back too often"
        failed = Counter(each.attempt["agent"] for each in of_version if each.has_failed)
        assert max(failed.values(), default=0) <= RETRY.attempts, "an agent has had too many tries"
        last = of_version[-1]
        if last.target == "failed" and last.reason.endswith("exhausted"):
            if last.attempt["outcome"] in INTERRUPTED:
                assert interrupted == RETRY.infrastructure + 1, "not given back often enough"
            else:
                assert failed[last.attempt["agent"]] == RETRY.attempts, "it had more tries to come"


def _version(turn: Turn) -> tuple[str, int]:
    return turn.task["id"], turn.generation


def nothing_too_old_waits(now: Now) -> None:
    """After a look for what is to end: nothing waits for a try that would come too late."""
    first: dict[tuple[str, int], Moment] = {}
    asked = Counter[str]()
    for turn in turns_of(now):
        asked[turn.task["id"]] = turn.generation
        if turn.is_end and turn.attempt["outcome"] in FAILED:
            first.setdefault(_version(turn), turn.attempt["started_at"])
    for task in now.tasks.values():
        since = first.get((task["id"], asked[task["id"]]))
        if task["state"] == "queued" and since is not None and not _is_new(task, now):
            assert now.at < since + round(1000 * RETRY.age_s), "it waits, and is too old to"


def _is_new(task: Row, now: Now) -> bool:
    """Say whether it was asked for once more, and has not run since."""
    moves = [each for each in now.timeline if each["task_id"] == task["id"]]
    asked = [each["number"] for each in moves if each["source"] in ("failed", "cancelled")]
    begun = [each["number"] for each in moves if each["target"] == "running"]
    return bool(asked) and max(asked) > max(begun, default=0)


# --- what became of it ----------------------------------------------------------------------------


def _ends_agree_with_attempts(now: Now, turns: Sequence[Turn]) -> None:
    asked = Counter[str]()
    for move in now.timeline:
        asked[move["task_id"]] += move["source"] in ("failed", "cancelled")
    for task in now.tasks.values():
        assert task["generation"] > asked[task["id"]], "asked for once more as what it was before"
        assert (task["finished_at"] is not None) == (task["state"] in (*ENDED, "ignored"))
        assert (task["conclusion"] is None) or task["state"] in ENDED, "it is open, and concluded"
    for turn in turns:
        if turn.is_end:
            is_good = turn.attempt["outcome"] == "succeeded"
            assert is_good == (turn.target == "completed"), (
                "what succeeds is completed, and only it"
            )
            if turn.target in ("cancelled", "superseded"):
                assert turn.attempt["outcome"] == turn.target


def _each_end_is_told_once(now: Now, watch: Watch) -> None:
    """There is a rule that follows every completed and every failed task."""
    told = [row["task"] for row in watch.ask(_OWN)]
    ends = Counter[str]()
    for move in now.timeline:
        ends[move["task_id"]] += _is_told(move)
    assert len(told) == ends.total(), "an end was not told, or more than once"
    for task in now.tasks.values():
        if task["rule"] == "after":
            assert ends[task["parent_id"]], "it follows what has not ended"


def _is_told(move: Row) -> bool:
    return bool(move["source"] != move["target"] and move["target"] in ("completed", "failed"))


_OWN = "SELECT id AS task FROM deliveries WHERE source = 'covend'"


def _deliveries_say_what_they_did(watch: Watch) -> None:
    whys: dict[str, set[str]] = {}
    for row in watch.ask("SELECT * FROM delivery_tasks"):
        whys.setdefault(row["delivery_id"], set()).add(row["reason"])
    for row in watch.ask("SELECT id, reason FROM deliveries WHERE state = 'routed'"):
        is_new = "new" in whys[row["id"]]
        assert is_new == (row["reason"] != "same_work"), "it says that its work was there already"
    for told in watch.told:
        if told.accepted is not None:
            rows = watch.ask("SELECT reason FROM deliveries WHERE id = ?", told.accepted.delivery)
            assert rows[0]["reason"] == told.accepted.reason, "another reason than was given"


# --- who may ask ----------------------------------------------------------------------------------

_MAY_SAY = ("status", "help")


def _nobody_is_served_who_may_not_ask(now: Now, watch: Watch) -> None:
    for task in now.tasks.values():
        if task["actor"] == STRANGER.login and task["attempts"]:
            assert task["rule"] != "fix", "a stranger may not ask for this"
            is_approved = task["event"] != "pull_request.opened" or task["approved_at"]
            assert is_approved, "a stranger's work, and nobody said yes"
    last: dict[tuple[str, int], Moment] = {}
    for row in watch.ask(_COMMANDS):
        said = json.loads(row["command"])
        if said["actor"] == STRANGER.login and not row["is_wanted"]:
            assert row["state"] != "done" or row["verb"] in _MAY_SAY, "a stranger commands"
        place = (row["repository_key"], row["subject_number"])
        if row["done_at"] is not None:
            assert row["done_at"] >= last.get(place, 0), "what was said first was done second"
        last[place] = max(last.get(place, 0), row["done_at"] or now.at)


_COMMANDS = "SELECT * FROM commands ORDER BY created_at, comment_id, delivery_id"
