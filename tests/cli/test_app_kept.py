"""What is refused before GitHub is asked for an App, and what is kept of one although nobody waits,
or GitHub does not answer any more.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path

import aiohttp
import anyio
import anyio.lowlevel
import pytest

from covend.cli import app_create
from covend.core.secret import Secret
from covend.core.settings import GitHub
from covend.demo.github.keys import demo_key
from covend.edges.github.errors import Unreachable
from covend.edges.github.manifest import Made
from tests.cli.operator_desk import invoke

URL = "https://covend.example.org"
MADE = Made(
    id=777_001,
    slug="our-covend",
    page="https://github.example.org/apps/our-covend",
    settings_page="https://github.example.org/settings/apps/our-covend",
    pem=Secret(demo_key().private),
    webhook_secret=None,
)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """What `init` leaves; GitHub is nowhere."""
    assert invoke("init", str(tmp_path), "--yes").exit_code == 0
    path = tmp_path / "covend.toml"
    nowhere = 'api_url = "http://127.0.0.1:1"\napp_id ='
    path.write_text(path.read_text().replace("app_id =", nowhere))
    return path


def create(config: Path, *args: str) -> tuple[int, str]:
    done = invoke("app", "create", "--config", str(config), *args)
    return done.exit_code, done.output


def make(config: Path) -> tuple[int, str]:
    return create(config, "--url", URL, "--code", "good")


def is_kept(config: Path) -> bool:
    key = config.with_name("app.pem")
    return f"app_id = {MADE.id}" in config.read_text() and key.read_text() == MADE.pem.reveal()


async def given(_session: aiohttp.ClientSession, _api_url: str, _code: str) -> Made:
    return MADE


def test_ctrl_c_waits_for_the_key_which_github_gives_once(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def given_late(_session: aiohttp.ClientSession, _api_url: str, _code: str) -> Made:
        signal.raise_signal(signal.SIGINT)
        await anyio.lowlevel.checkpoint()
        return MADE

    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(app_create, "convert", given_late)
    code, said = make(config)
    assert (code, is_kept(config)) == (0, True), said
    assert signal.getsignal(signal.SIGINT) is before


def test_all_is_kept_before_github_is_asked_again(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def interrupted(_github: GitHub, _secret: Secret) -> None:
        assert is_kept(config)
        raise KeyboardInterrupt

    monkeypatch.setattr(app_create, "convert", given)
    monkeypatch.setattr(app_create, "_set_secret", interrupted)
    code, said = make(config)
    assert code == 0, said
    assert "secret (interrupted): set it to what github.webhook_secrets has, on" in said


def test_line_ends_stay_what_they_are(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config.write_bytes(config.read_bytes().replace(b"\n", b"\r\n"))
    monkeypatch.setattr(app_create, "convert", given)
    code, said = make(config)
    assert (code, is_kept(config)) == (0, True), said
    assert config.read_bytes().count(b"\n") == config.read_bytes().count(b"\r\n")


def test_where_github_does_not_answer_the_code_may_be_used_again(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(_session: aiohttp.ClientSession, _api_url: str, _code: str) -> Made:
        raise Unreachable("GitHub did not answer for the App (503)")

    monkeypatch.setattr(app_create, "convert", lost)
    code, said = make(config)
    assert (code, "(503): within an hour the code" in said) == (69, True), said
    assert not config.with_name("app.pem").exists()


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ((), "--url https://covend.example.org"),
        (("--url", "http://h.example"), "--url must begin with https://"),
        (("--url", "covend.example.org"), "--url must be a URL that begins with https://"),
        (("--url", "https://["), "--url is no URL"),
        (("--url", "https://a b"), "--url must hold no blanks"),
        (("--url", "https://me:secret@h.example"), "--url must not hold a user name"),
        (("--url", f"{URL}/?a=b"), "nothing behind a '?'"),
        (("--url", URL, "--code", "../../app"), "a code of GitHub's has letters"),
        (("--url", URL, "--code", ""), "a code of GitHub's has letters"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_cannot_be_is_a_usage_error(args: Sequence[str], words: str, config: Path) -> None:
    code, said = create(config, *args)
    assert (code, words in said) == (2, True), said


def test_what_was_typed_need_not_be_utf_8(config: Path) -> None:
    odd = os.fsdecode(b"a\xff")
    args = ("--url", URL, "--no-browser", "--name", odd, "--organization", odd)
    assert create(config, *args)[0] == 0
    page = config.with_name("covend-app.html").read_text()
    assert "<b>a?</b>" in page
    assert "/organizations/a%3F/settings" in page
