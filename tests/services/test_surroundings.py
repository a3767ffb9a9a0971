from __future__ import annotations

from base64 import b64encode
from pathlib import Path

import pytest

from covend.core.redact import Redactor
from covend.core.settings import Agent, Checkout, Sandbox
from covend.services.known_secrets import Secrets
from covend.services.surroundings import Surroundings, complaint_about_home, handed_secrets
from tests.services.house import House, a_rule, an_agent

ENVIRON = {
    "ANTHROPIC_API_KEY": "sk-made-up-for-a-test",
    "SHORT_KEY": "abc",
    "MY_SETTING": "0f8a7d6c5b4e3f2a1908",
    "ANTHROPIC_MODEL": "claude-opus-4-20250514",
    "ANTHROPIC_BASE_URL": "https://proxy.example.org/v1",
    "HTTPS_PROXY": "http://user:hunter2@proxy:3128",
    "CLAUDE_CONFIG_DIR": "/var/lib/agent/claude",
    "GOOGLE_APPLICATION_CREDENTIALS": "/etc/keys/one.json",
    "OTHER_TOKEN": "not-handed-to-this-agent",
}
HANDED = tuple(name for name in ENVIRON if name != "OTHER_TOKEN")


def agent(**changes: object) -> Agent:
    values: dict[str, object] = {"name": "x", "command": ("x",), "env": HANDED}
    return Agent(**values | changes)  # type: ignore[arg-type]


def test_what_an_agent_is_handed_counts_as_secret_where_it_is_a_key() -> None:
    assert set(handed_secrets(agent(), ENVIRON)) == {
        "ANTHROPIC_API_KEY",
        "MY_SETTING",
        "HTTPS_PROXY",
        "GOOGLE_APPLICATION_CREDENTIALS",
    }


def test_the_keys_of_an_agent_are_known_to_all_from_its_first_attempt_on(tmp_path: Path) -> None:
    secrets = Secrets()
    around = Surroundings(
        state_dir=tmp_path, api_url="https://api.example", environ=ENVIRON, secrets=secrets
    )
    assert Redactor(around.secrets_of(agent())).text(ENVIRON["MY_SETTING"]) == "[redacted]"
    assert secrets.text(ENVIRON["MY_SETTING"]) == "[redacted]"
    assert secrets.text(ENVIRON["OTHER_TOKEN"]) == ENVIRON["OTHER_TOKEN"]


@pytest.mark.parametrize(
    ("home", "word"), [("", "not set"), ("/proc/nowhere", "cannot be written"), ("here", None)]
)
def test_a_home_that_cannot_be_written_is_told_of(
    tmp_path: Path, home: str, word: str | None
) -> None:
    environ = {"HOME": str(tmp_path) if home == "here" else home}
    complaint = complaint_about_home([agent()], environ)
    assert complaint is None if word is None else word in str(complaint)


@pytest.mark.parametrize("elsewhere", [{"sandbox": Sandbox.BUBBLEWRAP}, {"user": "another"}])
def test_an_agent_with_a_home_of_its_own_needs_none_of_covends(
    elsewhere: dict[str, object],
) -> None:
    assert complaint_about_home([agent(**elsewhere)], {}) is None


TELLS = """\
env -0 > "{seen}/environment"
cat "$COVEND_BRIEF" > "{seen}/brief"
cat .git/config > "{seen}/config"
tr '\\0' ' ' < /proc/$$/cmdline > "{seen}/argv"
git log -p > "{seen}/history"
"""


async def test_nothing_that_an_agent_can_see_lets_it_speak_to_github(
    house: House, tmp_path: Path
) -> None:
    seen = tmp_path / "seen"
    seen.mkdir()
    outside = {
        name: f"made-up-value-of-{name}"
        for name in ("GITHUB_TOKEN", "GH_TOKEN", "COVEND_GITHUB__TOKEN", "GIT_CONFIG_VALUE_0")
    }
    house.environ.update(outside)
    await house.adopt(a_rule(checkout=Checkout.HEAD), an_agent(TELLS.format(seen=seen)))
    await house.attempt()
    shown = {path.name: path.read_text() for path in seen.iterdir()}
    assert all(shown[each] for each in ("environment", "brief", "config", "argv", "history"))
    tokens = set(house.github.state.tokens)
    assert tokens, "the checkout was fetched by a token"
    signs = (*outside.values(), "PRIVATE KEY", "x-access-token", "uthorization", "ghs_")
    basic = {b64encode(f"x-access-token:{token}".encode()).decode() for token in tokens}
    for name, text in shown.items():
        found = [sign for sign in (*tokens, *basic, *signs) if sign in text]
        assert not found, name
