from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from covend.store.sqlite.lock import hold_state_directory
from tests.cli.operator_desk import COVEND, invoke

LIMIT_S = 30.0
NOBODY = "http://127.0.0.1:1"
HOOK = "the-secret-of-the-hook"
CONFIG = f"""
state_dir = "state"
[server]
listen = "127.0.0.1:{{public}}"
[admin]
listen = "127.0.0.1:{{admin}}"
[github]
token = {{{{ env = "TEST_TOKEN" }}}}
webhook_secrets = [{{{{ env = "TEST_HOOK" }}}}]
api_url = "{NOBODY}"
"""


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A covend that has been here before: it knows its account without GitHub."""
    state = tmp_path / "state"
    state.mkdir()
    known = {"api_url": NOBODY, "app_id": None, "login": "someone"}
    (state / "identity.json").write_text(json.dumps(known))
    path = tmp_path / "covend.toml"
    path.write_text(CONFIG.format(public=free_port(), admin=free_port()))
    return path


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "TEST_TOKEN": "ghp_of-a-test", "TEST_HOOK": HOOK, **more}


def refused(config: Path, **environ: str) -> tuple[int, str]:
    """Serve what cannot be served: its exit code and the last thing it says."""
    done = subprocess.run(
        [*COVEND, "serve", "--config", str(config)],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        env=environment(**environ),
        check=False,
    )
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr.splitlines()[-1]


@contextmanager
def serving(config: Path) -> Iterator[subprocess.Popen[str]]:
    """Serve; it is ready when this gives it."""
    process = subprocess.Popen(
        [*COVEND, "serve", "--config", str(config)],
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    killer = threading.Timer(LIMIT_S, process.kill)
    killer.start()
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if json.loads(line)["message"] == "ready":
                yield process
                return
        pytest.fail("it ended before it was ready")
    finally:
        killer.cancel()
        process.kill()
        process.communicate()


def test_it_answers_until_it_is_told_to_stop(config: Path) -> None:
    with serving(config) as process:
        done = invoke("tasks", "--config", str(config))
        assert (done.exit_code, done.stderr) == (0, "nothing there\n")
        process.send_signal(signal.SIGTERM)
        assert process.wait(LIMIT_S) == 0
    assert invoke("tasks", "--config", str(config)).exit_code == 69


def test_only_its_owner_can_read_the_token_it_makes(config: Path) -> None:
    with serving(config):
        token = config.parent / "state" / "admin.token"
        assert token.stat().st_mode & 0o777 == 0o600
        assert len(token.read_text().strip()) >= 32


def test_a_wrong_configuration_is_78_and_tells_every_mistake(config: Path) -> None:
    config.write_text(config.read_text() + "[limits]\nconcurency = 2\nlease = 7\n")
    done = subprocess.run(
        [*COVEND, "serve", "--config", str(config)],
        capture_output=True,
        text=True,
        env=environment(),
        check=False,
    )
    assert done.returncode == 78
    assert f"{config} has 2 errors:" in done.stderr
    assert 'did you mean "concurrency"?' in done.stderr
    assert "limits.lease" in done.stderr


def test_a_secret_that_cannot_be_read_is_78_and_names_its_key(config: Path) -> None:
    config.write_text(config.read_text().replace("TEST_HOOK", "NOT_SET_AT_ALL"))
    exit_code, _ = refused(config)
    assert exit_code == 78


def test_a_configuration_that_is_not_there_is_78(tmp_path: Path) -> None:
    exit_code, told = refused(tmp_path / "none.toml")
    assert exit_code == 78
    assert "none.toml" in told


def test_a_state_directory_in_use_is_75_and_says_by_whom(config: Path) -> None:
    with hold_state_directory(config.parent / "state"):
        exit_code, told = refused(config)
    assert exit_code == 75
    assert str(os.getpid()) in told
    assert str(config.parent / "state") in told


@pytest.mark.parametrize("key", ["COVEND_SERVER__LISTEN", "COVEND_ADMIN__LISTEN"])
def test_an_address_in_use_is_75_and_says_which(config: Path, key: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        exit_code, told = refused(config, **{key: address})
    assert exit_code == 75
    assert address in told
    assert {"COVEND_SERVER__LISTEN": "server.listen", "COVEND_ADMIN__LISTEN": "admin.listen"}[
        key
    ] in told


def test_a_first_start_without_github_is_69(config: Path) -> None:
    (config.parent / "state" / "identity.json").unlink()
    exit_code, told = refused(config)
    assert exit_code == 69
    assert "GitHub" in told
