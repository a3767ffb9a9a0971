from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from covend.cli.prepare import check
from covend.core.units import DURATION_FORMS

ROOT = Path(__file__).parents[2]
GITHUB = '[github]\ntoken = { env = "T" }\nwebhook_secrets = [{ env = "T" }]\n'
WRONG = f"{GITHUB}[limits]\nlese = 1\nlease = 2\n"
GOOD = GITHUB + '[safeguards]\n[agents.a]\npreset = "claude"\n'


def run(*args: str, **environ: str) -> Result:
    return CliRunner(env={"COVEND_CONFIG": None, **environ}).invoke(check, args)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "covend.toml"


@pytest.fixture
def example(config: Path) -> Path:
    """The example as its own instructions say, with a fresh key beside it."""
    config.write_text((ROOT / "config.example.toml").read_text())
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    app = config.with_name("app.pem")
    app.touch(mode=0o600)
    app.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return config


def test_the_example_is_good_and_without_a_warning(example: Path) -> None:
    done = run("--config", str(example), COVEND_WEBHOOK_SECRET="x")
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[0] == f"{example} is good"
    assert "review: pull_request.opened" in done.output
    assert "http://127.0.0.1:8787/webhooks/github" in done.output
    assert "claude (preset claude)" in done.output


def test_what_comes_by_the_clock_and_who_is_called_back_is_told(config: Path) -> None:
    """The path of a receiver may be a secret."""
    config.write_text(
        GOOD
        + '[[rules]]\nname = "r"\nagent = "a"\ncheckout = "none"\npublish = ["callback"]\n'
        + 'prompt = { builtin = "review" }\n'
        + '[[schedules]]\nname = "daily"\ncron = "0 6 * * *"\nrule = "r"\n'
        + '[callbacks.b]\nurl = "https://b.example.org/secret"\nsecrets = [{ env = "S" }]\n'
        + 'events = ["task.failed"]\n'
    )
    done = run("--config", str(config), T="x", S="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    assert "  schedule  daily: 0 6 * * * (UTC) → r\n" in done.output
    assert "b: task.failed → https://b.example.org\n" in done.output


def test_what_the_example_has_commented_out_is_known_too(example: Path) -> None:
    lines = example.read_text().splitlines()
    options = [line.removeprefix("# ") for line in lines if is_option(line)]
    # Beneath the header that it belongs to, which may be commented out as well.
    kept = [line.replace("# [", "[") for line in lines if not is_option(line)]
    assert len(options) > 25
    for option in options:
        text = "\n".join([*kept[: position(lines, option)], option])
        key = option.partition(" =")[0]
        example.write_text(text)
        done = run("--config", str(example), "--json", "--no-secrets")
        errors = json.loads(done.output)["errors"]
        last = text.count("\n") + 1
        here = [error for error in errors if error["line"] == last]
        wrong = [error for error in here if error["key"].endswith(f".{key}")]
        # It may not fit beside the rest (a token beside an App), or name what is commented out as
        # well, but it has the right shape.
        excused = ("beside", "names a rule that is not there")
        misshapen = [
            error for error in wrong if not any(words in error["message"] for words in excused)
        ]
        assert misshapen == [], option


def test_the_sections_that_the_example_has_commented_out_can_be_taken_in(example: Path) -> None:
    sections = re.compile(r"^# \[.+?(?=\n\n|\Z)", re.MULTILINE | re.DOTALL)
    begins = re.compile(r"^# ", re.MULTILINE)
    text, count = sections.subn(lambda found: begins.sub("", found[0]), example.read_text())
    assert count == 5
    example.write_text(text)
    done = run("--config", str(example), "--no-secrets")
    assert done.exit_code == 0, done.output


def is_option(line: str) -> bool:
    words = line.removeprefix("# ").split(" ")
    return line.startswith("# ") and len(words) > 2 and words[1] == "=" and words[0].islower()


def position(lines: list[str], option: str) -> int:
    """Count the kept lines that stand before an option."""
    before = lines[: lines.index(f"# {option}")]
    return sum(not is_option(line) for line in before)


def test_without_its_secrets_the_example_is_an_error_unless_they_are_not_asked_for(
    example: Path,
) -> None:
    example.with_name("app.pem").unlink()
    done = run("--config", str(example), "--json", COVEND_WEBHOOK_SECRET=None)  # type: ignore[arg-type]
    assert done.exit_code == 78
    keys = [error["key"] for error in json.loads(done.output)["errors"]]
    assert keys == ["github.private_key", "github.webhook_secrets[0]"]
    assert run("--config", str(example), "--no-secrets").exit_code == 0


def test_every_error_is_printed_with_its_line_and_the_exit_is_78(config: Path) -> None:
    config.write_text(WRONG)
    done = run("--config", str(config), T="x")
    assert done.exit_code == 78
    errors = [line for line in done.output.splitlines() if line.startswith("error: ")]
    assert errors == [
        f'error: {config}:5: limits.lese: is not a known key  did you mean "lease"?',
        f"error: {config}:6: limits.lease: must be text: {DURATION_FORMS} (got 2)",
    ]
    assert "    5 | lese = 1\n      | ^" in done.output
    assert done.output.splitlines()[-1] == "2 errors, and 1 warning"


TEN = """\
state_dri = "state"
[github]
token = { env = "T" }
webhook_secrets = [{ env = "T" }]
[limits]
drain = 60
[agents.claude]
preset = "claude"
fallback = ["codecks"]
[[rules]]
name = "review"
on = ["pull_request.open"]
agent = "cloude"
prompt = { file = "prompts/none.md" }
key = "constant"
[[rules]]
name = "review"
on = ["push"]
when = { draft = true }
agent = "claude"
prompt = { text = "{{ subject.titel }}" }
[[schedules]]
name = "nightly"
cron = "0 6 * * *"
timezone = "Europe/Berlin"
rule = "review"
repository = "acme/widgets"
"""


def test_ten_mistakes_are_all_told_at_once_each_with_its_line_and_its_mend(config: Path) -> None:
    config.write_text(TEN)
    done = run("--config", str(config), T="x")
    assert done.exit_code == 78
    told = [line.split(f"{config}:")[1] for line in done.output.splitlines() if config.name in line]
    assert [line.split(": ")[:2] for line in told] == [
        ["15", "rules[0].key"],
        ["19", "rules[1].when.draft"],
        ["1", "state_dri"],
        ["6", "limits.drain"],
        ["9", "agents.claude.fallback[0]"],
        ["12", "rules[0].on[0]"],
        ["13", "rules[0].agent"],
        ["14", "rules[0].prompt.file"],
        ["17", "rules[1].name"],
        ["21", "rules[1].prompt.text"],
        ["25", "schedules[0].timezone"],
    ]
    assert 'did you mean "state_dir"?' in told[2]
    assert 'did you mean "codex"?' not in told[4]
    assert 'did you mean "pull_request.opened"?' in told[5]
    assert 'did you mean "claude"?' in told[6]
    assert "write the hour in UTC" in told[10]
    assert done.output.splitlines()[-1] == "9 errors, and 2 warnings"


def test_warnings_do_not_fail_the_check(config: Path) -> None:
    config.write_text(GOOD)
    done = run("--config", str(config), T="x")
    assert done.exit_code == 0
    assert "warning: " in done.output
    assert f"{config} is good, with 2 warnings" in done.output


def test_nothing_is_coloured_that_is_no_terminal(config: Path) -> None:
    config.write_text(WRONG)
    assert "\x1b[" not in run("--config", str(config)).output


def test_the_json_has_every_problem_in_full(config: Path) -> None:
    config.write_text(WRONG)
    done = run("--config", str(config), "--json", T="x")
    answer: dict[str, Any] = json.loads(done.output)
    assert done.exit_code == 78
    assert answer["ok"] is False
    assert answer["errors"][0] == {
        "file": str(config),
        "line": 5,
        "column": 1,
        "key": "limits.lese",
        "message": "is not a known key",
        "got": None,
        "suggestion": '"lease"',
        "source_line": "lese = 1",
    }


def test_the_json_of_a_good_file_sums_it_up(example: Path) -> None:
    done = run("--config", str(example), "--json", COVEND_WEBHOOK_SECRET="x")
    answer = json.loads(done.output)
    assert list(answer) == [
        *("ok", "file", "errors", "warnings", "state_dir", "listeners", "agents", "rules"),
        *("schedules", "callbacks", "sources", "limits"),
    ]
    assert answer["ok"] is True
    assert answer["listeners"]["admin"] == "http://127.0.0.1:8788"
    assert answer["agents"] == [{"name": "claude", "preset": "claude", "command": ["claude"]}]
    assert [rule["publish"] for rule in answer["rules"]] == [["check", "review"]]


def test_each_value_is_shown_with_its_origin_and_no_secret(example: Path) -> None:
    environ = {"COVEND_WEBHOOK_SECRET": "hunter2", "COVEND_LIMITS__CONCURRENCY": "9"}
    done = run("--config", str(example), "--show-origin", **environ)
    assert "limits.concurrency = 9  # $COVEND_LIMITS__CONCURRENCY" in done.output
    assert 'limits.lease = "90s"  # default' in done.output
    assert 'github.webhook_secrets[0].env = "COVEND_WEBHOOK_SECRET"' in done.output
    assert "hunter2" not in done.output
    listed = json.loads(run("--config", str(example), "--json", "--show-origin", **environ).output)
    assert {"key": "limits.concurrency", "value": 9, "origin": "$COVEND_LIMITS__CONCURRENCY"} in (
        listed["values"]
    )


def test_without_any_file_the_check_says_where_it_looked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run(HOME=str(tmp_path), XDG_CONFIG_HOME="")
    assert done.exit_code == 78
    assert "name one with --config FILE" in done.output


def test_the_json_of_a_good_file_has_what_comes_by_the_clock_and_from_elsewhere(
    config: Path,
) -> None:
    config.write_text(
        GOOD
        + '[[rules]]\nname = "r"\nagent = "a"\ncheckout = "none"\npublish = ["callback"]\n'
        + 'on = ["forge:push"]\nprompt = { builtin = "review" }\n'
        + '[[schedules]]\nname = "daily"\ncron = "0 6 * * *"\nrule = "r"\n'
        + '[callbacks.b]\nurl = "https://b.example.org/hidden"\nsecrets = [{ env = "S" }]\n'
        + 'events = ["task.failed"]\n'
        + '[sources.forge]\nkind = "gitea"\nsecrets = [{ env = "T" }]\n'
    )
    answer = json.loads(run("--config", str(config), "--json", "--no-secrets").output)
    assert answer["schedules"] == [
        {
            "name": "daily",
            "cron": "0 6 * * *",
            "rule": "r",
            "repository": None,
            "missed": "run_once",
        }
    ]
    assert answer["callbacks"] == [
        {"name": "b", "events": ["task.failed"], "host": "b.example.org"}
    ]
    assert answer["sources"] == [{"name": "forge", "kind": "gitea", "trust": "none"}]
    assert answer["limits"]["concurrency"] == 4
    assert answer["limits"]["budget_usd_per_day"] is None


def test_what_a_preset_fills_in_is_shown_as_the_presets(example: Path) -> None:
    example.write_text(example.read_text().replace('command = ["claude"]', ""))
    shown = run("--config", str(example), "--show-origin", "--no-secrets").output
    assert 'agents.claude.command = ["claude"]  # preset claude' in shown
    assert 'agents.claude.stop_signal = "SIGINT"  # preset claude' in shown


def test_an_unknown_option_is_a_usage_error() -> None:
    assert run("--confg", "x").exit_code == 2
