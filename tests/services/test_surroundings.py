from __future__ import annotations

from pathlib import Path

import pytest

from covend.core.redact import Redactor
from covend.core.settings import Agent, Sandbox
from covend.services.known_secrets import Secrets
from covend.services.surroundings import Surroundings, complaint_about_home, handed_secrets

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
