"""Every error code that exists has a kind and a source, each code one."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import pytest

import covend
from covend.core import errors
from covend.core.bounds import FailureKind
from covend.core.contract.outcome import Exceeded, StopReason
from covend.core.ending import Ending, Result
from covend.core.failures import CODES, Source, kind_of, source_of
from covend.core.presets.stream import PASSING, Failure
from covend.core.states import Outcome
from covend.edges.workspace.faults import Fault
from covend.services.endings import failed

ROOT = Path(covend.__file__).parent
NO_FAILURES = {StopReason.INTERRUPTED}
"""Codes of an attempt's end that its outcome tells apart from a tool's."""


def failure(code: str | None, **changes: object) -> Ending:
    plain = {"outcome": Outcome.FAILED, "result": Result(), "error_code": code}
    return Ending(**plain | changes)  # type: ignore[arg-type]


def _families(error: type[errors.CovendError]) -> set[type[errors.CovendError]]:
    return {error}.union(*(_families(each) for each in error.__subclasses__()))


def test_every_error_of_the_project_is_in_the_table() -> None:
    for package in ("core", "edges", "store", "services"):
        for module in walk_packages([str(ROOT / package)], f"covend.{package}."):
            import_module(module.name)
    own = {each for each in _families(errors.CovendError) if each.__module__.startswith("covend.")}
    assert {each.code for each in own} - CODES == set()


def test_every_code_of_an_end_is_in_the_table() -> None:
    limits = {f"{each}_limit" for each in Exceeded}
    assert {*StopReason, *Failure, *limits} - CODES - NO_FAILURES == set()


def test_every_code_that_the_judge_of_an_exit_writes_is_in_the_table() -> None:
    text = (ROOT / "core/contract/outcome.py").read_text()
    written = set(re.findall(r'_failed\(exit_, answer, "(\w+)"', text))
    assert {"exit_code", "signal", "try_again", "agent_error", "sandbox"} <= written
    assert written - CODES == set()


@pytest.mark.parametrize("fault", list(Fault))
def test_every_fault_of_git_has_a_code_in_the_table(fault: Fault) -> None:
    assert failed(errors.GitError("it failed", fault=fault)).error_code in CODES


@pytest.mark.parametrize(
    ("code", "kind", "source"),
    [
        ("agent_error", FailureKind.AGENT, Source.AGENT),
        ("exit_code", FailureKind.AGENT, Source.AGENT),
        ("signal", FailureKind.AGENT, Source.AGENT),
        (Failure.INCOMPLETE, FailureKind.AGENT, Source.AGENT),
        ("try_again", FailureKind.TEMPORARY, Source.AGENT),
        (Failure.OVERLOADED, FailureKind.TEMPORARY, Source.SERVICE),
        ("invalid_result", FailureKind.INVALID_RESULT, Source.AGENT),
        ("git", FailureKind.OUTSIDE, Source.FORGE),
        ("git_unreachable", FailureKind.OUTSIDE, Source.HOST),
        ("github_unreachable", FailureKind.OUTSIDE, Source.HOST),
        ("agent_shortage", FailureKind.OUTSIDE, Source.COVEND),
        ("store_busy", FailureKind.OUTSIDE, Source.COVEND),
        ("internal", FailureKind.OUTSIDE, Source.COVEND),
        ("memory_limit", FailureKind.REFUSED, Source.AGENT),
        ("github_permission", FailureKind.REFUSED, Source.FORGE),
        ("address_refused", FailureKind.REFUSED, Source.FORGE),
        ("agent_not_found", FailureKind.REFUSED, Source.AGENT),
        ("prompt", FailureKind.REFUSED, Source.COVEND),
        (Failure.AUTHENTICATION, FailureKind.REFUSED, Source.SERVICE),
        ("a_code_of_tomorrow", FailureKind.AGENT, Source.AGENT),
        (None, FailureKind.AGENT, Source.AGENT),
    ],
)
def test_a_code_tells_the_kind_and_whose_it_was(
    code: str | None, kind: FailureKind, source: Source
) -> None:
    assert (kind_of(failure(code)), source_of(failure(code))) == (kind, source)


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [
        (Outcome.TIMED_OUT, FailureKind.TIMEOUT),
        (Outcome.IDLE_TIMED_OUT, FailureKind.TIMEOUT),
        (Outcome.INTERRUPTED, FailureKind.INFRASTRUCTURE),
        (Outcome.LOST, FailureKind.INFRASTRUCTURE),
        (Outcome.CANCELLED, FailureKind.REFUSED),
        (Outcome.SUPERSEDED, FailureKind.REFUSED),
    ],
)
@pytest.mark.parametrize("code", [None, "exit_code", "interrupted"])
def test_an_outcome_says_more_than_a_code(
    outcome: Outcome, kind: FailureKind, code: str | None
) -> None:
    assert kind_of(failure(code, outcome=outcome, retryable=True)) is kind


@pytest.mark.parametrize("code", sorted(PASSING))
def test_what_may_be_gone_at_the_next_try_is_temporary(code: Failure) -> None:
    assert kind_of(failure(code)) is FailureKind.TEMPORARY


@pytest.mark.parametrize("code", ["agent_error", "exit_code", Failure.MAX_TURNS, None])
def test_an_agents_own_wish_makes_its_failure_temporary(code: str | None) -> None:
    assert kind_of(failure(code, retryable=True)) is FailureKind.TEMPORARY


@pytest.mark.parametrize("code", ["github_permission", "git", "prompt", "invalid_result"])
def test_nobody_elses_failure_is_changed_by_that_wish(code: str) -> None:
    assert kind_of(failure(code, retryable=True)) is kind_of(failure(code))


def test_an_engine_that_failed_is_outside_and_a_sandbox_that_cannot_be_is_refused() -> None:
    assert kind_of(failure("sandbox", retryable=True)) is FailureKind.OUTSIDE
    assert kind_of(failure("sandbox")) is FailureKind.REFUSED
