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
        ('[agents.x]\ncommand = ["x"]', "agents.x", "used by no rule"),
        ('[admin]\nlisten = "0.0.0.0:1"', "admin.listen", "other machines"),
        (f"{USED}network = false", "agents.x.network", "HAS the network"),
        (f'{USED}readable = ["/opt"]', "agents.x.readable", "nothing is hidden"),
        (f'{USED}container = {{ image = "x" }}', "agents.x.container", "no effect"),
        (
            "[limits]\nconcurrency_per_repository = 5",
            "limits.concurrency_per_repository",
            "limits.concurrency = 4",
        ),
        (
            "[limits]\nconcurrency_per_installation = 5",
            "limits.concurrency_per_installation",
            "never holds",
        ),
        (
            '[store]\nretention = { deliveries = "2d" }',
            "store.retention.deliveries",
            "shorter than the three days",
        ),
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
        (
            'on = ["push"]\ncheckout = "none"\npublish = ["pull_request"]',
            "publish[0]",
            "needs a checkout",
        ),
        ('on = ["push"]\npublish = ["comment"]', "publish[0]", "no event in `on` is about one"),
        ('on = ["push"]\npublish = ["labels"]', "publish[0]", "no event in `on` is about one"),
        ('on = ["push"]\npublish = ["reaction"]', "publish[0]", "no event in `on` is about one"),
        (
            'on = ["command.fix", "push", "!issues"]',
            "allow",
            "push is asked for admin, maintain, write as well",
        ),
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
        'on = ["command.fix"]\nwhen = { paths = "src/**" }',
        'on = ["command.fix", "push"]\nallow = ["write"]',
        'on = ["checks.passed"]\nwhen = { draft = false, fork = false }\npublish = ["review"]',
        'on = ["task.failed"]\nwhen = { conclusion = "failure" }\npublish = ["review"]',
        'on = ["push"]\nsupersede = false',
        'on = ["issues.opened"]\npublish = ["labels", "reaction"]',
        'on = ["issues.opened"]\npublish = ["pull_request"]',
        'on = ["pull_request.*", "!pull_request.closed"]',
    ],
)
def test_a_rule_that_can_work_is_not_warned_of(tmp_path: Path, lines: str) -> None:
    rule = f'[[rules]]\nname = "second"\nagent = "claude"\nprompt = {{ text = "x" }}\n{lines}\n'
    inspection = look(tmp_path, GOOD + rule)
    assert inspection.errors == ()
    assert inspection.warnings == ()


def test_nothing_is_called_idle_that_only_trust_or_a_fallback_comes_to(tmp_path: Path) -> None:
    agents = "".join(f'[agents.{name}]\ncommand = ["x"]\n' for name in ("careful", "last"))
    text = GOOD.replace("[[rules]]", f'fallback = ["last"]\n{agents}[[rules]]')
    text += 'trust = { fork = { do = "hold", agent = "careful" } }\n'
    assert look(tmp_path, text).warnings == ()


def test_what_safeguards_budgets_and_fallbacks_say_is_in_force(tmp_path: Path) -> None:
    text = GOOD.replace("[[rules]]", 'fallback = ["x"]\nbudget_tokens_per_attempt = 1\n[[rules]]')
    text += (
        "budget_tokens_per_subject = 9\nsupersede = true\n"
        '[agents.x]\ncommand = ["x"]\n'
        "[limits]\nchain_depth = 2\nbudget_usd_per_day = 5\n"
        '[safeguards]\nrate = [{ per = "rule", max = 1, window = "1m" }]\nloop = {}\n'
    )
    assert look(tmp_path, text).warnings == ()


def test_how_long_things_are_kept_is_in_force(tmp_path: Path) -> None:
    kept = 'deliveries = "3d", completed = "1d", failed = "2d", logs = "1h"'
    inspection = look(tmp_path, f"{GOOD}[store]\nretention = {{ {kept} }}\n")
    assert inspection.warnings == ()
