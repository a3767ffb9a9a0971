from __future__ import annotations

from pathlib import Path

import pytest

from tests.config.files import GOOD, look

SECRETS = 'secrets = [{ env = "HOOK" }]'

WRONG = [
    ('[server]\nlisten = "::1:80"', "server.listen", "brackets"),
    ('[server]\nlisten = "host:99999"', "server.listen", "host:port"),
    ('[admin]\nlisten = "unix:admin.sock"', "admin.listen", "whole path"),
    ('[admin]\nlisten = "127.0.0.1:8787"', "admin.listen", "public listener"),
    ('[server]\npublic_url = "covend.example.org"', "server.public_url", "https://"),
    ("[limits]\nconcurrency = 0", "limits.concurrency", "at least 1"),
    ("[limits]\nconcurrency = 1.5", "limits.concurrency", "whole number"),
    ("[limits]\nqueue_max = true", "limits.queue_max", "whole number"),
    ("[limits]\nlease = 90", "limits.lease", "must be text"),
    ('[limits]\nlease = "0s"', "limits.lease", "at least 1"),
    ('[limits]\nworkspaces = "10GB"', "limits.workspaces", "GiB"),
    ('[limits]\nlease = "2h"', "limits.lease", "at most 3600"),
    ('[store]\nurl = "postgresql://u:pass@h/db"', "store.url", "cannot use yet"),
    ('[store]\nurl = "covend.db"', "store.url", "sqlite:covend.db"),
    ('[store]\nretention = "30d"', "store.retention", "must be a table"),
    ("[agents.x]", "agents.x", "needs a command"),
    ('[agents."two words"]\ncommand = ["x", "y"]', "agents.two words", "letters"),
    ('[agents.x]\ncommand = "x"', "agents.x.command", "list in [brackets]"),
    ("[agents.x]\ncommand = []", "agents.x.command", "empty"),
    ('[agents.x]\ncommand = ["x"]\nstop_signal = "SIGTRM"', "agents.x.stop_signal", "SIGTERM"),
    ('[agents.x]\ncommand = ["x"]\nfallback = ["x"]', "agents.x.fallback[0]", "itself"),
    ('[agents.x]\ncommand = ["x"]\nfallback = ["y"]', "agents.x.fallback[0]", "not there"),
    (
        '[agents.x]\ncommand = ["x"]\nretry = { base = "1h", max = "1m" }',
        "agents.x.retry.base",
        "longer than max",
    ),
    ('[agents.x]\ncommand = ["x"]\nexit_codes = { "x" = "retry" }', "agents.x.exit_codes.x", ""),
    ('[agents.x]\ncommand = ["x"]\nenv = ["A=B"]', "agents.x.env[0]", "environment variable"),
    ('[agents.x]\ncommand = ["x"]\nsandbox = "container"', "agents.x.container", "image"),
    ('[agents.x]\ncommand = ["x"]\ncontainer = {}', "agents.x.container.image", "missing"),
    (
        '[agents.x]\ncommand = ["x"]\ncontainer = { image = "-v" }',
        "agents.x.container.image",
        "name of an image",
    ),
    (
        '[agents.x]\ncommand = ["x"]\ncontainer = { image = "x", engine = "lxc" }',
        "agents.x.container.engine",
        "podman",
    ),
    ('[agents.x]\ncommand = ["x"]\nreadable = ["tools"]', "agents.x.readable[0]", "whole path"),
    ('[agents.x]\ncommand = ["x"]\nreadable = ["/"]', "agents.x.readable[0]", "whole path"),
    ('[agents.x]\ncommand = ["x"]\nreadable = ["/proc"]', "agents.x.readable[0]", "of its own"),
    ('[agents.x]\ncommand = ["x"]\nreadable = ["/a,b"]', "agents.x.readable[0]", "comma"),
    ('[agents.x]\ncommand = ["x"]\nreadable = ["/a/../b"]', "agents.x.readable[0]", "'..'"),
    ('[agents.x]\ncommand = ["x"]\nuser = "1000"', "agents.x.user", "not a number"),
    ('[sources.github]\nkind = "gitea"\nsecrets = [{ env = "HOOK" }]', "sources.github", "GitHub"),
    ('[sources.x]\nkind = "hmac"\nsecrets = [{ env = "HOOK" }]', "sources.x.header", "missing"),
    ("[sources.x]\nkind = 'gitea'\nsecrets = []", "sources.x.secrets", "empty"),
    ("[limits]\nbudget_usd_per_day = 0", "limits.budget_usd_per_day", "greater than 0"),
    ("[limits]\nbudget_usd_per_day = 1e999", "limits.budget_usd_per_day", "number"),
    (f"[limits]\nbudget_usd_per_day = {10**400}", "limits.budget_usd_per_day", ""),
    (f"[limits]\nbudget_tokens_per_day = {1 << 63}", "limits.budget_tokens_per_day", "1e+15"),
    ("[limits]\nbudget_usd_per_day = nan", "limits.budget_usd_per_day", "number"),
    (
        "[limits]\nbudget_tokens_per_repository_per_day = 1.5",
        "limits.budget_tokens_per_repository_per_day",
        "whole number",
    ),
    (
        "[limits]\nconcurrency_per_installation = 0",
        "limits.concurrency_per_installation",
        "at least 1",
    ),
    (
        '[agents.x]\ncommand = ["x"]\nbudget_tokens_per_attempt = -1',
        "agents.x.budget_tokens_per_attempt",
        "greater than 0",
    ),
    ('[agents.x]\ncommand = ["x"]\nretry = { age = 0 }', "agents.x.retry.age", "greater than 0"),
    (
        '[agents.x]\ncommand = ["x"]\nretry = { on = ["infrastructure"] }',
        "agents.x.retry.on[0]",
        '"invalid_result"',
    ),
    (
        '[agents.x]\ncommand = ["x"]\nretry = { on = ["agent", "agent"] }',
        "agents.x.retry.on",
        "names agent twice",
    ),
    *(
        (f"[safeguards]\n{line}", f"safeguards.{key}", words)
        for line, key, words in (
            ('rate = [{ per = "role", max = 1, window = "1m" }]', "rate[0].per[0]", "must be one"),
            ('rate = [{ per = [], max = 1, window = "1m" }]', "rate[0].per", "empty"),
            (
                'rate = [{ per = "rule, actor,rule", max = 1, window = "1m" }]',
                "rate[0].per",
                "names rule twice",
            ),
            ('rate = [{ per = "rule", max = 0, window = "1m" }]', "rate[0].max", "at least 1"),
            ('rate = [{ per = "rule", max = 1, window = 0 }]', "rate[0].window", "greater than 0"),
            ('rate = [{ per = "rule", window = "1m" }]', "rate[0].max", "missing"),
            ("loop = { no_progress = 0 }", "loop.no_progress", "at least 1"),
            ('crash_loop = { suppress = "0s" }', "crash_loop.suppress", "greater than 0"),
            ("circuit = { failures = -1 }", "circuit.failures", "at least 1"),
        )
    ),
    *(
        (
            f'[sources.{name}]\nkind = "gitea"\nsecrets = [{{ env = "HOOK" }}]',
            f"sources.{name}",
            "covend's own events",
        )
        for name in ("covend", "task", "checks", "schedule", "command")
    ),
    (
        '[[schedules]]\nname = "a"\ncron = "0 6 * *"\nrule = "review"\nrepository = "a/b"',
        "schedules[0].cron",
        "five cron fields",
    ),
    (
        '[[schedules]]\nname = "a"\ncron = "0 6 * * 1"\nrule = "reviews"',
        "schedules[0].rule",
        "names a rule",
    ),
    (
        '[[tests]]\npayload = "x"\nevent = "push"\nexpect = { rule = "x" }',
        "tests[0].expect.rule",
        "not there",
    ),
    (
        f'[callbacks.x]\nurl = "http://h.example"\nevents = ["task.failed"]\n{SECRETS}',
        "callbacks.x.url",
        "https://",
    ),
]


@pytest.mark.parametrize(("text", "key", "words"), WRONG)
def test_a_wrong_value_is_an_error_at_its_key(
    tmp_path: Path, text: str, key: str, words: str
) -> None:
    (tmp_path / "x").write_text("{}")  # a payload
    inspection = look(tmp_path, f"{GOOD}{text}\n")
    assert [problem.key for problem in inspection.errors] == [key]
    assert words in inspection.errors[0].message
    assert inspection.errors[0].line is not None
    assert inspection.errors[0].line > GOOD.count("\n")
    assert inspection.settings is None


WRONG_RULES = [
    ('on = ["pusch"]', "on[0]", "no event", '"push"'),
    ('on = ["Push"]', "on[0]", "no event", '"push"'),
    ('on = ["issues.open"]', "on[0]", "no action of issues", '"issues.opened"'),
    ('on = ["command.Fix"]', "on[0]", "verb", None),
    ('on = ["push", "command.retry"]', "on[1]", "choose another verb", None),
    ('on = ["command.help"]', "on[0]", "does 'help' itself", None),
    ('on = ["task.complete"]', "on[0]", "no action of task", '"task.completed"'),
    ('on = ["checks.pass"]', "on[0]", "no action of checks", '"checks.passed"'),
    ('on = ["schedule.x"]', "on[0]", "a schedule that is not there", None),
    ('trust = "hold"', "trust", "must be a table", None),
    ('trust = { forks = "hold" }', "trust.forks", "not a known key", '"fork"'),
    ('trust = { fork = "holdd" }', "trust.fork.do", "must be one of", '"hold"'),
    ("trust = { fork = true }", "trust.fork", "or a table", None),
    ('trust = { fork = { agnet = "x" } }', "trust.fork.agnet", "not a known key", '"agent"'),
    ('trust = { fork = { agent = "codx" } }', "trust.fork.agent", "names an agent", '"codex"'),
    (
        'trust = { fork = { sandbox = "bubble" } }',
        "trust.fork.sandbox",
        "must be one of",
        '"bubblewrap"',
    ),
    (
        'trust = { fork = { sandbox = "container" } }',
        "trust.fork.sandbox",
        "needs agents.codex.container",
        None,
    ),
    (
        "trust = { fork = { budget_usd_per_attempt = 0 } }",
        "trust.fork.budget_usd_per_attempt",
        "greater than 0",
        None,
    ),
    ('on = "push"', "on", "list in [brackets]", None),
    ('agent = "codx"', "agent", "names an agent", '"codex"'),
    ('allow = ["Write"]', "allow[0]", "must be one of", '"write"'),
    ('checkout = "haed"', "checkout", "must be one of", '"head"'),
    ('when = { draft = "no" }', "when.draft", "true or false", None),
    ("when = { labels = [] }", "when.labels", "empty", None),
    ('when = { paths = ["a**b**c**d**e**f"] }', "when.paths[0]", "glob", None),
    ('key = "{{ nuber }}"', "key", "unknown name", '"number"'),
    ('key = "{{ number"', "key", "no template", None),
    ('prompt = "review"', "prompt", "{ builtin", None),
    ('prompt = { builtin = "reviews" }', "prompt.builtin", "must be one of", '"review"'),
    ('prompt = { builtin = "fix", text = "x" }', "prompt", "exactly one", None),
    ('prompt = { file = "no.md" }', "prompt.file", "no such file", None),
    ('prompt = { file = "/" }', "prompt.file", "no ordinary file", None),
    ('prompt = { text = "{% if %}" }', "prompt.text", "line 1", None),
    ('prompt = { text = "{{ subject.titel }}" }', "prompt.text", "'title'", None),
    ('prompt = { text = " /compact" }', "prompt", "claude takes", None),
    ('name = "review"', "name", "earlier rule", None),
    ('name = "a rule"', "name", "letters", None),
    ("priority = 1.5", "priority", "whole number", None),
]


@pytest.mark.parametrize(("line", "key", "words", "suggestion"), WRONG_RULES)
def test_a_wrong_rule_is_told_with_what_was_probably_meant(
    tmp_path: Path, line: str, key: str, words: str, suggestion: str | None
) -> None:
    rule = {
        "name": 'name = "second"',
        "on": 'on = ["push"]',
        "agent": 'agent = "codex"',
        "prompt": 'prompt = { text = "Look." }',
    }
    rule[line.partition(" ")[0]] = line
    if "compact" in line:
        rule["agent"] = 'agent = "claude"'
    text = f'{GOOD}[agents.codex]\npreset = "codex"\n[[rules]]\n' + "\n".join(rule.values())
    (problem,) = look(tmp_path, text).errors
    assert problem.key == f"rules[1].{key}"
    assert words in problem.message
    assert problem.suggestion == suggestion
    assert problem.line == text[: text.rindex(line)].count("\n") + 1


def test_the_tick_of_a_schedule_must_be_of_one_that_is_there(tmp_path: Path) -> None:
    schedule = '[[schedules]]\nname = "weekly.audit"\ncron = "0 6 * * 1"\nrule = "review"\n'
    schedule += 'repository = "acme/till"\n'
    on = 'on = ["pull_request.opened"'
    good = GOOD.replace(on, f'{on}, "schedule", "schedule.*", "schedule.weekly.audit"')
    assert look(tmp_path, good + schedule).errors == ()
    (problem,) = look(
        tmp_path, GOOD.replace(on, f'{on}, "schedule.weakly.audit"') + schedule
    ).errors
    assert problem.key == "rules[0].on[1]"
    assert problem.suggestion == '"schedule.weekly.audit"'


def test_a_verb_of_covends_own_may_be_kept_out_of_a_rule(tmp_path: Path) -> None:
    text = GOOD.replace('"pull_request.opened"', '"command", "!command.retry"')
    assert look(tmp_path, text).errors == ()


@pytest.mark.parametrize(
    "way",
    ['fallback = ["last"]', 'trust = { bot = { agent = "last" } }'],
    ids=["fallback", "trust"],
)
def test_whichever_agent_a_rule_comes_to_has_the_prompt_it_needs(tmp_path: Path, way: str) -> None:
    text = GOOD.replace('prompt = { builtin = "review" }', way if way[0] == "t" else "")
    agent = f'command = ["x"]\n{way if way[0] == "f" else ""}\n[agents.last]\npreset = "codex"'
    (problem,) = look(tmp_path, text.replace('preset = "claude"', agent)).errors
    assert problem.key == "rules[0].prompt"
    assert "codex has nothing to do without one" in problem.message


def test_a_rule_for_claude_without_a_prompt_is_an_error(tmp_path: Path) -> None:
    (problem,) = look(tmp_path, GOOD.replace('prompt = { builtin = "review" }\n', "")).errors
    assert (problem.line, problem.key) == (7, "rules[0].prompt")


@pytest.mark.parametrize(
    ("github", "key"),
    [
        ('app_id = 1\nwebhook_secrets = [{ env = "HOOK" }]', "github.private_key"),
        ('webhook_secrets = [{ env = "HOOK" }]', "github"),
        ('token = { env = "TOKEN" }', "github.webhook_secrets"),
        ('token = { env = "TOKEN" }\nwebhook_secrets = []', "github.webhook_secrets"),
    ],
)
def test_github_needs_an_app_or_a_token_and_a_webhook_secret(
    tmp_path: Path, github: str, key: str
) -> None:
    (problem,) = look(tmp_path, f"[github]\n{github}\n").errors
    assert problem.key == key


def test_a_file_without_any_sender_is_an_error(tmp_path: Path) -> None:
    (problem,) = look(tmp_path, "").errors
    assert problem.key == "github"
    assert "nothing comes in" in problem.message
