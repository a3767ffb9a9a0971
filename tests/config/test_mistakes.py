"""Mistakes as people make them: each is told with its line, and its mend where one is known."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from covend.config.no_effect import PLACEHOLDERS
from covend.config.problems import Problem
from covend.core.presets.stream import Words, substituted
from tests.config.files import GOOD, look

HERE = "# here"
"""Stands at the line of the mistake."""


@dataclass(frozen=True)
class Mistake:
    name: str
    text: str
    words: str
    """Part of what is said of it."""
    mend: str | None = None
    """What was probably meant."""


def rule(*lines: str) -> str:
    given = {line.partition(" ")[0] for line in lines}
    usual = {
        "on": 'on = ["pull_request"]',
        "agent": 'agent = "claude"',
        "prompt": 'prompt = { text = "x" }',
    }
    rest = [line for key, line in usual.items() if key not in given]
    return "\n".join(("[[rules]]", 'name = "second"', *rest, *lines))


def when(clause: str, *lines: str) -> str:
    return rule(*lines, f"when = {{ {clause} }} {HERE}")


def agent(*lines: str) -> str:
    return (
        "\n".join(('[agents.claude.limits]\n[agents.x]\ncommand = ["x"]', *lines))
        + "\n"
        + (rule('agent = "x"'))
    )


SCHEDULE = '[[schedules]]\nname = "a"\ncron = "0 6 * * 1"\nrule = "review"\nrepository = "a/b"\n'

MISTAKES = (
    # --- names -----------------------------------------------------------------------------------
    Mistake("unknown-agent", rule(f'agent = "claud" {HERE}'), "an agent", '"claude"'),
    Mistake(
        "unknown-fallback",
        agent(f'fallback = ["claudee"] {HERE}'),
        "an agent that is not there",
        '"claude"',
    ),
    Mistake(
        "unknown-agent-of-trust",
        rule(f'trust = {{ fork = {{ agent = "claud" }} }} {HERE}'),
        "an agent that is not there",
        '"claude"',
    ),
    Mistake(
        "two-rules-of-one-name",
        f'[[rules]]\nname = "review" {HERE}\n'
        'agent = "claude"\non = ["push"]\nprompt = { text = "x" }',
        "an earlier rule",
    ),
    Mistake(
        "schedule-without-its-rule",
        SCHEDULE.replace('"review"', f'"revue" {HERE}'),
        "a rule that is not there",
        '"review"',
    ),
    Mistake("idle-agent", f'[agents.x] {HERE}\ncommand = ["x"]', "used by no rule"),
    Mistake(
        "callback-nobody-makes",
        f'[callbacks.b] {HERE}\nurl = "https://b.example.org"\nevents = ["task.failed"]\n'
        'secrets = [{ credential = "b" }]',
        "called by no rule",
    ),
    # --- keys ------------------------------------------------------------------------------------
    Mistake("unknown-key", f"[limits]\nconcurency = 2 {HERE}", "no", '"concurrency"'),
    Mistake("unknown-section", f'[agent.x] {HERE}\ncommand = ["x"]', "known key", '"agents"'),
    Mistake("zone-of-a-schedule", f'{SCHEDULE}timezone = "Europe/Berlin" {HERE}', "write the hour"),
    Mistake("clause-outside-when", rule(f'labels = ["bug"] {HERE}'), '"rules[].when.labels"'),
    Mistake("key-of-another-section", f'[limits]\nidle_timeout = "5m" {HERE}', "agents.NAME"),
    Mistake("arguments-apart", agent(f'args = ["-p"] {HERE}'), "words of command"),
    Mistake("port-apart", f"[server]\nport = 80 {HERE}", 'listen = "127.0.0.1:8787"'),
    Mistake("single-brackets", f"[schedules] {HERE}\nname = 'a'", "[[schedules]]"),
    # --- events ----------------------------------------------------------------------------------
    Mistake("unknown-event", rule(f'on = ["pull_requests"] {HERE}'), "no event", '"pull_request"'),
    Mistake(
        "unknown-action",
        rule(f'on = ["pull_request.open"] {HERE}'),
        "no action of pull_request",
        '"pull_request.opened"',
    ),
    Mistake("on-refuses-itself", rule(f'on = ["push", "!push"] {HERE}'), "wants no event"),
    Mistake("event-for-apps-alone", rule(f'on = ["check_run.rerequested"] {HERE}'), "never comes"),
    Mistake("event-twice", rule(f'on = ["push", "push"] {HERE}'), "there already"),
    # --- rules that never match ------------------------------------------------------------------
    Mistake("field-not-in-the-event", when("draft = true", 'on = ["push"]'), "can never be true"),
    Mistake(
        "draft-that-is-ready",
        when("draft = true", 'on = ["pull_request.ready_for_review"]'),
        "that are ready for review",
    ),
    Mistake(
        "action-against-on",
        when('action = "close"', 'on = ["pull_request.closed", "pull_request.opened"]'),
        "has only closed, opened",
        '"closed"',
    ),
    Mistake("event-against-on", when('event = "issues"', 'on = ["push"]'), "has only push"),
    Mistake("action-of-push", when('action = "opened"', 'on = ["push"]'), "has an action"),
    Mistake("empty-list", when("repository = []"), "must not be empty"),
    Mistake("list-against-itself", when('repository = ["acme/*", "!acme/*"]'), "refuses all"),
    Mistake("covered-by-its-refusal", when('paths = ["src/*.py", "!src/**"]'), "refuses all"),
    Mistake("repository-without-owner", when('repository = "widgets"'), "OWNER", '"*/widgets"'),
    Mistake("path-from-the-root", when('paths = ["/src/**", "b"]'), "without a /", '"src/**"'),
    Mistake("path-of-a-directory", when('paths = "src/"'), "a directory", '"src/**"'),
    Mistake("long-branch", when('base = "refs/heads/main"'), "short name", '"main"'),
    Mistake("login-with-sign", when('author = ["!@bot", "*"]'), "refuses nothing", '"!bot"'),
    Mistake("no-association", when('association = "MEMBERS"'), "association", '"MEMBER"'),
    Mistake(
        "no-conclusion",
        when('conclusion = "succes"', 'on = ["check_run"]'),
        "not a conclusion",
        '"success"',
    ),
    Mistake(
        "same-rule-twice",
        f"{rule()}\n{rule().replace('second', 'third', 1)}".replace(
            '[[rules]]\nname = "third"', f'[[rules]] {HERE}\nname = "third"'
        ),
        "each event starts both",
    ),
    # --- templates -------------------------------------------------------------------------------
    Mistake("prompt-not-there", rule(f'prompt = {{ file = "no.md" }} {HERE}'), "no such file"),
    Mistake(
        "unknown-name-in-prompt",
        rule(f'prompt = {{ text = "{{{{ subject.titel }}}}" }} {HERE}'),
        "'title'",
    ),
    Mistake("key-that-is-constant", rule(f'key = "once" {HERE}'), "the same for all work"),
    Mistake(
        "key-that-tells-nothing-apart",
        rule(f'key = "{{{{ repository }}}}:{{{{ event }}}}" {HERE}'),
        "event, repository can be the same again",
    ),
    Mistake("key-that-fails", rule(f'key = "{{{{ number.a.b }}}}" {HERE}'), "cannot be made"),
    Mistake("unknown-filter", rule(f'key = "{{{{ number | nope }}}}" {HERE}'), "no template"),
    Mistake("unknown-name-in-key", rule(f'key = "{{{{ nuber }}}}" {HERE}'), "unknown", '"number"'),
    Mistake(
        "key-of-commands-alone",
        rule(f'key = "{{{{ command.verb }}}}" {HERE}', 'on = ["push"]'),
        "no event in `on` is one",
    ),
    # --- values ----------------------------------------------------------------------------------
    Mistake("wrong-word", rule(f'checkout = "heads" {HERE}'), "must be one of", '"head"'),
    Mistake("number-for-a-duration", f"[limits]\ndrain = 60 {HERE}", "must be text"),
    Mistake("secret-in-the-file", f'[admin]\ntoken = "abc" {HERE}', "must not be in the file"),
    Mistake("impossible-cron", SCHEDULE.replace('1"', f'9" {HERE}'), "day of week"),
    Mistake("idle-longer-than-all", agent(f'timeout = "1m"\nidle_timeout = "2m" {HERE}'), "over"),
    Mistake("more-than-all-may-run", agent(f"concurrency = 9 {HERE}"), "never holds"),
    Mistake(
        "unknown-placeholder",
        agent("").replace('["x"]', f'["x", "{{promt}}"] {HERE}'),
        "placeholders are",
        '"{prompt}"',
    ),
    Mistake(
        "placeholder-in-a-word",
        agent("").replace('["x"]', f'["x", "-p={{prompt}}"] {HERE}'),
        "a whole word",
    ),
    Mistake(
        "budget-never-reached",
        agent(f"budget_usd_per_attempt = 9 {HERE}\nbudget_usd_per_subject = 2"),
        "used up before it",
    ),
)


def problems_of(folder: Path, text: str) -> tuple[Problem, ...]:
    inspection = look(folder, text, secrets=False)
    return (*inspection.errors, *inspection.warnings)


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: str(mistake.name))
def test_a_mistake_is_told_with_its_line_and_its_mend(tmp_path: Path, mistake: Mistake) -> None:
    text = f"{GOOD}{mistake.text}\n"
    line = text[: text.index(HERE)].count("\n") + 1
    told = [each for each in problems_of(tmp_path, text) if each.line == line]
    assert mistake.words in " ".join(each.message for each in told), problems_of(tmp_path, text)
    assert mistake.mend in {each.suggestion for each in told}
    for each in told:
        assert f"{tmp_path}/covend.toml:{line}: {each.key}: " in str(each)
        assert str(each).endswith("^")


def test_a_good_file_is_told_nothing(tmp_path: Path) -> None:
    assert problems_of(tmp_path, GOOD) == ()


@pytest.mark.parametrize(
    "lines",
    [
        when('repository = ["acme/*", "!acme/secret"]'),
        when('repository = ["!acme/secret"]'),
        when('paths = ["src/**", "!src/*"]'),
        when('labels = ["a*", "!a?"]'),
        when('association = ["owner", "MEM*"]'),
        when('action = ["opened", "x"]', 'on = ["pull_request.*", "!pull_request.closed"]'),
        when("draft = true", 'on = ["pull_request.ready_for_review", "pull_request.opened"]'),
        when('action = "nightly"', 'on = ["repository_dispatch"]'),
        when('base = ["main", "release/**"]'),
        rule('key = "{{ subject }}:{{ number }}"'),
        rule('key = "{{ command.verb }}"', 'on = ["command"]', 'allow = ["write"]'),
        rule('on = ["*"]', 'when = { action = "opened" }'),
        '[sources.ci]\nkind = "gitea"\nsecrets = [{ env = "HOOK" }]\n'
        + when('conclusion = "PASSED"', 'on = ["ci:build"]', 'checkout = "none"'),
    ],
)
def test_what_can_match_is_not_warned_of(tmp_path: Path, lines: str) -> None:
    assert problems_of(tmp_path, f"{GOOD}{lines}\n") == ()


def test_a_value_that_does_not_fit_hides_no_warning_about_the_rest(tmp_path: Path) -> None:
    never = when("draft = true", 'on = ["push"]')
    text = f'{GOOD}priority = "high"\n{never}\n'
    assert [(each.key, each.line) for each in problems_of(tmp_path, text)] == [
        ("rules[0].priority", 13),
        ("rules[1].when.draft", 19),
    ]


def test_a_warning_about_what_does_not_fit_itself_is_not_made_up(tmp_path: Path) -> None:
    text = GOOD.replace('["pull_request.opened"]', "5")
    assert [each.key for each in problems_of(tmp_path, text)] == ["rules[0].on"]


def test_every_placeholder_is_filled_in_by_what_fills_them_in() -> None:
    words = Words(prompt="1", brief="2", result="3", workspace="4", session="5", model="6")
    assert substituted(PLACEHOLDERS, words) == ("1", "2", "3", "4", "5", "6")
