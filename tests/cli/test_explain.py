"""The command that says what would become of an event, with a daemon and without."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.operator_desk import Operator, invoke
from tests.web.test_admin_submissions import OPENED, opened

CONFIG = """\
state_dir = "state"
[github]
token = { env = "NOWHERE" }
webhook_secrets = [{ env = "NOWHERE" }]
[agents.sh]
command = ["true"]
[[rules]]
name = "review"
on = ["pull_request.opened"]
when = { draft = false, paths = ["src/**"] }
agent = "sh"
publish = ["comment"]
[[rules]]
name = "push"
on = ["push"]
agent = "sh"
"""
KEY = f"review:1:pull_request:7:{'a' * 40}"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "covend.toml"
    path.write_text(CONFIG)
    (tmp_path / "opened.json").write_bytes(
        OPENED.replace(b'"number":7,', b'"number":7,"draft":false,')
    )
    return path


def explain(config: Path, *args: str) -> tuple[int, str, str]:
    done = invoke("explain", *args, "--config", str(config))
    return done.exit_code, done.stdout, done.stderr


def here(config: Path, *args: str) -> tuple[int, str, str]:
    payload = str(config.with_name("opened.json"))
    return explain(config, payload, "--event", "pull_request", *args)


def test_a_payload_is_explained_without_a_daemon_a_store_or_a_secret(config: Path) -> None:
    code, told, wrong = here(config)
    assert (code, wrong) == (0, "")
    lines = told.splitlines()
    assert lines[0] == "pull_request.opened  acme/r1#7  by ada (member)"
    assert "  ✓  when.draft  is false  wants false" in lines
    assert "  ?  when.paths  is looked up (paths)  wants src/**" in lines
    assert "  …  look_up  GitHub is asked for the changed paths first" in lines
    assert f"  key        {KEY}" in lines
    assert "  ✗  on  is pull_request.opened  wants push" in lines
    assert lines[-1].startswith(f"would start task of rule review with key {KEY}, by agent sh;")
    assert any("there is no store at" in line for line in lines)
    assert any("GitHub was not asked" in line for line in lines)
    assert not config.with_name("state").exists()


def test_json_has_the_form_of_the_api(config: Path) -> None:
    code, told, _ = here(config, "--json", "--rule", "review")
    found = json.loads(told)
    (rule,) = found["rules"]
    assert (code, found["starts"], rule["matched"]) == (0, True, None)
    assert (rule["work"]["key"], rule["work"]["meets"], rule["work"]["needs"]) == (
        KEY,
        None,
        ["paths"],
    )


def test_what_starts_nothing_is_explained_as_well(config: Path) -> None:
    payload = config.with_name("closed.json")
    payload.write_bytes(OPENED.replace(b'"opened"', b'"labeled"'))
    code, told, _ = explain(config, str(payload), "--event", "pull_request")
    assert code == 0
    assert told.splitlines()[-1] == "starts nothing: no rule listens to pull_request.labeled"


def test_a_hostile_title_moves_no_cursor(config: Path) -> None:
    payload = config.with_name("bad.json")
    payload.write_bytes(OPENED.replace(b'"ada"', b'"a\\u001b[2Jda"'))
    _, told, _ = explain(config, str(payload), "--event", "pull_request")
    assert "\x1b" not in told


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        ((), 2, "one of the three"),
        (("nowhere.json",), 2, "one of the three"),
        (("nowhere.json", "--event", "push"), 1, "nowhere.json cannot be read"),
        (("--delivery", "a", "--pr", "b/c#1"), 2, "one of the three"),
    ],
    ids=["nothing", "no event", "no file", "two"],
)
def test_what_cannot_be_explained_says_how_to_ask(
    config: Path, args: tuple[str, ...], code: int, words: str
) -> None:
    came, told, wrong = explain(config, *args)
    assert (came, told) == (code, "")
    assert words in wrong


def test_what_is_no_payload_or_no_rule_is_an_error(config: Path) -> None:
    config.with_name("bad.json").write_text("[]")
    code, _, wrong = explain(config, str(config.with_name("bad.json")), "--event", "push")
    assert code == 1
    assert wrong.startswith(f"covend: {config.with_name('bad.json')}: ")
    code, _, wrong = here(config, "--rule", "revue")
    assert (code, wrong) == (1, "covend: there is no rule 'revue'  (covend check)\n")
    config.write_text("nonsense = 1")
    assert here(config)[0] == 78


async def test_a_delivery_is_explained_by_the_daemon(operator: Operator) -> None:
    delivery = await opened(operator.desk)
    done = await operator.run("explain", "--delivery", delivery)
    assert done.exit_code == 0, done.stderr
    assert "✓  rule review  matched" in done.stdout
    assert f"key        {KEY}" in done.stdout
    assert "✓  concurrency  0 of 100 attempts run" in done.stdout
    gone = await operator.run("explain", "--delivery", "nothing")
    assert (gone.exit_code, gone.stderr) == (1, "covend: There is no delivery nothing.\n")


async def test_on_a_terminal_it_has_colours(operator: Operator) -> None:
    delivery = await opened(operator.desk)
    assert "\x1b[" in await operator.see("explain", "--delivery", delivery)


async def test_a_pull_request_that_covend_cannot_see_is_an_error(operator: Operator) -> None:
    done = await operator.run("explain", "--pr", "acme/gone#1")
    assert done.exit_code == 1
    assert "There is no repository acme/gone" in done.stderr
    assert (await operator.run("explain", "--pr", "nonsense")).exit_code == 2
