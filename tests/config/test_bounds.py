"""What bounds work, from the file to the settings: limits, budgets, safeguards, retries, fallbacks,
and who may give a command.
"""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from covend.config.values import RateScope, Retried
from covend.core.bounds import (
    SCOPES,
    Budgets,
    Circuit,
    CrashLoop,
    FailureKind,
    Loop,
    Rate,
    Retry,
    Safeguards,
)
from covend.core.settings import Limits
from tests.config.files import GOOD, look


def test_what_bounds_work_reaches_the_settings(tmp_path: Path) -> None:
    text = GOOD.replace(
        "[[rules]]",
        'retry = { age = "2h", on = ["refused", "agent"] }\nbudget_usd_per_attempt = 2\n[[rules]]',
    )
    text += (
        "budget_tokens_per_subject = 70\n"
        "[limits]\nconcurrency_per_repository = 2\nconcurrency_per_installation = 3\n"
        "budget_usd_per_day = 50\nbudget_tokens_per_day = 900\n"
        "budget_usd_per_repository_per_day = 5.5\nbudget_tokens_per_repository_per_day = 90\n"
        "[safeguards]\n"
        'rate = [{ per = "subject, rule", max = 10, window = "1m" },'
        ' { per = ["agent", "actor"], max = 3, window = "1h" }]\n'
        'loop = { no_progress = 7 }\ncrash_loop = { failures = 4, suppress = "1m" }\n'
        'circuit = { open = "2m", window = "10m" }\n'
    )
    loaded = look(tmp_path, text).settings
    assert loaded is not None
    agent, (rule,) = loaded.agents["claude"], loaded.rules
    assert agent.retry == Retry(age_s=7200.0, on=(FailureKind.REFUSED, FailureKind.AGENT))
    assert agent.budgets == Budgets(usd_per_attempt=2.0)
    assert rule.budgets == Budgets(tokens_per_subject=70)
    assert loaded.limits == Limits(
        concurrency_per_repository=2,
        concurrency_per_installation=3,
        budget_usd_per_day=50.0,
        budget_tokens_per_day=900,
        budget_usd_per_repository_per_day=5.5,
        budget_tokens_per_repository_per_day=90,
    )
    assert loaded.safeguards == Safeguards(
        rate=(
            Rate(per=("rule", "subject"), max_count=10, window_s=60.0),
            Rate(per=("actor", "agent"), max_count=3, window_s=3600.0),
        ),
        loop=Loop(no_progress=7),
        crash_loop=CrashLoop(failures=4, suppress_s=60.0),
        circuit=Circuit(open_s=120.0, window_s=600.0),
    )


def test_a_silent_file_bounds_work_as_the_settings_do_by_themselves(tmp_path: Path) -> None:
    loaded = look(tmp_path, GOOD).settings
    assert loaded is not None
    assert loaded.safeguards == Safeguards()
    assert loaded.limits == Limits()
    assert loaded.agents["claude"].retry == Retry()
    assert (loaded.agents["claude"].budgets, loaded.rules[0].budgets) == (Budgets(), Budgets())


def test_a_rate_counts_by_what_the_settings_say_and_a_retry_knows_their_kinds() -> None:
    assert get_args(RateScope) == SCOPES
    assert {*get_args(Retried), FailureKind.INFRASTRUCTURE} == set(FailureKind)


def test_the_policy_of_a_rule_has_the_fallbacks_of_its_agent_each_once(tmp_path: Path) -> None:
    agents = '[agents.b]\ncommand = ["b"]\nfallback = ["c"]\n[agents.c]\ncommand = ["c"]\n'
    text = GOOD.replace("[[rules]]", 'fallback = ["b", "b"]\n[[rules]]') + agents
    loaded = look(tmp_path, text).settings
    assert loaded is not None
    assert loaded.policies["review"].fallbacks == (loaded.agents["b"],)
    assert loaded.agents["claude"].fallback == ("b",)


@pytest.mark.parametrize(
    ("lines", "allow"),
    [
        ('on = ["command.fix"]', ("admin", "maintain", "write")),
        ('on = ["command.fix"]\nallow = ["read"]', ("read",)),
        ('on = ["push", "command"]', ("admin", "maintain", "write")),
        ('on = ["push", "!command.fix"]', None),
        ('on = ["push"]', None),
    ],
)
def test_a_command_is_never_anybodys_to_give(
    tmp_path: Path, lines: str, allow: tuple[str, ...] | None
) -> None:
    loaded = look(tmp_path, GOOD.replace('on = ["pull_request.opened"]', lines)).settings
    assert loaded is not None
    assert loaded.rules[0].allow == allow
