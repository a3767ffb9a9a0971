from __future__ import annotations

from pathlib import Path

import pytest

from tests.config.files import GOOD, look

USED = """\
[[rules]]
name = "second"
on = ["push"]
agent = "x"
prompt = { text = "x" }
[agents.x]
command = ["x"]
"""


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        ("[safeguards]\nloop = { no_progress = 2 }", "safeguards", "not in force"),
        ('[agents.x]\ncommand = ["x"]', "agents.x", "used by no rule"),
        ('[admin]\nlisten = "0.0.0.0:1"', "admin.listen", "other machines"),
        (f"{USED}network = false", "agents.x.network", "HAS the network"),
        (f'{USED}readable = ["/opt"]', "agents.x.readable", "nothing is hidden"),
        (f'{USED}container = {{ image = "x" }}', "agents.x.container", "no effect"),
        ("[limits]\nbudget_usd_per_day = 5", "limits.budget_usd_per_day", "no budget"),
        ('[github]\nreconcile_every = "5m"', "github.reconcile_every", "not read"),
    ],
)
def test_what_is_unwise_or_not_in_force_is_a_warning_and_stops_nothing(
    tmp_path: Path, text: str, key: str, words: str
) -> None:
    whole = GOOD.replace("[github]", text) if "[github]" in text else f"{GOOD}{text}\n"
    inspection = look(tmp_path, whole)
    assert inspection.settings is not None
    (warning,) = inspection.warnings
    assert warning.key == key
    assert words in warning.message
    assert warning.line is not None


@pytest.mark.parametrize(
    ("lines", "key", "words"),
    [
        ('on = ["push"]\nwhen = { draft = false }', "when.draft", "never be true: push"),
        ('on = ["push"]\nwhen = { labels = ["x", "!y"] }', "when.labels", "never be true"),
        ('on = ["issues.*"]\nwhen = { conclusion = "success" }', "when.conclusion", "never"),
        ('on = ["push"]\npublish = ["review"]', "publish[0]", "needs a pull request"),
        ('on = ["pull_request"]\npublish = ["check"]', "publish[0]", "commit status"),
        ('on = ["pull_request"]\npublish = ["reaction"]', "publish[0]", "not in force"),
        ('on = ["command.fix"]', "allow", "whoever can write a comment"),
        ("", "on", "only a person or a program"),
    ],
)
def test_a_rule_that_cannot_do_what_it_says_is_a_warning(
    tmp_path: Path, lines: str, key: str, words: str
) -> None:
    rule = f'[[rules]]\nname = "second"\nagent = "claude"\nprompt = {{ text = "x" }}\n{lines}\n'
    inspection = look(tmp_path, GOOD + rule)
    assert inspection.settings is not None
    (warning,) = inspection.warnings
    assert warning.key == f"rules[1].{key}"
    assert words in warning.message


@pytest.mark.parametrize(
    "lines",
    [
        'on = ["push", "pull_request"]\nwhen = { draft = false }',
        'on = ["*"]\nwhen = { conclusion = "success" }',
        'on = ["push"]\nwhen = { labels = ["!wip"] }',
        'on = ["repository_dispatch.nightly"]',
        'on = ["command.fix"]\nallow = ["write"]\nwhen = { paths = "src/**" }',
        'on = ["pull_request.*", "!pull_request.closed"]',
    ],
)
def test_a_rule_that_can_work_is_not_warned_of(tmp_path: Path, lines: str) -> None:
    rule = f'[[rules]]\nname = "second"\nagent = "claude"\nprompt = {{ text = "x" }}\n{lines}\n'
    inspection = look(tmp_path, GOOD + rule)
    assert inspection.errors == ()
    assert inspection.warnings == ()
