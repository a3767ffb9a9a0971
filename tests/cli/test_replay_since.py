"""The command that routes all deliveries of a time again, and says beforehand what would come."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

import anyio
from click.testing import Result

from tests.cli.operator_desk import Operator, invoke
from tests.web.test_admin_submissions import OPENED, opened

LONG = "2026-01-01T00:00:00Z"
"""Before all arrivals."""
RULES = """\
[github]
token = { env = "NOWHERE" }
webhook_secrets = [{ env = "NOWHERE" }]
[agents.sh]
command = ["true"]
[[rules]]
name = "second"
on = ["pull_request.opened"]
agent = "sh"
publish = ["comment"]
"""


def with_rules(operator: Operator) -> Path:
    path = operator.config.with_name("edited.toml")
    path.write_text(operator.config.read_text() + RULES)
    return path


async def tried(config: Path, *args: str) -> Result:
    """Try the rules of a configuration on everything that is there."""
    command = ("replay", "--since", LONG, "--dry-run", "--config", str(config), *args)
    return await anyio.to_thread.run_sync(partial(invoke, *command))


async def test_a_dry_run_compares_what_started_then_with_what_would_now(
    operator: Operator,
) -> None:
    identifier = await opened(operator.desk)
    edited = with_rules(operator)
    done = await tried(edited)
    assert done.exit_code == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[0][:3] == ["1", "deliveries", "since"]
    assert ["review", "acme/r1", "1", "0", "0", "1"] in lines
    assert ["second", "acme/r1", "0", "1", "1", "0"] in lines
    assert [identifier, "pull_request.opened", "acme/r1"] in lines
    assert any(line[:4] == ["starts", "now", "rule", "second"] for line in lines)
    assert ["no", "longer", "rule", "review", "there", "is", "no", "such", "rule"] in lines


async def test_a_dry_run_needs_no_daemon_and_changes_nothing(operator: Operator) -> None:
    await opened(operator.desk)
    await operator.desk.runner.cleanup()
    edited = with_rules(operator)
    done = await tried(edited, "--json")
    found = json.loads(done.stdout)
    assert (found["deliveries"], found["unreadable"]) == (1, 0)
    assert {line["rule"]: line["new"] for line in found["summary"]} == {"review": 0, "second": 1}
    assert found["changed"][0]["rules"][1]["change"] == "new"


async def test_without_a_store_there_is_nothing_to_try_rules_on(
    operator: Operator, tmp_path: Path
) -> None:
    edited = with_rules(operator)
    edited.write_text(edited.read_text().replace('state_dir = "."', 'state_dir = "elsewhere"'))
    done = await tried(edited)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "there is no store at" in done.stderr
    assert not (tmp_path / "elsewhere").exists()


async def test_all_of_a_time_are_replayed_once_and_an_interrupted_command_goes_on(
    operator: Operator,
) -> None:
    identifier = await opened(operator.desk)
    sha256 = hashlib.sha256(OPENED).digest()
    with closing(sqlite3.connect(operator.config.with_name("covend.db"))) as database, database:
        database.execute("UPDATE deliveries SET body_sha256 = ?", (sha256,))
    done = await operator.run("replay", "--since", LONG, "--yes")
    assert done.exit_code == 0, done.stderr
    assert f"1/1  {identifier}  routed: matched" in done.stdout
    assert done.stdout.splitlines()[-1] == "1 replayed, 0 failed, 0 left out"
    again = await operator.run("replay", "--since", LONG, "--yes")
    assert again.stdout == "0 replayed, 0 failed, 1 left out\n"
    on_purpose = await operator.run("replay", "--since", LONG, "--yes", "--again", "--json")
    assert len(json.loads(on_purpose.stdout)["items"]) == 1


async def test_nothing_is_replayed_that_nobody_has_agreed_to(operator: Operator) -> None:
    await opened(operator.desk)
    done = await operator.run("replay", "--since", LONG)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "1 deliveries would be replayed: say so with --yes" in done.stderr
    assert [each["via"] for each in (await operator.desk.get("deliveries"))["items"]] == ["webhook"]


async def test_deliveries_and_a_time_are_not_given_at_once(operator: Operator) -> None:
    assert (await operator.run("replay")).exit_code == 2
    assert (await operator.run("replay", "a", "--since", "1d")).exit_code == 2
    assert (await operator.run("replay", "a", "--yes")).exit_code == 2
