from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from covend.core.contract.outcome import SUMMARY_MAX, Exceeded, Exit, StopReason, judge
from covend.core.ending import Ending, Finding, Result
from covend.core.errors import InvalidResultError
from covend.core.model import Conclusion, Usage
from covend.core.presets.stream import Failure, StreamReport
from covend.core.settings import Agent, Preset, Sandbox
from covend.core.states import Outcome

ANY = Agent(name="any", command=("run",))
COVEN = replace(ANY, preset=Preset.COVEN_CODE)
CODES = replace(ANY, exit_codes={4: "neutral", 5: "retry", 0: "failure", 75: "error"})

INVALID = InvalidResultError("the result is invalid: summary: odd")
GOOD = Result(summary="fine", findings=(Finding(path="a", line=1, body="b"),))
NEUTRAL = Result(conclusion=Conclusion.NEUTRAL)
FAILURE = Result(conclusion=Conclusion.FAILURE)
NEEDS_INPUT = Result(conclusion=Conclusion.NEEDS_INPUT)
LATER = Result(error_code="tired", error_message="later", retryable=True)
ERROR = Result(error_code="broken", error_message="disk")

COST = Usage(input_tokens=5, output_tokens=6, cost_usd=0.5)
SAID = StreamReport(session="s", usage=COST, final_text="Looks good.")
LIMITED = StreamReport(usage=COST, error_code=Failure.RATE_LIMITED, error_message="429")
UNKNOWN = StreamReport(usage=COST, error_code=Failure.MODEL_UNKNOWN, error_message="no such")


def ended(code: int | None = 0, signal: str | None = None) -> Exit:
    return Exit(code=code, signal=signal, pid=1, start_ticks=1)


def judged(
    exit_: Exit,
    result: Result | InvalidResultError | None = None,
    stream: StreamReport | None = None,
    agent: Agent = ANY,
    **more: Any,
) -> Ending:
    return judge(exit_, result, stream, agent, **more)


TABLE: dict[str, tuple[Ending, Outcome, Conclusion, str | None, bool]] = {
    # exit 0
    "nothing said": (judged(ended()), Outcome.SUCCEEDED, Conclusion.SUCCESS, None, False),
    "success": (judged(ended(), GOOD), Outcome.SUCCEEDED, Conclusion.SUCCESS, None, False),
    "neutral": (judged(ended(), NEUTRAL), Outcome.SUCCEEDED, Conclusion.NEUTRAL, None, False),
    "failure": (judged(ended(), FAILURE), Outcome.SUCCEEDED, Conclusion.FAILURE, None, False),
    "needs input": (
        judged(ended(), NEEDS_INPUT),
        *(Outcome.SUCCEEDED, Conclusion.NEEDS_INPUT, None, False),
    ),
    "invalid": (
        judged(ended(), INVALID),
        *(Outcome.FAILED, Conclusion.FAILURE, "invalid_result", True),
    ),
    "an error that is final": (
        judged(ended(), ERROR),
        *(Outcome.SUCCEEDED, Conclusion.SUCCESS, None, False),
    ),
    # asked for a retry
    "75": (judged(ended(75)), Outcome.FAILED, Conclusion.FAILURE, "try_again", True),
    "75 with a result": (
        judged(ended(75), GOOD),
        *(Outcome.FAILED, Conclusion.FAILURE, "try_again", True),
    ),
    "retryable at 0": (
        judged(ended(), LATER),
        *(Outcome.FAILED, Conclusion.FAILURE, "agent_error", True),
    ),
    "retryable at 1": (
        judged(ended(1), LATER),
        *(Outcome.FAILED, Conclusion.FAILURE, "agent_error", True),
    ),
    # another exit, a signal
    "1": (judged(ended(1)), Outcome.FAILED, Conclusion.FAILURE, "exit_code", False),
    "1 with success": (
        judged(ended(1), GOOD),
        *(Outcome.FAILED, Conclusion.FAILURE, "exit_code", False),
    ),
    "1 with an error": (
        judged(ended(1), ERROR),
        *(Outcome.FAILED, Conclusion.FAILURE, "agent_error", False),
    ),
    "1 with an invalid one": (
        judged(ended(1), INVALID),
        *(Outcome.FAILED, Conclusion.FAILURE, "exit_code", False),
    ),
    "signal": (
        judged(ended(None, "SIGSEGV"), GOOD),
        *(Outcome.FAILED, Conclusion.FAILURE, "signal", False),
    ),
    # what presets and exit_codes say
    "coven 0": (
        judged(ended(0), NEUTRAL, agent=COVEN),
        *(Outcome.SUCCEEDED, Conclusion.NEUTRAL, None, False),
    ),
    "coven 1": (
        judged(ended(1), agent=COVEN),
        *(Outcome.SUCCEEDED, Conclusion.FAILURE, None, False),
    ),
    "coven 2": (
        judged(ended(2), agent=COVEN),
        *(Outcome.FAILED, Conclusion.FAILURE, "try_again", True),
    ),
    "coven 3": (
        judged(ended(3), GOOD, agent=COVEN),
        *(Outcome.SUCCEEDED, Conclusion.NEEDS_INPUT, None, False),
    ),
    "coven 4": (
        judged(ended(4), agent=COVEN),
        *(Outcome.FAILED, Conclusion.FAILURE, "exit_code", False),
    ),
    "exit_codes go before the preset's": (
        judged(ended(1), agent=replace(COVEN, exit_codes={1: "retry"})),
        *(Outcome.FAILED, Conclusion.FAILURE, "try_again", True),
    ),
    "exit_codes neutral": (
        judged(ended(4), agent=CODES),
        *(Outcome.SUCCEEDED, Conclusion.NEUTRAL, None, False),
    ),
    "exit_codes retry": (
        judged(ended(5), agent=CODES),
        *(Outcome.FAILED, Conclusion.FAILURE, "try_again", True),
    ),
    "exit_codes go before 0": (
        judged(ended(0), GOOD, agent=CODES),
        *(Outcome.SUCCEEDED, Conclusion.FAILURE, None, False),
    ),
    "exit_codes go before 75": (
        judged(ended(75), agent=CODES),
        *(Outcome.FAILED, Conclusion.FAILURE, "exit_code", False),
    ),
    # the tool's own stream
    "stream ok": (
        judged(ended(), None, SAID),
        *(Outcome.SUCCEEDED, Conclusion.SUCCESS, None, False),
    ),
    "stream limited at 1": (
        judged(ended(1), None, LIMITED),
        *(Outcome.FAILED, Conclusion.FAILURE, "rate_limited", True),
    ),
    "stream failed at 0": (
        judged(ended(0), GOOD, UNKNOWN),
        *(Outcome.FAILED, Conclusion.FAILURE, "model_unknown", False),
    ),
    "stream failed and invalid": (
        judged(ended(0), INVALID, LIMITED),
        *(Outcome.FAILED, Conclusion.FAILURE, "rate_limited", True),
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_an_ending_is_judged_by_the_table(name: str) -> None:
    ending, outcome, conclusion, code, retryable = TABLE[name]
    assert ending.outcome is outcome
    assert ending.result.conclusion is conclusion
    assert ending.error_code == code
    assert ending.retryable is retryable
    assert bool(ending.error_message) is (code is not None)


@pytest.mark.parametrize(
    ("reason", "outcome", "retryable"),
    [
        (StopReason.TIMED_OUT, Outcome.TIMED_OUT, True),
        (StopReason.IDLE_TIMED_OUT, Outcome.IDLE_TIMED_OUT, True),
        (StopReason.CANCELLED, Outcome.CANCELLED, False),
        (StopReason.SUPERSEDED, Outcome.SUPERSEDED, False),
        (StopReason.INTERRUPTED, Outcome.INTERRUPTED, True),
        (StopReason.LOST, Outcome.LOST, True),
    ],
)
@pytest.mark.parametrize("result", [GOOD, INVALID, None])
def test_a_stopped_agent_loses_its_result_but_not_its_cost(
    reason: StopReason,
    outcome: Outcome,
    retryable: bool,
    result: Result | InvalidResultError | None,
) -> None:
    ending = judged(ended(0), result, SAID, stopped=reason)
    assert (ending.outcome, ending.retryable) == (outcome, retryable)
    assert ending.result == Result(conclusion=Conclusion.FAILURE, session="s", usage=COST)
    assert judged(replace(ended(0), stopped=reason), result, SAID) == ending


def test_every_reason_to_stop_has_its_outcome() -> None:
    without = [reason for reason in StopReason if reason is not StopReason.BUDGET]
    outcomes = {judged(ended(), stopped=reason).outcome for reason in without}
    assert outcomes == set(Outcome) - {Outcome.SUCCEEDED, Outcome.FAILED}


@pytest.mark.parametrize("reason", [each for each in StopReason if each is not StopReason.BUDGET])
def test_what_a_stopped_agent_says_that_it_cost_is_not_lost(reason: StopReason) -> None:
    """An agent without an event stream tells it in its result file alone."""
    told = replace(GOOD, usage=COST, session="told")
    ending = judged(ended(0), told, stopped=reason)
    assert ending.result == Result(conclusion=Conclusion.FAILURE, usage=COST)


# --- over its budget ------------------------------------------------------------------------------

SPENT = replace(ended(None, "SIGINT"), stopped=StopReason.BUDGET)
CUT_OFF = StreamReport(
    session="s",
    usage=COST,
    last_text="So far: two findings.",
    error_code=Failure.INTERRUPTED,
    error_message="interrupted",
)


@pytest.mark.parametrize(
    ("result", "stream", "tail", "said"),
    [
        (GOOD, CUT_OFF, "", "fine"),
        (None, CUT_OFF, "", "So far: two findings."),
        (INVALID, CUT_OFF, "", "So far: two findings."),
        (None, None, "line by line", "line by line"),
        (None, SAID, "", "Looks good."),
    ],
)
def test_at_its_budget_what_there_is_stands_without_a_verdict(
    result: Result | InvalidResultError | None, stream: StreamReport | None, tail: str, said: str
) -> None:
    ending = judged(SPENT, result, stream, tail=tail)
    assert (ending.outcome, ending.error_code) == (Outcome.SUCCEEDED, "budget")
    assert ending.result.conclusion is Conclusion.NEUTRAL
    assert ending.result.summary.startswith("Stopped at its budget")
    assert ending.result.summary.endswith(said)
    assert not ending.retryable


def test_at_its_budget_what_was_found_is_kept_and_what_it_cost() -> None:
    result = judged(SPENT, GOOD, CUT_OFF).result
    assert (result.findings, result.usage, result.session) == (GOOD.findings, COST, "s")


def test_a_result_at_the_end_of_what_was_said_last_is_taken_at_the_budget_too() -> None:
    message = 'Read.\n```json\n{"conclusion": "success", "summary": "Half."}\n```'
    ending = judged(SPENT, None, replace(CUT_OFF, last_text=message))
    assert ending.result.conclusion is Conclusion.NEUTRAL
    assert ending.result.summary.endswith("Half.")


def test_an_agent_that_has_said_nothing_says_that_at_its_budget() -> None:
    summary = judged(SPENT, None, replace(CUT_OFF, last_text=None)).result.summary
    assert summary == "Stopped at its budget, before it had an answer."


def test_a_stop_by_somebody_goes_before_the_budget() -> None:
    ending = judged(SPENT, GOOD, CUT_OFF, stopped=StopReason.CANCELLED)
    assert ending.outcome is Outcome.CANCELLED


@pytest.mark.parametrize(
    ("limit", "code"), [(Exceeded.MEMORY, "memory_limit"), (Exceeded.PIDS, "pids_limit")]
)
@pytest.mark.parametrize("result", [GOOD, INVALID, LATER, None])
def test_a_hog_is_named_and_not_tried_again(
    limit: Exceeded, code: str, result: Result | InvalidResultError | None
) -> None:
    hog = replace(ended(None, "SIGKILL"), exceeded=limit)
    ending = judged(hog, result, SAID)
    assert (ending.outcome, ending.error_code) == (Outcome.FAILED, code)
    assert not ending.retryable
    assert f"limits.{limit}" in (ending.error_message or "")
    assert ending.result == Result(conclusion=Conclusion.FAILURE, session="s", usage=COST)


def test_a_hog_that_was_stopped_meanwhile_counts_as_stopped() -> None:
    hog = replace(ended(None, "SIGKILL"), exceeded=Exceeded.MEMORY)
    assert judged(hog, stopped=StopReason.SUPERSEDED).outcome is Outcome.SUPERSEDED


def test_without_a_result_file_the_end_of_the_output_is_the_summary() -> None:
    tail = "x" * SUMMARY_MAX + "the end\n"
    summary = judged(ended(), tail=tail).result.summary
    assert summary.endswith("the end")
    assert len(summary) <= SUMMARY_MAX


def test_without_a_result_file_the_last_message_of_the_stream_is_the_summary() -> None:
    assert judged(ended(), None, SAID, tail='{"json":1}').result.summary == "Looks good."


def test_a_result_at_the_end_of_the_last_message_is_taken() -> None:
    message = 'Read.\n```json\n{"conclusion": "neutral"}\n```'
    ending = judged(ended(), None, replace(SAID, final_text=message))
    assert ending.result.conclusion is Conclusion.NEUTRAL
    assert ending.result.summary == "Read."


def test_a_result_file_goes_before_the_last_message() -> None:
    message = '```json\n{"conclusion": "neutral"}\n```'
    ending = judged(ended(), GOOD, replace(SAID, final_text=message))
    assert ending.result.conclusion is Conclusion.SUCCESS
    assert ending.result.summary == "fine"


def test_a_kept_result_keeps_its_findings_at_a_bad_exit() -> None:
    assert judged(ended(1), GOOD).result.findings == GOOD.findings


def test_what_the_tool_measured_goes_before_what_the_agent_says() -> None:
    told = replace(GOOD, session="told", usage=Usage(input_tokens=1, cost_usd=9.0))
    measured = StreamReport(usage=Usage(input_tokens=5, output_tokens=6), final_text="x")
    assert judged(ended(), told, measured).result.usage == Usage(
        input_tokens=5, output_tokens=6, cost_usd=9.0
    )
    assert judged(ended(), told, measured).result.session == "told"


def test_the_agents_own_code_stands_in_the_message_only() -> None:
    ending = judged(ended(1), ERROR)
    assert (ending.error_code, ending.error_message) == ("agent_error", "broken: disk")
    assert ending.result.error_code == "broken"


def test_the_exit_is_kept() -> None:
    assert judged(ended(3)).exit_code == 3
    assert judged(ended(None, "SIGKILL")).signal == "SIGKILL"


BOXED = replace(ANY, sandbox=Sandbox.CONTAINER)


def test_a_container_engine_that_failed_is_not_the_agents_fault() -> None:
    ending = judged(ended(125), agent=BOXED, tail="docker: Cannot connect to the Docker daemon")
    assert (ending.outcome, ending.error_code) == (Outcome.FAILED, "sandbox")
    assert ending.retryable


@pytest.mark.parametrize(
    "ending",
    [
        judged(ended(125)),
        judged(ended(126), agent=BOXED),
        judged(ended(125), GOOD, agent=BOXED),
        judged(ended(125), None, UNKNOWN, agent=BOXED),
        judged(ended(125), agent=replace(BOXED, exit_codes={125: "error"})),
    ],
)
def test_whoever_is_heard_of_has_failed_itself(ending: Ending) -> None:
    assert ending.error_code != "sandbox"
    assert not ending.retryable
