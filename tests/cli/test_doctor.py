from __future__ import annotations

import json
from pathlib import Path

import pytest

from covend.demo.github.keys import demo_key
from tests.cli.operator_desk import Operator, invoke, on_terminal

CONFIG = """\
state_dir = "state"
[admin]
listen = "127.0.0.1:{port}"
[github]
app_id = 1
private_key = {{ file = "app.pem" }}
webhook_secrets = [{{ env = "COVEND_TEST_SECRET" }}]
api_url = "http://127.0.0.1:1"
[agents.a]
command = ["{command}"]
sandbox = "none"
"""
SECRET = {"COVEND_TEST_SECRET": "of no use"}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "app.pem").touch(mode=0o600)
    (tmp_path / "app.pem").write_text(demo_key().private)
    return written(tmp_path / "covend.toml")


def written(path: Path, *, command: str = "sh", port: int = 1) -> Path:
    path.write_text(CONFIG.format(command=command, port=port))
    return path


def test_the_json_has_stable_fields_and_all_is_well(config: Path) -> None:
    done = invoke(
        "doctor", "--offline", "--json", "--config", str(config), HOME=str(config.parent), **SECRET
    )
    told = json.loads(done.output)
    assert (done.exit_code, told["ok"]) == (0, True), done.output
    assert {frozenset(each) for each in told["findings"]} == {
        frozenset({"name", "ok", "level", "what", "fix"})
    }
    assert sorted(config.parent.iterdir()) == [config.with_name("app.pem"), config]


def test_a_check_that_failed_exits_1_and_shows_its_fix(config: Path) -> None:
    written(config, command="claudius")
    done = invoke("doctor", "--offline", "--config", str(config), HOME=str(config.parent), **SECRET)
    assert done.exit_code == 1
    lines = done.output.splitlines()
    (at,) = [n for n, line in enumerate(lines) if line.startswith("agents.a.command")]
    assert "failed" in lines[at]
    assert lines[at + 1].split(maxsplit=1)[0] == "fix"
    assert "\x1b" not in done.output
    assert demo_key().private.splitlines()[1] not in done.output


def test_a_wrong_configuration_exits_78(config: Path) -> None:
    config.write_text(f"{config.read_text()}\n[limits]\nlese = 1\n")
    done = invoke("doctor", "--offline", "--config", str(config), **SECRET)
    assert done.exit_code == 78
    assert "limits.lese" in done.output


def test_on_a_terminal_it_is_a_table(config: Path) -> None:
    shown = on_terminal(
        "doctor", "--offline", "--config", str(config), HOME=str(config.parent), **SECRET
    )
    assert "\x1b[" in shown
    assert "CHECK" in shown


async def test_a_daemon_that_runs_is_asked(operator: Operator, config: Path) -> None:
    written(config, port=operator.desk.port)
    token = config.parent / "state" / "admin.token"
    token.parent.mkdir(mode=0o700)
    token.write_text((config.parent / "admin.token").read_text())
    operator.desk.readiness.notes["trees"] = "cgroup v2 at /seen/from/there"
    told = Operator(operator.desk, config)
    done = await told.run("doctor", "--offline", "--json", HOME=str(config.parent), **SECRET)
    found = {each["name"]: each for each in json.loads(done.output)["findings"]}
    assert found["daemon"]["level"] == found["admin_api"]["level"] == "ok", done.output
    assert "/seen/from/there" in found["processes"]["what"]
    operator.desk.readiness.state = "draining"
    done = await told.run("doctor", "--offline", "--json", HOME=str(config.parent), **SECRET)
    found = {each["name"]: each for each in json.loads(done.output)["findings"]}
    assert (done.exit_code, found["daemon"]["ok"]) == (1, False)
