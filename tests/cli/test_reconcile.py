"""The command that asks for what GitHub could not deliver."""

from __future__ import annotations

import json
from collections.abc import Sequence

import anyio
import pytest

from covend.core.errors import CovendError
from covend.edges.github.errors import MissingPermission, RateLimited
from covend.services.looks import Look
from covend.web.api import reconciling
from tests.cli.operator_desk import Operator
from tests.web.paper_log import looking


async def test_reconcile_says_what_was_missing(operator: Operator) -> None:
    operator.desk.paper.write()
    async with looking(operator.desk.reconciler):
        done = await operator.run("reconcile", "--since", "3d")
    assert (done.exit_code, done.stderr) == (0, "")
    told = dict(line.rsplit(maxsplit=1) for line in done.stdout.splitlines())
    assert told == {
        "entries of the log": "1",
        "known here": "0",
        "fetched": "1",
        "now kept": "1",
        "of these ignored": "1",
        "of these GitHub says it delivered": "0",
        "cannot be had": "0",
    }


async def test_as_json_it_is_what_the_api_gives(operator: Operator) -> None:
    async with looking(operator.desk.reconciler):
        done = await operator.run("reconcile", "--json")
    assert done.exit_code == 0
    assert [json.loads(done.stdout)] == (await operator.desk.get("reconcile"))["items"]


async def test_a_long_look_is_followed_to_its_end(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciling, "WAIT_S", 0.01)
    desk = operator.desk
    desk.paper.gate = anyio.Event()
    desk.paper.write()
    gate, looks = desk.paper.gate, desk.reconciler.looks

    def looks_while_it_goes_on() -> Sequence[Look]:
        gate.set()
        return looks()

    monkeypatch.setattr(desk.reconciler, "looks", looks_while_it_goes_on)
    async with looking(desk.reconciler):
        done = await operator.run("reconcile")
    assert done.exit_code == 0
    progress = set(done.stderr.splitlines())
    # The look of the start may be under way when this one is asked for.
    assert progress - {"another look is under way"} <= {"listing: 0 entries listed, 0 kept"}
    assert progress


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (
            RateLimited("GitHub asked to wait", retry_at=1_800_000_000_000),
            75,
            "GitHub asked to wait (github_rate_limited); from 2027-01-15T08:00:00.000Z on",
        ),
        (MissingPermission("403", permission=""), 77, "does not show the deliveries of the App"),
    ],
)
async def test_a_look_that_was_stopped_ends_as_it_was(
    operator: Operator, error: CovendError, code: int, words: str
) -> None:
    operator.desk.paper.error = error
    async with looking(operator.desk.reconciler):
        done = await operator.run("reconcile")
    assert done.exit_code == code
    assert words in done.stderr


async def test_a_since_that_is_no_duration_is_a_usage_error(operator: Operator) -> None:
    done = await operator.run("reconcile", "--since", "yesterday")
    assert done.exit_code == 2
    assert "such as" in done.stderr
