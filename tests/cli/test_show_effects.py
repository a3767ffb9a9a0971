"""The list of effects, as operators see it."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from tests.cli.operator_desk import Operator


async def test_effects_of_a_task_are_found_by_a_beginning_of_its_id(operator: Operator) -> None:
    task = await operator.desk.arrive()
    await operator.desk.complete(await operator.desk.claim())
    whole, part = [await operator.run("effects", "--task", task[:n]) for n in (26, 20)]
    assert whole.stdout == part.stdout != ""
    nobody = await operator.run("effects", "--task", "zzz")
    assert (nobody.exit_code, nobody.stdout) == (1, "")
    assert "zzz" in nobody.stderr


async def test_an_effect_without_a_task_is_listed_like_any_other(operator: Operator) -> None:
    await operator.desk.arrive()
    await operator.desk.complete(await operator.desk.claim())
    with closing(sqlite3.connect(operator.config.with_name("covend.db"))) as other:
        other.execute("UPDATE effects SET task_id = NULL")
        other.commit()
    done = await operator.run("effects")
    assert done.stdout.splitlines()[1].split()[1:3] == ["-", "comment"]
