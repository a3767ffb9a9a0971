"""What the safeguards have to have learnt: told anew from the attempts alone.

It knows something of a safeguard only from when it was at rest, and nothing of one that was there
when its settings changed.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from covend.core.bounds import Circuit, CrashLoop, Loop, Safeguards
from covend.core.model import Moment
from tests.services.oracles_of_work import Turn, turns_of
from tests.services.promises import Now, Row, is_about

CRASHED = ("exit_code",)
UNSERVED = ("overloaded", "rate_limited")
ANSWERED = ("invalid_result",)
"""The codes here by which a service has answered, though its agent has failed."""
ITS_OWN = ("exit_code", "try_again", "timed_out", "invalid_result")
"""The codes here for which nobody but the agent is to blame."""


@dataclass(slots=True)
class Known:
    """From which move on something is known of each safeguard."""

    since: int = 0
    since_reset: dict[str, int] = field(default_factory=dict)
    doubted: set[str] = field(default_factory=set)
    """Those that were there when their settings changed."""

    def note_reset(self, safeguard: str, now: Now) -> None:
        if safeguard not in now.guards:
            self.since_reset[safeguard] = _newest(now)
            self.doubted.discard(safeguard)

    def note_reload(self, now: Now) -> None:
        self.since = _newest(now)
        self.doubted |= set(now.guards)

    def of(self, safeguard: str, turns: Sequence[Turn]) -> Sequence[Turn]:
        if safeguard in self.doubted:
            return ()
        since = max(self.since, self.since_reset.get(safeguard, 0))
        return [turn for turn in turns if turn.number > since]


def _newest(now: Now) -> int:
    return now.timeline[-1]["number"] if now.timeline else 0


def may_begin(before: Now, after: Now, task: str, settings: Safeguards, known: Known) -> None:
    """Hold a claim against what has happened before it, and against who tries what was shut."""
    claimed, at = after.tasks[task], after.at
    repository, agent = claimed["repository"].lower(), claimed["agent"]
    subject = f"{repository}#{claimed['subject_number']}"
    turns = list(turns_of(before))
    of_agent = [turn for turn in turns if turn.attempt["agent"] == agent]
    in_repository = [turn for turn in turns if _is_alike(turn.task, claimed, "repository_key")]
    crashes = [turn for turn in in_repository if turn.attempt["agent"] == agent]
    on_subject = [turn for turn in in_repository if _is_alike(turn.task, claimed, "subject_number")]
    crashed = known.of(f"crash_loop/agent:{agent}@{repository}", crashes)
    assert not _is_suppressed(crashed, settings.crash_loop, at), "it crashes, and begins again"
    served = known.of(f"circuit/agent:{agent}", of_agent)
    assert not _is_open(served, settings.circuit, at), "its service is down, and it begins"
    rounds = known.of(f"loop/{subject}", on_subject)
    assert not _is_blocked(rounds, settings.loop), "round and round it goes"
    for guard in before.guards.values():
        if guard["state"] in ("open", "half_open") and is_about(guard, claimed):
            now = after.guards[guard["id"]]
            assert now["state"] == "half_open", f"{guard['id']} has let something pass untried"
            assert json.loads(now["details"])["probe"] == task, "another one is its probe"
    _what_answers_is_not_tried(before.guards.get(f"circuit/agent:{agent}"), of_agent)


def _what_answers_is_not_tried(guard: Row | None, turns: Sequence[Turn]) -> None:
    if guard is None or guard["state"] != "half_open":
        return
    probe = json.loads(guard["details"]).get("probe")
    of_probe = [turn for turn in turns if turn.task["id"] == probe and turn.is_end]
    has_answered = bool(of_probe) and of_probe[-1].attempt["outcome"] == "succeeded"
    assert not has_answered, "its service has answered, and is tried once more"


def _is_alike(one: Row, other: Row, name: str) -> bool:
    return bool(one[name] == other[name])


def _is_suppressed(turns: Sequence[Turn], settings: CrashLoop, now: Moment) -> bool:
    until, crashes = 0, list[Moment]()
    for turn in turns:
        if not turn.is_end:
            continue
        at, outcome = turn.attempt["ended_at"], turn.attempt["outcome"]
        if outcome == "succeeded":
            until, crashes = 0, []
        elif outcome == "failed" and turn.attempt["error_code"] in CRASHED and until <= at:
            crashes = _within(settings.window_s, [*crashes, at])
            if len(crashes) >= settings.failures:
                until, crashes = at + round(1000 * settings.suppress_s), []
    return until > now


def _is_open(turns: Sequence[Turn], settings: Circuit, now: Moment) -> bool:
    """Say whether nothing may pass: not even a probe, or one is under way."""
    failures, until, probe = list[Moment](), None, None
    for turn in turns:
        if not turn.is_end:
            probe = turn.task["id"] if until is not None else None
            continue
        at, has_failed = turn.attempt["ended_at"], turn.attempt["error_code"] in UNSERVED
        is_probe, is_served = turn.task["id"] == probe, _is_served(turn)
        if is_probe:
            probe = None
        if is_probe and is_served:
            failures, until = [], None
        elif has_failed and (until is None or is_probe):
            failures = _within(settings.window_s, [*failures, at])
            if len(failures) >= settings.failures or is_probe:
                until = at + round(1000 * settings.open_s)
    return until is not None and (until > now or probe is not None)


def _is_served(turn: Turn) -> bool:
    attempt = turn.attempt
    return attempt["outcome"] == "succeeded" or attempt["error_code"] in ANSWERED


def _is_blocked(turns: Sequence[Turn], settings: Loop) -> bool:
    rounds, alike = 0, Counter[tuple[str, str]]()
    for turn in turns:
        code, rule = turn.attempt["error_code"], turn.task["rule"]
        if not turn.is_end or turn.target not in ("completed", "failed"):
            continue
        if turn.target == "failed" and code not in ITS_OWN:
            continue
        if turn.target == "completed" and turn.task["conclusion"] == "success":
            rounds = 0
            alike.clear()
            continue
        rounds += 1
        again = alike[rule, code] + 1 if turn.target == "failed" else 0
        for kind in [each for each in alike if each[0] == rule]:
            del alike[kind]
        alike[rule, code] = again
        if rounds >= settings.no_progress or again >= settings.identical_failures:
            return True
    return False


def _within(window_s: float, moments: list[Moment]) -> list[Moment]:
    return [each for each in moments if each > moments[-1] - round(1000 * window_s)]
