from __future__ import annotations

from pathlib import Path

import pytest

from tests.config.files import ENVIRON, GOOD, look


def handing(name: str) -> str:
    return GOOD.replace('preset = "claude"', f'preset = "claude"\nenv = ["KEY", "{name}"]')


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("TOKEN", "covend's own"),
        ("HOOK", "covend's own"),
        ("COVEND_WEBHOOK_SECRET", "covend's own"),
        ("NOTIFY_SOCKET", "meant for covend alone"),
        ("CREDENTIALS_DIRECTORY", "meant for covend alone"),
        ("LISTEN_FDS", "meant for covend alone"),
        ("WATCHDOG_USEC", "meant for covend alone"),
    ],
)
def test_an_agent_is_never_handed_what_is_covends_own(
    tmp_path: Path, name: str, words: str
) -> None:
    inspection = look(tmp_path, handing(name), ENVIRON)
    (error,) = inspection.errors
    assert str(error).startswith(f"{tmp_path / 'covend.toml'}:")
    assert f"agents.claude.env[1]: names {name}, which is {words}" in str(error)


def test_an_agent_may_be_handed_anything_else(tmp_path: Path) -> None:
    assert look(tmp_path, handing("LD_LIBRARY_PATH"), ENVIRON).errors == ()


def test_the_variables_that_hold_secrets_are_named(tmp_path: Path) -> None:
    assert look(tmp_path, GOOD).secret_variables == {"TOKEN", "HOOK"}
