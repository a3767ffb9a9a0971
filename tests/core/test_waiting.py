from __future__ import annotations

from typing import Any

import pytest

from covend.core.model import Need, Task, TaskId, Trust
from covend.core.safeguards.shapes import FOREVER, Safeguard, SafeguardKind, Waiting
from covend.core.states import TaskState
from covend.core.waiting import (
    explain_safeguard,
    explain_waiting,
    in_words,
    is_over,
    release_command,
)
from tests.core.effects.effect_samples import ISSUE, NOON, task

LATER = NOON + 243_000
ID = "01kaj3v8qk7w2m5p9x4r6t1zbc"


def queued(reason: str, until: int = LATER, **changed: Any) -> Task:
    return task(state=TaskState.QUEUED, reason=reason, not_before_at=until, **changed)


def received(reason: str, until: int = LATER, **changed: Any) -> Task:
    return task(state=TaskState.RECEIVED, reason=reason, not_before_at=until, **changed)


def guard(identifier: str, **changed: Any) -> Safeguard:
    kind, _, scope = identifier.partition("/")
    plain: dict[str, Any] = {
        "state": "holding",
        "reason": "it is full",
        "until": None,
        "values": {},
    }
    return Safeguard(id=identifier, kind=SafeguardKind(kind), scope=scope, **plain | changed)


BLOCK = guard("loop/acme/till#7", state="blocked", reason="20 turns without progress")
PAUSE = guard("pause/all", state="paused", reason="operator: deploy")
RULE_PAUSE = guard("pause/rule:review", state="paused", reason="operator")
DRAIN = guard("drain/all", state="draining", reason="operator")
CRASHES = guard("crash_loop/agent:claude@acme/till", state="suppressed", reason="3 crashes")
HOST = guard("circuit/host:api.github.com", state="open", reason="5 failures")
RATE = guard("rate/rule=review", reason="10 attempts have started within 60 s")
BUDGET = guard("budget/rule:review@acme/till#7", reason="2.00 of 1.50 USD are spent")
DAY_BUDGET = guard(
    "budget/repository:acme/till", until=LATER, reason="9.10 of 9.00 USD are spent today"
)


# --- tasks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("waits", "told"),
    [
        (queued("ripe", NOON), "it runs as soon as a slot is free"),
        (queued("rate_limited", NOON), "it runs as soon as a slot is free"),
        (queued("retry", error_code="exit_code"), "failed (exit_code); the next begins in 4 min 3"),
        (queued("retry"), "its last attempt failed; the next begins in 4 min 3 s"),
        (queued("recovered"), "was cut off, not by its own fault; the next begins in 4 min 3 s"),
        (queued("deferred", error_code="overloaded"), "asks to wait (overloaded); it goes on in 4"),
        (queued("rate_limited"), "covend's own or outside; it goes on in 4 min 3 s"),
        (queued("circuit_open"), "what it needs outside does not answer as it should"),
        (queued("budget"), "the budget of the day is spent; it goes on in 4 min 3 s"),
        (queued("budget", FOREVER), "acme/till#7 may cost is spent; `covend unblock budget/…`"),
        (queued("paused", FOREVER), "an operator has paused it; `covend safeguards`"),
        (queued("blocked", FOREVER), "makes no progress; `covend unblock acme/till#7`"),
        (queued("suppressed"), "`covend unblock crash_loop/agent:claude@acme/till`"),
        (queued("key_busy"), "the same work is running already"),
        (queued("closed", NOON), "was closed; it ends in a moment"),
        (queued("retry", superseded_by=TaskId("01new")), "took its place (task 01new); it ends"),
        (queued("a new reason"), "it waits (a new reason); it goes on in 4 min 3 s"),
        (received("debounce"), "further pushes are gathered; it goes on in 4 min 3 s"),
        (received("new"), "further pushes are gathered"),
        (received("new", NOON), "it has just come in"),
        (
            received("look_up", needs=frozenset({Need.HEAD, Need.PATHS})),
            "GitHub is asked for the changed paths and the head commit",
        ),
        (
            received("look_up: github_unreachable", needs=frozenset({Need.PERMISSION})),
            "did not tell the permission of who asks (github_unreachable); it is asked again in 4",
        ),
        (received("checks_pending"), "other checks of its commit are not over"),
        (received("fault"), "covend itself failed at it, as its log tells"),
        (
            received("approval", FOREVER, trust=Trust.FORK, actor="mara"),
            f"it comes from a fork (mara); `covend approve {ID}`, or `/covend approve` by somebody",
        ),
        (received("approval", FOREVER, trust=Trust.WRITE), "its rule holds the work of write;"),
        (task(superseded_by=TaskId("01new")), "took its place (task 01new); its agent is stopped"),
        (task(cancel_requested_at=NOON), "it is to be cancelled; its agent is stopped"),
    ],
)
def test_every_reason_to_wait_is_told_in_words(waits: Task, told: str) -> None:
    assert told in explain_waiting(waits, NOON)


@pytest.mark.parametrize(
    ("waits", "guards", "told"),
    [
        (
            queued("blocked", FOREVER),
            [BLOCK],
            "in circles: 20 turns without progress; `covend unblock acme/till#7` lets it go on",
        ),
        (
            queued("paused", FOREVER),
            [PAUSE],
            "everything is paused, by operator: deploy; `covend resume` lets it go on",
        ),
        (
            queued("paused", FOREVER),
            [RULE_PAUSE, guard("pause/agent:codex", state="paused")],
            "rule review is paused, by operator; `covend resume --rule review` lets it go on",
        ),
        (
            queued("paused", FOREVER),
            [PAUSE, DRAIN],
            "nothing is taken in and nothing starts, by operator; `covend resume` lets it go on",
        ),
        (queued("ripe", NOON), [DRAIN], "nothing is taken in and nothing starts, by operator; `"),
        (queued("retry"), [PAUSE], "its last attempt failed; the next begins in 4 min 3 s"),
        (queued("circuit_open"), [HOST], "host api.github.com does not answer as it should; it is"),
        (queued("rate_limited"), [RATE], "too much has started of late (`covend safeguards`);"),
        (queued("suppressed"), [CRASHES], "agent claude keeps crashing here (3 crashes); it goes"),
        (queued("budget", FOREVER), [BUDGET], f"`covend unblock {BUDGET.id}` begins its budget"),
        (
            queued("budget"),
            [guard("budget/all", until=NOON), DAY_BUDGET, guard("budget/repository:acme/rye")],
            "(9.10 of 9.00 USD are spent today); it goes on in 4 min 3 s, `covend unblock budget/r",
        ),
    ],
)
def test_what_holds_a_task_says_what_it_has_counted(
    waits: Task, guards: list[Safeguard], told: str
) -> None:
    assert told in explain_waiting(waits, NOON, guards)


def test_another_subjects_block_is_not_told_of_this_one() -> None:
    about_another = explain_waiting(queued("blocked", FOREVER, subject=ISSUE), NOON, [BLOCK])
    assert (
        about_another == "acme/till#9 makes no progress; `covend unblock acme/till#9` lets it go on"
    )


@pytest.mark.parametrize(
    "state", [state for state in TaskState if state not in {TaskState.RECEIVED, TaskState.QUEUED}]
)
def test_what_waits_for_nothing_is_not_explained(state: TaskState) -> None:
    assert explain_waiting(task(state=state, reason="paused"), NOON) == ""


@pytest.mark.parametrize("reason", Waiting)
def test_no_reason_of_a_safeguard_lacks_its_sentence(reason: Waiting) -> None:
    assert f"({reason})" not in explain_waiting(queued(reason), NOON)


def test_a_task_about_nothing_is_explained_as_well() -> None:
    nothing = queued("blocked", FOREVER, repository=None, repository_id=None)
    assert explain_waiting(nothing, NOON).startswith("it makes no progress")


# --- safeguards -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("which", "told", "command"),
    [
        (PAUSE, "everything is paused, by operator: deploy", "covend resume"),
        (RULE_PAUSE, "rule review is paused, by operator", "covend resume --rule review"),
        (
            guard("pause/repository:acme/till", state="paused", reason="@mara"),
            "repository acme/till is paused, by @mara",
            "covend resume --repo acme/till",
        ),
        (DRAIN, "nothing is taken in and nothing starts, by operator", "covend resume"),
        (
            BLOCK,
            "acme/till#7 goes round in circles: 20 turns without progress",
            "covend unblock acme/till#7",
        ),
        (CRASHES, "agent claude rests in acme/till: 3 crashes", f"covend unblock {CRASHES.id}"),
        (
            HOST,
            "host api.github.com rests until one task gets through: 5 failures",
            f"covend unblock {HOST.id}",
        ),
        (
            guard(HOST.id, state="half_open", reason="5 failures"),
            "one task tries whether host api.github.com answers: 5 failures",
            f"covend unblock {HOST.id}",
        ),
        (RATE, "10 attempts have started within 60 s", ""),
        (BUDGET, "2.00 of 1.50 USD are spent", f"covend unblock {BUDGET.id}"),
        (
            guard("loop/a/b#1", state="counting", reason="3 turns"),
            "3 turns",
            "covend unblock a/b#1",
        ),
    ],
)
def test_every_safeguard_says_what_it_does_and_what_lets_it_go(
    which: Safeguard, told: str, command: str
) -> None:
    assert (explain_safeguard(which), release_command(which)) == (told, command)


@pytest.mark.parametrize("kind", SafeguardKind)
def test_every_kind_of_safeguard_has_its_words(kind: SafeguardKind) -> None:
    assert explain_safeguard(guard(f"{kind}/all"))


@pytest.mark.parametrize(
    ("identifier", "until", "over"),
    [
        ("rate/rule=review", NOON, True),
        ("rate/rule=review", NOON + 1, False),
        ("budget/all", NOON, True),
        ("budget/rule:review@a/b#1", None, False),
        ("crash_loop/agent:claude@a/b", NOON, True),
        ("circuit/agent:claude", NOON, False),
        ("pause/all", None, False),
    ],
)
def test_what_has_let_go_by_itself_is_over(identifier: str, until: int | None, over: bool) -> None:
    assert is_over(guard(identifier, until=until), NOON) is over


@pytest.mark.parametrize(
    ("ms", "told"),
    [
        (-1, "now"),
        (0, "now"),
        (1, "in 1 s"),
        (59_001, "in 1 min 0 s"),
        (3_600_000, "in 1 h 0 min"),
        (90_000_000, "in 1 d 1 h"),
        (FOREVER, "when somebody lets it"),
    ],
)
def test_a_moment_is_told_by_its_two_largest_units(ms: int, told: str) -> None:
    assert in_words(NOON + ms if ms != FOREVER else FOREVER, NOON) == told
