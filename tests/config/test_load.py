from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from covend.config.find import find_config
from covend.config.load import Inspection, inspect, load
from covend.config.problems import ConfigErrors
from covend.core.contract.prompts import BUILTIN
from covend.core.model import EffectKind
from covend.core.policy import policy_of
from covend.core.settings import Checkout, Container, Engine, Preset, Sandbox
from tests.config.files import ENVIRON, GOOD, look

TEN_MISTAKES = """\
stat_dir = "/tmp/x"
[server]
listen = "127.0.0.1"
[github]
app_id = 1
private_key = "made-up-private-key"
webhook_secrets = [{ env = "HOOK" }]
[limits]
lease = "90"
[agents.claude]
preset = "cluade"
[[rules]]
name = "review"
on = [
  "pull_request.opened",
  "pull_request.synchronise",
]
when = { drafts = false }
agent = "claud"
prompt = { text = "{{ subjet.title }}" }
publish = ["check", "reviews"]
"""


def told(inspection: Inspection) -> list[tuple[int | None, str]]:
    return [(problem.line, problem.key) for problem in inspection.errors]


def test_ten_mistakes_are_ten_errors_each_with_its_line(tmp_path: Path) -> None:
    assert told(look(tmp_path, TEN_MISTAKES)) == [
        (1, "stat_dir"),
        (3, "server.listen"),
        (6, "github.private_key"),
        (9, "limits.lease"),
        (11, "agents.claude.preset"),
        (16, "rules[0].on[1]"),
        (18, "rules[0].when.drafts"),
        (19, "rules[0].agent"),
        (20, "rules[0].prompt.text"),
        (21, "rules[0].publish[1]"),
    ]


def test_an_error_shows_what_was_got_what_was_meant_and_its_line_with_a_caret(
    tmp_path: Path,
) -> None:
    errors = {problem.key: str(problem) for problem in look(tmp_path, TEN_MISTAKES).errors}
    assert errors["rules[0].on[1]"] == (
        f"{tmp_path}/covend.toml:16: rules[0].on[1]: is no action of pull_request"
        ' (got "pull_request.synchronise")  did you mean "pull_request.synchronize"?\n'
        '   16 |   "pull_request.synchronise",\n'
        "      |   ^"
    )
    assert errors["stat_dir"].splitlines() == [
        f'{tmp_path}/covend.toml:1: stat_dir: is not a known key  did you mean "state_dir"?',
        '    1 | stat_dir = "/tmp/x"',
        "      | ^",
    ]


def test_loading_a_wrong_file_raises_all_its_errors_at_once(tmp_path: Path) -> None:
    path = tmp_path / "covend.toml"
    path.write_text(TEN_MISTAKES)
    with pytest.raises(ConfigErrors) as raised:
        load(path, ENVIRON)
    assert len(raised.value.problems) == 10
    assert "limits.lease: is not a duration" in str(raised.value)
    assert raised.value.code == "config"


# --- what a good file becomes ---------------------------------------------------------------------


def test_a_good_file_becomes_settings(tmp_path: Path) -> None:
    loaded = look(tmp_path, GOOD).settings
    assert loaded is not None
    assert loaded.state_dir == tmp_path / "state"
    assert [secret.reveal() for secret in loaded.github.webhook_secrets] == ["s3cret"]
    assert loaded.github.token is not None
    assert loaded.github.token.reveal() == "ghs_1"
    (rule,) = loaded.rules
    assert rule.prompt == BUILTIN["review"]
    assert rule.publish == (EffectKind.COMMENT,)
    assert rule.checkout is Checkout.HEAD
    assert loaded.policies == {"review": policy_of(rule, loaded.agents["claude"])}


def test_every_value_of_the_file_reaches_the_settings(tmp_path: Path) -> None:
    text = GOOD.replace('on = ["pull_request.opened"]', 'on = ["pull_request.*", "push"]')
    text += (
        'allow = ["write"]\ncheckout = "merge"\nkey = "{{ number }}"\nsupersede = false\n'
        'debounce = "500ms"\npriority = -3\n'
        'when = { repository = "acme/*", fork = false, payload = { a.b = 3, c = ["x", true] } }\n'
        '[server]\nlisten = "[::1]:0"\n[admin]\nlisten = "unix:/run/a.sock"\n'
        '[limits]\ndrain = 0\nworkspaces = "1GiB"\n[store]\nretention = { workspaces = "1d" }\n'
        '[agents.other]\ncommand = ["x", "{prompt}"]\nexit_codes = { "3" = "needs_input" }\n'
        'limits = { output = "1MiB", cpus = 2 }\nretry = { attempts = 1 }\n'
        'sandbox = "container"\ncontainer = { image = "a/b:1", engine = "podman" }\n'
        'readable = ["/opt/tools/"]\nuser = "builder"\nnetwork = false\n'
    )
    loaded = look(tmp_path, text).settings
    assert loaded is not None
    rule = loaded.rules[0]
    assert (rule.allow, rule.checkout, rule.key) == (("write",), Checkout.MERGE, "{{ number }}")
    assert (rule.supersede, rule.debounce_s, rule.priority) == (False, 0.5, -3)
    assert rule.when.repository == ("acme/*",)
    assert rule.when.fork is False
    assert rule.when.draft is None
    assert rule.when.payload == {"a.b": ("3",), "c": ("x", "true")}
    assert (loaded.server.host, loaded.server.port) == ("::1", 0)
    assert loaded.admin.socket == Path("/run/a.sock")
    assert (loaded.limits.drain_s, loaded.limits.workspaces_bytes) == (0.0, 1 << 30)
    assert loaded.store.retention.workspaces_s == 86_400.0
    agent = loaded.agents["other"]
    assert (agent.sandbox, agent.user, agent.network) == (Sandbox.CONTAINER, "builder", False)
    assert agent.container == Container(image="a/b:1", engine=Engine.PODMAN)
    assert agent.readable == ("/opt/tools",)
    assert agent.exit_codes == {3: "needs_input"}
    assert (agent.limits.output_bytes, agent.limits.cpus) == (1 << 20, 2.0)
    assert (agent.retry.attempts, agent.retry.base_s) == (1, 30.0)


@pytest.mark.parametrize(
    ("agent", "preset", "command", "stop_signal"),
    [
        ('preset = "claude"', Preset.CLAUDE, ("claude",), "SIGINT"),
        ('preset = "codex"', Preset.CODEX, ("codex",), "SIGINT"),
        ('preset = "coven-code"', Preset.COVEN_CODE, ("coven-code",), "SIGTERM"),
        ('command = ["claude"]', Preset.CLAUDE, ("claude",), "SIGINT"),
        ('command = ["/opt/bin/codex"]', Preset.CODEX, ("/opt/bin/codex",), "SIGINT"),
        ('command = ["claude", "-p"]', Preset.COMMAND, ("claude", "-p"), "SIGTERM"),
        ('preset = "command"\ncommand = ["claude"]', Preset.COMMAND, ("claude",), "SIGTERM"),
        (
            'preset = "claude"\nstop_signal = "SIGTERM"\ncommand = ["c", "x"]',
            Preset.CLAUDE,
            ("c", "x"),
            "SIGTERM",
        ),
    ],
)
def test_a_preset_fills_in_what_the_file_leaves_open(
    tmp_path: Path, agent: str, preset: Preset, command: tuple[str, ...], stop_signal: str
) -> None:
    loaded = look(tmp_path, f"{GOOD}[agents.x]\n{agent}\n").settings
    assert loaded is not None
    made = loaded.agents["x"]
    assert (made.preset, made.command, made.stop_signal) == (preset, command, stop_signal)


def test_a_prompt_file_is_relative_to_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "look.md").write_text("Look at {{ subject.title }}.")
    loaded = look(tmp_path, GOOD.replace('builtin = "review"', 'file = "look.md"')).settings
    assert loaded is not None
    assert loaded.rules[0].prompt == "Look at {{ subject.title }}."


def test_the_whole_of_the_promised_configuration_is_known(tmp_path: Path, shared: Path) -> None:
    promised = (shared / "INTERFACE.md").read_text().partition("```toml\n")[2].partition("```")[0]
    # The page shows an agent, a rule and files that it does not itself define.
    allowed = {"agents.claude.fallback[0]", "schedules[0].rule", "tests[0].payload"}
    errors = look(tmp_path, promised, secrets=False).errors
    assert {problem.key for problem in errors} == allowed


# --- a text that is no TOML -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a = 1\nb = hello\n", 2, "text needs quotes"),
        ("a = 1\na = 2\n", 2, "overwrite"),
        ("a = [1,\n", 2, "is no TOML"),
        ('a = "x\n', 1, "is no TOML"),
        ("[a]\n[a]\n", 2, "twice"),
        ("a = 1\r\nb = \r\n", 2, "is no TOML"),
    ],
)
def test_a_syntax_error_is_told_with_its_line(
    tmp_path: Path, text: str, line: int, words: str
) -> None:
    path = tmp_path / "covend.toml"
    path.write_bytes(text.encode())
    (problem,) = inspect(path, {}).errors
    assert problem.line == line
    assert words in problem.message
    assert problem.source_line is not None


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"a = 1\n\xff", "no UTF-8"),
        (b"a = " + b"[" * 100_000, "brackets"),
        (b"#" * (5 << 20), "4MiB"),
    ],
)
def test_what_is_no_configuration_at_all_is_one_error(
    tmp_path: Path, data: bytes, words: str
) -> None:
    path = tmp_path / "covend.toml"
    path.write_bytes(data)
    (problem,) = inspect(path, {}).errors
    assert words in problem.message


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "covend.toml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert inspect(path, ENVIRON).errors == ()


TOML_VALUES = st.recursive(
    st.booleans() | st.integers(-5, 5) | st.sampled_from(["", "1s", "claude", "push", "0"]),
    lambda inner: st.lists(inner, max_size=2),
    max_leaves=3,
)
KNOWN_KEYS = st.sampled_from(
    [
        *("state_dir", "server", "github.token", "github.webhook_secrets", "admin.listen"),
        *("agents", "agents.claude.command", "agents.claude.preset", "agents.claude.retry"),
        *("rules", "rules.on", "callbacks", "sources", "sources.x", "schedules", "tests"),
        *("safeguards.rate", "limits", "limits.lease", "store.retention"),
        *("safeguards.loop", "agents.claude.fallback", "agents.claude.retry.on"),
    ]
)


@given(st.dictionaries(KNOWN_KEYS, TOML_VALUES, max_size=4))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_the_shape_the_errors_are_told_and_nothing_raises(
    tmp_path: Path, values: Mapping[str, object]
) -> None:
    text = "\n".join(f"{key} = {str(value).lower()!s}" for key, value in values.items())
    text = text.replace("'", '"')
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    assert look(tmp_path, text).errors


# --- where the file is ----------------------------------------------------------------------------


def test_the_named_file_comes_before_the_environment_and_that_before_the_usual_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    user = tmp_path / "config" / "covend"
    user.mkdir(parents=True)
    environ = {"XDG_CONFIG_HOME": str(tmp_path / "config"), "COVEND_CONFIG": "named.toml"}
    assert find_config("explicit.toml", environ) == Path("explicit.toml")
    assert find_config(None, environ) == Path("named.toml")
    del environ["COVEND_CONFIG"]
    (user / "covend.toml").touch()
    assert find_config(None, environ) == user / "covend.toml"
    (tmp_path / "covend.toml").touch()
    assert find_config(None, environ) == Path("covend.toml")


def test_without_any_file_the_error_says_where_it_was_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigErrors, match="--config FILE") as raised:
        find_config(None, {"HOME": str(tmp_path)})
    assert f"{tmp_path}/.config/covend/covend.toml" in str(raised.value)
    assert "covend init" in str(raised.value)


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    (problem,) = inspect(tmp_path / "covend.toml", {}).errors
    assert "no such file" in problem.message


# --- the price ------------------------------------------------------------------------------------


def test_reading_a_configuration_imports_nothing_that_serves_or_signs() -> None:
    program = (
        "import covend.config.load, sys;"
        "print({'aiohttp', 'aiosqlite', 'cryptography', 'jwt', 'rich'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "set()"
