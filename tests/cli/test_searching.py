from __future__ import annotations

import json

import pytest

from tests.cli.operator_desk import Operator


async def test_what_is_searched_for_reaches_the_api(operator: Operator) -> None:
    task = await operator.desk.arrive(title="Mend the till")
    found = json.loads((await operator.run("tasks", "--json")).stdout)["items"][0]
    subject = f"{found['repository']}#{found['subject']['number']}"
    for args, is_there in (
        (("tasks", "--search", "the TILL"), True),
        (("tasks", "--search", "nowhere"), False),
        (("tasks", "--subject", subject), True),
        (("tasks", "--subject", "other/repo#1"), False),
        (("tasks", "--since", "2026-09-01T00:00:00Z"), True),
        (("tasks", "--since", "2036-09-01"), False),
        (("tasks", "--since", "3650d"), True),
        (("deliveries", "--search", "nowhere"), False),
        (("deliveries", "--since", "2026-09-01T00:00:00+02:00"), True),
    ):
        done = await operator.run(*args)
        assert done.exit_code == 0, done.output
        assert bool(done.stdout) == is_there, args
        assert (task in done.stdout) == (is_there and args[0] == "tasks")


@pytest.mark.parametrize("when", ["yesterday", "1 fortnight", "-1d", "2026-13-01"])
async def test_a_moment_that_is_none_is_told_with_what_would_be_one(
    operator: Operator, when: str
) -> None:
    done = await operator.run("tasks", "--since", when)
    assert done.exit_code == 2
    assert "2026-01-31T09:30:00Z" in done.stderr
