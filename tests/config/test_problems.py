from __future__ import annotations

from pathlib import Path

import pytest

from covend.config.load import inspect
from covend.config.problems import Problem, closest, dotted, masked_line

SECRET = "hunter2-hunter2"
TOKEN = "ghp_AbCdEf0123456789abcdefghijklmnopqrst"


@pytest.mark.parametrize(
    "text",
    [
        f'[github]\ntoken = "{SECRET}"',
        f"[github]\ntoken = {SECRET}",
        f'[github]\ntoken = "{SECRET}',
        f'[github]\ntoken = {{ text = "{SECRET}" }}',
        f'[github]\ntoken = {{ env = "A", "x" = "{SECRET}" }}',
        f'github = {{ app_id = "1", token = "{SECRET}" }}',
        f'[github]\nwebhook_secrets = [{{ env = "A" }}, "{SECRET}"]',
        f'[github]\nwebhook_secrets = [\n  {{ env = "A" }},\n  "{SECRET}",\n]',
        f"[github]\nwebhook_secrets = [\n  {SECRET},\n]",
        f'[github]\nwebhook_secrets = "{SECRET}"',
        f'[github]\nprivate_key = """\n{SECRET}\n"""',
        f'[github]\nprivate_key = """\n{SECRET}\n""\n',
        f'[github]\nsecret = "{SECRET}"',
        f'[github]\npassword = "{SECRET}"',
        f'[store]\nurl = "postgresql://u:{SECRET}@h/db"',
        f'[callbacks.x]\nurl = "https://u:{SECRET}@h/db"',
        f'[admin]\nlisten = "x"\ntoken = ["{SECRET}"]',
        f'[github]\ntoken = {{ env = "{TOKEN}" }}\nwebhook_secrets = []',
        f'[limits]\nlease = "{TOKEN}"',
    ],
)
def test_a_secret_written_into_the_file_is_refused_and_never_shown(
    tmp_path: Path, text: str
) -> None:
    path = tmp_path / "covend.toml"
    path.write_text(text)
    errors = inspect(path, {}).errors
    assert errors
    shown = "\n".join(str(problem) for problem in errors)
    assert SECRET not in shown
    assert TOKEN not in shown


@pytest.mark.parametrize(
    "line",
    [
        'private_key = { file = "app.pem" }',
        'webhook_secrets = [{ env = "HOOK" }, { credential = "hook" }]',
        "metrics_token = true",
        "budget_tokens_per_day = 1000",
        'env = ["COVEND_PRODUCTION_WEBHOOK_SECRET_V2"]',
        'on = ["pull_request.opened"]',
        "[github]",
    ],
)
def test_a_line_without_a_secret_is_shown_as_it_is(line: str) -> None:
    assert masked_line([line], 1) == line


def test_the_caret_stands_below_its_character_also_after_tabs() -> None:
    problem = Problem(file="f", line=3, column=3, message="no", source_line="\t\tkey = 1")
    assert str(problem) == "f:3: no\n    3 | \t\tkey = 1\n      | \t\t^"


def test_a_path_is_written_as_people_read_it() -> None:
    assert dotted(("rules", 0, "when", "payload")) == "rules[0].when.payload"


@pytest.mark.parametrize(
    ("name", "meant"),
    [("concurency", '"concurrency"'), ("Lease", '"lease"'), ("colour", None), ("", None)],
)
def test_the_nearest_name_is_offered_and_a_far_one_is_not(name: str, meant: str | None) -> None:
    assert closest(name, ["concurrency", "lease"]) == meant
