"""The command that routes stored deliveries again."""

from __future__ import annotations

import json
import re

from tests.cli.operator_desk import Operator
from tests.web.test_admin_submissions import opened

KEY = f"review:1:pull_request:7:{'a' * 40}"


async def test_replay_says_of_each_delivery_what_came_of_it(operator: Operator) -> None:
    identifier = await opened(operator.desk)
    done = await operator.run("replay", identifier, "none")
    assert done.exit_code == 1
    head, row = done.stdout.splitlines()
    assert head.split() == ["DELIVERY", "REPLAYED", "AS", "STATE", "WHY", "TASKS"]
    was, now, state, why, task = row.split()
    assert (was, state, why) == (identifier, "routed", "matched")
    assert (await operator.desk.get(f"tasks/{task}"))["delivery"] == now
    assert done.stderr == "covend: There is no delivery none.\n"


async def test_a_dry_run_prints_verdict_key_and_what_it_would_meet(operator: Operator) -> None:
    identifier = await opened(operator.desk)
    before = await operator.desk.get("tasks")
    done = await operator.run("replay", identifier, "--dry-run")
    assert (done.exit_code, done.stderr) == (0, "")
    _, title, head, row = done.stdout.splitlines()
    assert title == f"{identifier}  would be routed: matched"
    assert head.split() == ["RULE", "MATCHES", "WHY", "MEETS", "KEY"]
    meets = "nothing: a new task, generation 1"
    assert re.split(" {2,}", row) == ["review", "yes", "matched", meets, KEY]
    assert await operator.desk.get("tasks") == before
    await operator.run("replay", identifier)
    (task, *_) = (await operator.desk.get("tasks"))["items"]
    assert f"task {task['id']}" in (await operator.run("replay", identifier, "--dry-run")).stdout


async def test_a_rule_is_named_or_told(operator: Operator) -> None:
    identifier = await opened(operator.desk)
    done = await operator.run("replay", identifier, "--rule", "revue")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "did you mean 'review'" in done.stderr
    assert (await operator.run("replay", identifier, "--rule", "review")).exit_code == 0


async def test_json_is_what_the_api_answers(operator: Operator) -> None:
    identifier = await opened(operator.desk)
    done = await operator.run("replay", identifier, "none", "--json")
    found = json.loads(done.stdout)
    assert found["errors"] == [{"delivery": "none", "message": "There is no delivery none."}]
    assert [each["replayed"] for each in found["items"]] == [identifier]


async def test_without_a_daemon_nothing_is_replayed(operator: Operator) -> None:
    await operator.desk.runner.cleanup()
    done = await operator.run("replay", "a", "b")
    assert (done.exit_code, done.stdout) == (69, "")
    assert len(done.stderr.splitlines()) == 1


async def test_while_covend_drains_the_command_says_to_come_later(operator: Operator) -> None:
    identifier = await opened(operator.desk)
    operator.desk.readiness.state = "draining"
    done = await operator.run("replay", identifier)
    assert (done.exit_code, "draining" in done.stderr) == (75, True)
