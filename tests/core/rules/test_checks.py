from __future__ import annotations

from typing import Any

import pytest

from covend.core.model import Event, Subject, SubjectType
from covend.core.rules.checks import Check, HeadChecks, Stand, judge_head, name_of
from tests.core.github_samples import HEAD, pull_request

ON_COMMIT = Subject(type=SubjectType.COMMIT, head_sha=HEAD)


def check_run(conclusion: str | None, **changed: Any) -> Event:
    return pull_request(
        **{"name": "check_run", "action": "completed", "conclusion": conclusion} | changed
    )


def status(state: Any) -> Event:
    return pull_request(name="status", action=None, subject=ON_COMMIT, payload={"state": state})


@pytest.mark.parametrize(
    ("event", "name"),
    [
        (check_run("success"), "checks.passed"),
        (check_run("neutral"), "checks.passed"),
        (check_run("skipped"), "checks.passed"),
        (check_run("failure"), "checks.failed"),
        (check_run("timed_out"), "checks.failed"),
        (check_run("a_word_of_tomorrow"), "checks.failed"),
        (check_run("success", name="check_suite"), "checks.passed"),
        (check_run(None), None),
        (check_run("success", action="rerequested"), None),
        (check_run("success", subject=Subject()), None),
        (status("success"), "checks.passed"),
        (status("failure"), "checks.failed"),
        (status("error"), "checks.failed"),
        (status("pending"), None),
        (status(None), None),
        (status(["success"]), None),
    ],
)
def test_the_end_of_one_check_says_what_all_may_have_come_to(
    event: Event, name: str | None
) -> None:
    assert name_of(event) == name


def checks(**said: str | None) -> HeadChecks:
    return judge_head(Check(name=name, said=each) for name, each in said.items())


@pytest.mark.parametrize(
    ("said", "stand", "names"),
    [
        ({"a": "success", "b": "skipped"}, Stand.PASSED, ("a", "b")),
        ({"a": "success", "b": "failure", "c": "cancelled"}, Stand.FAILED, ("b", "c")),
        ({"a": "failure", "b": None}, Stand.PENDING, ("b",)),
        ({"a": "a_word_of_tomorrow"}, Stand.FAILED, ("a",)),
        ({}, Stand.PENDING, ()),
    ],
)
def test_all_checks_stand_together_once_all_are_in(
    said: dict[str, str | None], stand: Stand, names: tuple[str, ...]
) -> None:
    assert checks(**said) == HeadChecks(stand=stand, names=names)
