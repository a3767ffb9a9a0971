from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from covend.config.load import inspect, origins
from covend.config.overrides import override
from covend.core.units import DURATION_FORMS


def put(name: str, value: str, tables: dict[str, Any] | None = None) -> dict[str, Any]:
    merged, _, findings = override(tables or {}, {name: value})
    assert findings == []
    return merged


@pytest.mark.parametrize(
    ("name", "value", "tables"),
    [
        ("COVEND_STATE_DIR", "/x", {"state_dir": "/x"}),
        ("COVEND_LIMITS__CONCURRENCY", "8", {"limits": {"concurrency": 8}}),
        ("COVEND_LIMITS__BUDGET_USD_PER_DAY", "2.5", {"limits": {"budget_usd_per_day": 2.5}}),
        ("COVEND_LIMITS__LEASE", "30s", {"limits": {"lease": "30s"}}),
        ("COVEND_LIMITS__WORKSPACES", "1GiB", {"limits": {"workspaces": "1GiB"}}),
        ("COVEND_GITHUB__RECONCILE_EVERY", "0", {"github": {"reconcile_every": "0"}}),
        ("COVEND_GITHUB__MENTION", "42", {"github": {"mention": "42"}}),
        ("COVEND_ADMIN__METRICS_TOKEN", "true", {"admin": {"metrics_token": True}}),
        ("COVEND_STORE__RETENTION__LOGS", "1d", {"store": {"retention": {"logs": "1d"}}}),
        ("COVEND_AGENTS__CLAUDE__MODEL", "m", {"agents": {"claude": {"model": "m"}}}),
        ("COVEND_GITHUB__TOKEN__ENV", "T", {"github": {"token": {"env": "T"}}}),
        ("COVEND_LIMITS__WORKSPACES", "64", {"limits": {"workspaces": "64"}}),
        ("COVEND_LIMITS__CONCURRENCY", "many", {"limits": {"concurrency": "many"}}),
    ],
)
def test_a_variable_becomes_the_value_of_its_key(
    name: str, value: str, tables: dict[str, Any]
) -> None:
    assert put(name, value) == tables


def test_a_variable_finds_an_agent_whose_name_has_other_signs() -> None:
    tables = {"agents": {"code-reviewer.2": {"model": "a"}}}
    merged = put("COVEND_AGENTS__CODE_REVIEWER_2__MODEL", "b", tables)
    assert merged == {"agents": {"code-reviewer.2": {"model": "b"}}}
    assert tables == {"agents": {"code-reviewer.2": {"model": "a"}}}


@pytest.mark.parametrize(
    "name", ["COVEND_CONFIG", "COVEND_WEBHOOK_SECRET", "COVEND_TASK", "LIMITS__LEASE", "PATH"]
)
def test_other_variables_are_none_of_its_business(name: str) -> None:
    assert put(name, "x") == {}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("COVEND_ADMIN__HOSTS", "single values"),
        ("COVEND_GITHUB__WEBHOOK_SECRETS", "single values"),
        ("COVEND_STORE__RETENTION", "single values"),
        ("COVEND_GITHUB__PRIVATE_KEY", "single values"),
        ("COVEND_STATE_DIR__X", "no table"),
    ],
)
def test_lists_and_tables_cannot_be_overridden(name: str, words: str) -> None:
    _, _, findings = override({"state_dir": "/x"}, {name: "x"})
    assert [words in finding.message for finding in findings] == [True]


def test_an_error_in_a_variable_names_the_variable(tmp_path: Path) -> None:
    path = tmp_path / "covend.toml"
    path.write_text('[github]\ntoken = { env = "T" }\nwebhook_secrets = [{ env = "T" }]\n')
    environ = {"T": "x", "COVEND_LIMITS__LEASE": "90", "COVEND_LIMITS__LESE": "90s"}
    errors = [str(problem) for problem in inspect(path, environ).errors]
    wanted = f'limits.lease: is not a duration: write {DURATION_FORMS} (got "90")'
    assert errors == [
        f"$COVEND_LIMITS__LEASE: {wanted}",
        '$COVEND_LIMITS__LESE: limits.lese: is not a known key  did you mean "lease"?',
    ]


def test_every_value_has_an_origin(tmp_path: Path) -> None:
    path = tmp_path / "covend.toml"
    path.write_text(
        '[github]\ntoken = { env = "T" }\nwebhook_secrets = [{ env = "T" }]\n'
        '[limits]\nlease = "1m"\n'
    )
    inspection = inspect(path, {"T": "x", "COVEND_LIMITS__QUEUE_MAX": "7"})
    found = {path: (value, origin) for path, value, origin in origins(inspection)}
    assert found["limits", "lease"] == ("1m", f"{path}:5")
    assert found["limits", "queue_max"] == (7, "$COVEND_LIMITS__QUEUE_MAX")
    assert found["limits", "drain"] == ("1m", "default")
    assert found["limits", "workspaces"] == ("10GiB", "default")
    assert found["github", "token", "env"] == ("T", f"{path}:2")


def test_a_list_that_a_validator_reads_has_no_unit(tmp_path: Path) -> None:
    path = tmp_path / "covend.toml"
    path.write_text(
        '[github]\ntoken = { env = "T" }\nwebhook_secrets = [{ env = "T" }]\n'
        '[agents.a]\ncommand = ["a"]\n'
        '[[rules]]\nname = "r"\non = ["push"]\nagent = "a"\ndebounce = "5s"\n'
        'when = { repository = ["acme/*"], draft = false, payload = { "a.b" = ["x"] } }\n'
    )
    found = {path: value for path, value, _ in origins(inspect(path, {"T": "x"}))}
    assert found["rules", 0, "when", "repository"] == ["acme/*"]
    assert found["rules", 0, "when", "payload", "a.b"] == ["x"]
    assert found["rules", 0, "debounce"] == "5s"
