"""What a rule's `trust` becomes, and what is said of one that is wrong or unwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from covend.config.load import origins
from covend.config.rule_tables import TrustTable
from covend.core.bounds import Budgets
from covend.core.model import Trust
from covend.core.policy import policy_of
from covend.core.settings import Admission, Sandbox, Settings, Terms
from tests.config.files import GOOD, look

AGENTS = """\
[agents.codex]
preset = "codex"
sandbox = "bubblewrap"
[agents.last]
command = ["x"]
container = { image = "x" }
"""


def with_trust(trust: str, *, agent: str = "", rule: str = "") -> str:
    text = GOOD.replace("[[rules]]", f"{agent}\n{AGENTS}[[rules]]")
    return f"{text}{rule}\ntrust = {trust}\n"


def settled(tmp_path: Path, text: str) -> Settings:
    inspection = look(tmp_path, text)
    assert inspection.errors == ()
    assert inspection.settings is not None
    return inspection.settings


def test_the_file_has_a_key_for_each_degree_of_trust() -> None:
    assert set(TrustTable.model_fields) == {trust.value for trust in Trust}


def test_a_text_says_what_to_do_and_a_table_how(tmp_path: Path) -> None:
    text = with_trust(
        '{ admin = "run", none = "refuse", bot = { agent = "last" },'
        ' fork = { do = "hold", sandbox = "bubblewrap", budget_usd_per_attempt = 1 } }',
        rule="budget_usd_per_attempt = 9.0\nbudget_tokens_per_subject = 100",
    )
    (rule,) = settled(tmp_path, text).rules
    assert rule.trust == {
        Trust.ADMIN: Terms(),
        Trust.NONE: Terms(admission=Admission.REFUSE),
        Trust.BOT: Terms(agent="last"),
        Trust.FORK: Terms(
            admission=Admission.HOLD,
            sandbox=Sandbox.BUBBLEWRAP,
            budgets=Budgets(usd_per_attempt=1.0, tokens_per_subject=100),
        ),
    }


def test_trust_that_only_admits_or_refuses_needs_no_policy_of_its_own(tmp_path: Path) -> None:
    text = with_trust('{ admin = "run", fork = "refuse", bot = { agent = "claude" } }')
    assert settled(tmp_path, text).policies_by_trust == {}


def test_trust_that_changes_how_it_is_done_has_a_policy_of_its_own(tmp_path: Path) -> None:
    text = with_trust(
        '{ bot = { agent = "codex" }, fork = { sandbox = "bubblewrap" },'
        " none = { budget_tokens_per_attempt = 5 } }"
    )
    settings = settled(tmp_path, text)
    (rule,), policies = settings.rules, settings.policies_by_trust
    assert set(policies) == {("review", trust) for trust in (Trust.BOT, Trust.FORK, Trust.NONE)}
    by_bot = policies["review", Trust.BOT]
    assert (by_bot.rule.agent, by_bot.agent) == ("codex", settings.agents["codex"])
    assert by_bot.rule.trust == rule.trust
    assert policies["review", Trust.FORK].agent.sandbox is Sandbox.BUBBLEWRAP
    assert policies["review", Trust.NONE].rule.budgets == Budgets(tokens_per_attempt=5)
    assert settings.policies["review"] == policy_of(rule, settings.agents["claude"])
    assert len({policy.sha256 for policy in policies.values()}) == 3


def test_the_sandbox_of_trust_is_that_of_the_fallbacks_too(tmp_path: Path) -> None:
    text = with_trust(
        '{ fork = { sandbox = "bubblewrap" } }',
        agent='fallback = ["last", "strict", "codex"]',
    )
    text += '[agents.strict]\ncommand = ["x"]\nsandbox = "container"\ncontainer = { image = "x" }\n'
    settings = settled(tmp_path, text)
    confined = settings.policies_by_trust["review", Trust.FORK]
    assert [(agent.name, agent.sandbox) for agent in (confined.agent, *confined.fallbacks)] == [
        ("claude", Sandbox.BUBBLEWRAP),
        ("last", Sandbox.BUBBLEWRAP),
        ("strict", Sandbox.CONTAINER),
        ("codex", Sandbox.BUBBLEWRAP),
    ]
    assert [agent.sandbox for agent in settings.policies["review"].fallbacks] == [
        Sandbox.NONE,
        Sandbox.CONTAINER,
        Sandbox.BUBBLEWRAP,
    ]


def test_an_agent_by_trust_comes_with_its_own_fallbacks(tmp_path: Path) -> None:
    text = with_trust('{ fork = { do = "hold", agent = "codex" } }', agent='fallback = ["last"]')
    text = text.replace('preset = "codex"', 'preset = "codex"\nfallback = ["claude", "claude"]')
    settings = settled(tmp_path, text)
    assert [agent.name for agent in settings.policies["review"].fallbacks] == ["last"]
    by_fork = settings.policies_by_trust["review", Trust.FORK]
    assert [agent.name for agent in by_fork.fallbacks] == ["claude"]


@pytest.mark.parametrize(
    ("trust", "agent", "words"),
    [
        ('{ bot = { agent = "codex", sandbox = "none" } }', "", "take away agents.codex.sandbox"),
        (
            '{ bot = { sandbox = "bubblewrap" } }',
            'sandbox = "container"\ncontainer = { image = "x" }',
            "name an agent of its own",
        ),
        ('{ bot = { agent = "last", sandbox = "container" } }', 'fallback = ["last"]', None),
        ('{ bot = { sandbox = "container" } }', 'container = { image = "x" }', None),
        (
            '{ bot = { sandbox = "container" } }',
            'container = { image = "x" }\nfallback = ["codex"]',
            "needs agents.codex.container",
        ),
    ],
)
def test_trust_adds_a_sandbox_that_its_agents_can_have_and_takes_none_away(
    tmp_path: Path, trust: str, agent: str, words: str | None
) -> None:
    errors = look(tmp_path, with_trust(trust, agent=agent)).errors
    assert [error.key for error in errors] == ["rules[0].trust.bot.sandbox"] * bool(words)
    assert not words or words in errors[0].message


@pytest.mark.parametrize(
    ("trust", "rule", "agent", "words"),
    [
        ('{ fork = "run" }', "", "", "lets agent claude do the work of strangers"),
        ('{ first_time = "run" }', "", "", "all of covend's own rights"),
        ("{ none = { budget_tokens_per_attempt = 1 } }", "", "", '"hold" it'),
        ('{ fork = { agent = "codex" } }', "", "", None),
        ('{ fork = { sandbox = "bubblewrap" } }', "", "", None),
        ('{ fork = { sandbox = "none" } }', "", "", "strangers"),
        ('{ fork = "run" }', "", 'user = "agent"', None),
        ('{ fork = "run" }', "", 'user = "agent"\nfallback = ["last"]', "agent last"),
        ('{ fork = "run" }', "when = { fork = false }", "", None),
        ('{ fork = "hold", none = "refuse", bot = "run" }', "", "", None),
        ('{ fork = { do = "refuse", agent = "codex" } }', "", "", "nothing is done"),
    ],
)
def test_strangers_work_with_covends_own_rights_is_warned_of(
    tmp_path: Path, trust: str, rule: str, agent: str, words: str | None
) -> None:
    inspection = look(tmp_path, with_trust(trust, rule=rule, agent=agent))
    assert inspection.errors == ()
    warned = [each for each in inspection.warnings if each.key.startswith("rules")]
    assert len(warned) == bool(words)
    assert not words or words in warned[0].message


@pytest.mark.parametrize(
    ("on", "trust", "comes"),
    [
        ("push", "fork", False),
        ("issues.opened", "fork", False),
        ("pull_request.*", "fork", True),
        ("command.fix", "fork", True),
        ("checks.failed", "fork", True),
        ("task.completed", "fork", True),
        ("push", "member", False),
        ("check_run.completed", "first_time", False),
        ("issues", "first_time", True),
        ("push", "admin", True),
        ("push", "none", True),
        ("*", "fork", True),
    ],
)
def test_a_trust_that_never_comes_is_warned_of(
    tmp_path: Path, on: str, trust: str, comes: bool
) -> None:
    text = with_trust(f'{{ {trust} = "refuse" }}').replace("pull_request.opened", on)
    inspection = look(tmp_path, text)
    assert inspection.errors == ()
    warned = [each for each in inspection.warnings if ".trust." in each.key]
    assert [(each.key, each.line) for each in warned] == (
        [] if comes else [(f"rules[0].trust.{trust}", text.count("\n"))]
    )
    assert comes or "never comes" in warned[0].message


def test_a_sandbox_by_trust_gives_an_agents_readable_and_container_a_meaning(
    tmp_path: Path,
) -> None:
    agent = 'readable = ["/opt"]\ncontainer = { image = "x" }'
    text = GOOD.replace("[[rules]]", f"{agent}\n[[rules]]")
    assert len(look(tmp_path, text).warnings) == 2
    text += 'trust = { fork = { sandbox = "container" } }\n'
    assert look(tmp_path, text).warnings == ()


def test_where_a_rules_trust_comes_from_is_told(tmp_path: Path) -> None:
    text = with_trust('{ fork = "hold", bot = { do = "run", agent = "last" } }')
    line = text.count("\n")
    told = {path: (value, where) for path, value, where in origins(look(tmp_path, text))}
    assert told["rules", 0, "trust", "fork"] == ("hold", f"{tmp_path / 'covend.toml'}:{line}")
    assert told["rules", 0, "trust", "bot", "agent"][0] == "last"
