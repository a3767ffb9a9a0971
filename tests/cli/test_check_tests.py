"""`covend check --tests`: payloads are held against the rules before anything is deployed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.operator_desk import invoke
from tests.web.test_admin_submissions import OPENED

CONFIG = """\
[github]
token = { env = "NOWHERE" }
webhook_secrets = [{ env = "NOWHERE" }]
[agents.sh]
command = ["true"]
[[rules]]
name = "review"
on = ["pull_request.opened"]
when = { base = ["main"] }
agent = "sh"
publish = ["comment"]
"""
SAMPLE = '[[tests]]\npayload = "tests/opened.json"\nevent = "{event}"\nexpect = {expect}\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/opened.json").write_bytes(OPENED)
    return tmp_path


def check(
    folder: Path, *expects: str, event: str = "pull_request", options: tuple[str, ...] = ()
) -> tuple[int, list[str]]:
    samples = "".join(SAMPLE.format(event=event, expect=expect) for expect in expects)
    path = folder / "covend.toml"
    path.write_text(CONFIG + samples)
    done = invoke("check", "--no-secrets", "--tests", *options, "--config", str(path))
    return done.exit_code, done.stdout.splitlines()


def test_tests_that_hold_are_told_and_are_no_warning(folder: Path) -> None:
    code, told = check(folder, '{ rule = "review", held = false, tasks = 1 }')
    assert (code, told[-1]) == (0, "1 test, all good")
    assert told[0].endswith("covend.toml is good")
    assert told[-2] == "✓ pull_request tests/opened.json  rule review, 1 tasks, not held"


def test_a_file_without_any_says_so_instead_of_calling_them_good(folder: Path) -> None:
    code, told = check(folder)
    assert (code, told[-1]) == (0, "there are no [[tests]] in it")


def test_one_that_fails_tells_what_came_and_which_clause_refused(folder: Path) -> None:
    (folder / "tests/opened.json").write_bytes(OPENED.replace(b'"ref":"main"', b'"ref":"next"'))
    code, told = check(folder, '{ rule = "review" }', "{ nothing = true }")
    assert (code, told[-1]) == (1, "1 of 2 tests failed")
    assert "    rule: expected review, came nothing (when.base is next, wants main)" in told


def test_an_event_that_is_none_is_one_mistake_of_the_file(folder: Path) -> None:
    code, told = check(folder, "{ nothing = true }", event="pull_requests")
    assert code == 78
    assert "tests[0].event" in told[0]
    assert told[-1].startswith("1 error")


@pytest.mark.parametrize(
    ("expect", "key"),
    [
        ("{}", "tests[0].expect"),
        ("{ held = true }", "tests[0].expect"),
        ('{ nothing = true, key = "a" }', "tests[0].expect.key"),
        ('{ rule = "review", tasks = 0, held = true }', "tests[0].expect.held"),
        ('{ rule = "revue" }', "tests[0].expect.rule"),
    ],
    ids=["empty", "held alone", "key of nothing", "held of nothing", "unknown rule"],
)
def test_what_cannot_be_expected_is_a_mistake_of_the_file(
    folder: Path, expect: str, key: str
) -> None:
    code, told = check(folder, expect)
    assert code == 78
    assert f"{key}: " in told[0]


def test_a_payload_that_is_not_there_or_is_none_is_a_mistake_of_the_file(folder: Path) -> None:
    sample = folder / "tests/opened.json"
    sample.write_text("[]")
    code, told = check(folder, '{ rule = "review" }')
    assert (code, "holds no JSON object" in told[0]) == (78, True)
    sample.unlink()
    code, told = check(folder, '{ rule = "review" }')
    assert (code, "no such file" in told[0]) == (78, True)
    assert "tests[0].payload" in told[0]


def test_json_has_each_test_with_what_is_amiss(folder: Path) -> None:
    code, told = check(folder, '{ rule = "review", key = "k" }', options=("--json",))
    (one,) = json.loads(told[0])["tests"]
    assert (code, one["ok"], one["expected"]) == (1, False, {"rule": "review", "key": "k"})
    (wrong,) = one["mismatches"]
    assert (wrong["what"], wrong["came"]) == ("key", f"review:1:pull_request:7:{'a' * 40}")
