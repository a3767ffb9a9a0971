"""Budgets that another always comes before, or that nothing is ever counted on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.config.files import GOOD, look

CODEX = 'agent = "codex"\nprompt = { builtin = "review" }'


def told(tmp_path: Path, text: str) -> list[tuple[str, str]]:
    inspection = look(tmp_path, text)
    assert inspection.errors == ()
    return [(warning.key, warning.message) for warning in inspection.warnings]


@pytest.mark.parametrize(
    ("limits", "agent", "rule", "key", "words"),
    [
        (
            "budget_usd_per_day = 5",
            "budget_usd_per_attempt = 5.5",
            "",
            "agents.claude.budget_usd_per_attempt",
            "is more than limits.budget_usd_per_day = 5,",
        ),
        (
            "budget_tokens_per_repository_per_day = 5",
            "",
            "budget_tokens_per_attempt = 6",
            "rules[0].budget_tokens_per_attempt",
            "limits.budget_tokens_per_repository_per_day = 5",
        ),
        (
            "",
            "",
            "budget_usd_per_attempt = 2.5\nbudget_usd_per_subject = 2",
            "rules[0].budget_usd_per_attempt",
            "is more than budget_usd_per_subject = 2,",
        ),
        (
            "budget_usd_per_day = 5",
            "",
            "trust = { bot = { budget_usd_per_attempt = 6 } }",
            "rules[0].trust.bot.budget_usd_per_attempt",
            "used up before it",
        ),
        (
            "budget_tokens_per_day = 5\nbudget_tokens_per_repository_per_day = 6",
            "",
            "",
            "limits.budget_tokens_per_repository_per_day",
            "is more than limits.budget_tokens_per_day = 5",
        ),
    ],
)
def test_a_budget_that_a_wider_one_comes_before_is_warned_of(
    tmp_path: Path, limits: str, agent: str, rule: str, key: str, words: str
) -> None:
    text = GOOD.replace("[[rules]]", f"{agent}\n[[rules]]")
    warned = told(tmp_path, f"{text}{rule}\n[limits]\n{limits}\n")
    ((told_key, message),) = [each for each in warned if "is more than" in each[1]]
    assert told_key == key
    assert words in message


def test_budgets_that_grow_with_what_they_cover_are_good(tmp_path: Path) -> None:
    text = GOOD.replace(
        "[[rules]]",
        "budget_usd_per_subject = 2\nbudget_tokens_per_attempt = 1000\n[[rules]]",
    )
    text += (
        "budget_tokens_per_attempt = 200\nbudget_tokens_per_subject = 200\n[limits]\n"
        "budget_usd_per_day = 9\nbudget_usd_per_repository_per_day = 9\n"
    )
    assert told(tmp_path, text) == []


def test_dollars_are_never_reached_by_an_agent_that_tells_no_cost(tmp_path: Path) -> None:
    agent = '[agents.codex]\npreset = "codex"\nbudget_usd_per_subject = 1\n'
    rule = f'budget_usd_per_attempt = 1\n[[rules]]\nname = "b"\non = ["push"]\n{CODEX}\n'
    text = GOOD + rule + "trust = { bot = { budget_usd_per_attempt = 1 } }\n" + agent
    assert [key for key, message in told(tmp_path, text) if "codex tells tokens" in message] == [
        "rules[1].trust.bot.budget_usd_per_attempt",
        "agents.codex.budget_usd_per_subject",
    ]


def test_the_days_dollars_do_not_count_an_agent_that_tells_no_cost(tmp_path: Path) -> None:
    codex = '[agents.codex]\npreset = "codex"\n[limits]\nbudget_usd_per_day = 5\n'
    used = GOOD.replace("[[rules]]", 'fallback = ["codex"]\n[[rules]]')
    ((key, message),) = told(tmp_path, used + codex)
    assert key == "limits.budget_usd_per_day"
    assert "does not count agent codex" in message
    ((idle, _),) = told(tmp_path, GOOD + codex)
    assert idle == "agents.codex"


@pytest.mark.parametrize(
    ("agent", "name", "words"),
    [
        ('preset = "claude"', "usd", "claude tells its cost at the end; write budget_tokens"),
        ('preset = "claude"', "tokens", None),
        ('preset = "codex"', "tokens", None),
        ('command = ["x"]', "usd", "command tells what it has used at the end"),
        ('command = ["x"]', "tokens", "stops no attempt of agent claude"),
        ('preset = "coven-code"', "tokens", "coven-code tells what it has used at the end"),
    ],
)
def test_an_attempts_budget_must_be_of_what_the_agent_tells_on_its_way(
    tmp_path: Path, agent: str, name: str, words: str | None
) -> None:
    text = GOOD.replace('preset = "claude"', f"{agent}\nbudget_{name}_per_attempt = 9")
    warned = told(tmp_path, text)
    assert [key for key, _ in warned] == [f"agents.claude.budget_{name}_per_attempt"] * bool(words)
    assert not words or words in warned[0][1]
