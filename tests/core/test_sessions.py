"""When an attempt goes on with an earlier conversation, and when it begins a new one."""

from __future__ import annotations

import pytest

from covend.core.contract.outcome import Exceeded, Exit, StopReason
from covend.core.model import Conclusion, TaskId, Usage
from covend.core.presets.stream import Failure, StreamReport
from covend.core.sessions import (
    PREVIOUS_SUMMARY_MAX,
    Session,
    may_resume,
    own_part,
    previous_result,
    starts_afresh,
)
from covend.core.settings import Agent, Preset

UUID = "01a1fe1f-31ba-7a71-be6c-5fd630534733"
FAILED = Exit(code=1, pid=1, start_ticks=1)


def agent(preset: Preset, *command: str) -> Agent:
    return Agent(name="it", preset=preset, command=command)


def session(**used: int) -> Session:
    return Session(
        id=UUID, task=TaskId("t"), agent="it", workspace="t-1", ended_at=1, used=Usage(**used)
    )


@pytest.mark.parametrize(
    ("it", "id_", "may"),
    [
        (agent(Preset.CLAUDE, "claude"), UUID, True),
        (agent(Preset.CODEX, "/opt/codex"), UUID, True),
        (agent(Preset.CODEX, "codex"), "no uuid", False),
        (agent(Preset.CLAUDE, "claude", "-p"), UUID, False),
        (agent(Preset.CLAUDE, "claude", "-r", "{session}"), UUID, True),
        (agent(Preset.COMMAND, "run"), UUID, False),
        (agent(Preset.COMMAND, "run", "{session}"), "thread_7", True),
        (agent(Preset.COMMAND, "run", "{session}"), "--help", False),
        (agent(Preset.COMMAND, "run", "{session}"), "two words", False),
        (agent(Preset.COMMAND, "run", "{session}"), "x" * 201, False),
        (agent(Preset.COVEN_CODE, "coven-code"), UUID, False),
    ],
)
def test_only_a_command_that_takes_a_session_is_given_one_that_it_can_know(
    it: Agent, id_: str, may: bool
) -> None:
    assert may_resume(it, id_) is may


def report(failure: Failure | None, items: int = 0) -> StreamReport:
    return StreamReport(session=UUID, error_code=failure, turn_count=1, item_count=items)


@pytest.mark.parametrize(
    ("told", "afresh"),
    [
        (report(Failure.SESSION_UNKNOWN), True),
        (report(Failure.SESSION_UNKNOWN, items=3), True),
        (report(Failure.INVALID_REQUEST), True),
        (report(Failure.INCOMPLETE), True),
        (report(Failure.NO_MODEL_CALL), True),
        (report(Failure.INCOMPLETE, items=1), False),
        (report(None), False),
        (report(Failure.AUTHENTICATION), False),
        (report(Failure.RATE_LIMITED), False),
        (report(Failure.OVERLOADED), False),
        (report(Failure.API_ERROR), False),
        (report(Failure.NETWORK), False),
        (report(Failure.MODEL_UNKNOWN), False),
        (report(Failure.BUDGET), False),
        (report(Failure.INTERRUPTED), False),
        (None, True),
    ],
)
def test_it_starts_afresh_where_the_session_is_to_blame_and_nothing_was_done_with_it(
    told: StreamReport | None, afresh: bool
) -> None:
    assert starts_afresh(told, FAILED) is afresh


@pytest.mark.parametrize(
    ("exit_", "afresh"),
    [
        (Exit(code=0, pid=1, start_ticks=1), False),
        (Exit(code=75, pid=1, start_ticks=1), False),
        (Exit(code=2, pid=1, start_ticks=1), True),
        (Exit(signal="SIGSEGV", pid=1, start_ticks=1), True),
        (Exit(pid=1, start_ticks=1), False),
    ],
)
def test_a_tool_that_told_nothing_is_judged_by_its_exit(exit_: Exit, afresh: bool) -> None:
    assert starts_afresh(None, exit_) is afresh


@pytest.mark.parametrize(
    "exit_",
    [
        *(Exit(code=1, stopped=reason, pid=1, start_ticks=1) for reason in StopReason),
        *(Exit(signal="SIGKILL", exceeded=over, pid=1, start_ticks=1) for over in Exceeded),
    ],
)
def test_what_was_ended_by_covend_never_starts_again(exit_: Exit) -> None:
    assert not starts_afresh(None, exit_)
    assert not starts_afresh(report(Failure.SESSION_UNKNOWN), exit_)


def used(tokens: int | None) -> StreamReport:
    return StreamReport(session=UUID, usage=Usage(input_tokens=tokens, output_tokens=tokens))


@pytest.mark.parametrize(
    ("total", "past", "own"), [(70, 30, 40), (30, 30, 0), (20, 30, 20), (None, 30, None)]
)
def test_of_a_running_total_only_what_is_new_counts(
    total: int | None, past: int, own: int | None
) -> None:
    resumed = session(input_tokens=past, output_tokens=past)
    counted = own_part(used(total), agent(Preset.CODEX, "codex"), resumed).usage
    assert (counted.input_tokens, counted.output_tokens) == (own, own)


def test_who_resumed_nothing_or_counts_by_itself_is_taken_at_its_word() -> None:
    resumed = session(input_tokens=30, output_tokens=30)
    assert own_part(used(70), agent(Preset.CODEX, "codex"), None) == used(70)
    assert own_part(used(70), agent(Preset.CLAUDE, "claude"), resumed) == used(70)


def test_what_came_of_the_attempt_before_is_told_within_bounds() -> None:
    long = Session(
        id=UUID,
        task=TaskId("t"),
        agent="it",
        workspace="t-1",
        ended_at=1,
        conclusion=Conclusion.NEUTRAL,
        summary="x" * (PREVIOUS_SUMMARY_MAX + 1),
    )
    told = previous_result(long)
    assert told == {"conclusion": "neutral", "summary": "x" * PREVIOUS_SUMMARY_MAX}
    assert previous_result(session()) is None
