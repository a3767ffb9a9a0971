"""A first configuration: written whole or not at all, and good as soon as its secrets are there."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from covend.cli import init
from covend.cli.beginning import Choices, config_text
from covend.cli.new_files import replace_text
from covend.config.load import inspect
from covend.core.settings import Preset, Sandbox
from covend.demo.github.keys import demo_key
from tests.cli.operator_desk import COVEND, invoke


def secrets_of(folder: Path) -> None:
    for name, text in (("app.pem", demo_key().private), ("github.token", "t")):
        (folder / name).touch(mode=0o600)
        (folder / name).write_text(text)


def modes(folder: Path) -> dict[str, int]:
    return {str(each.relative_to(folder)): each.stat().st_mode & 0o777 for each in folder.iterdir()}


def test_nothing_is_asked_with_yes_and_the_file_is_good_without_a_warning(tmp_path: Path) -> None:
    made = tmp_path / "deep" / "covend"
    done = invoke("init", str(made), "--yes")
    assert done.exit_code == 0, done.output
    assert made.stat().st_mode & 0o777 == 0o700
    assert modes(made) == {"covend.toml": 0o644, "webhook.secret": 0o600}
    secrets_of(made)
    inspection = inspect(made / "covend.toml", {})
    assert (inspection.errors, inspection.warnings) == ((), ())


def test_an_agent_that_is_not_confined_is_named_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(init, "sandbox_problem", lambda agent, **_of: f"{agent.name}: no bwrap")
    done = invoke("init", str(tmp_path / "a"), "--yes")
    told = [line for line in done.output.splitlines() if "confine" in line]
    assert told == [
        "  confine the agent, which can read covend's secrets: docs/sandboxes.md (claude: no bwrap)"
    ]
    monkeypatch.setattr(init, "sandbox_problem", lambda *_all, **_of: None)
    assert "confine" not in invoke("init", str(tmp_path / "b"), "--yes").output


def test_the_secret_is_another_one_each_time_and_never_shown(tmp_path: Path) -> None:
    seen = set()
    for name in ("a", "b"):
        done = invoke("init", str(tmp_path / name), "--yes", "--json")
        secret = (tmp_path / name / "webhook.secret").read_text().strip()
        assert len(secret) == 64
        assert secret not in done.output
        seen.add(secret)
    assert len(seen) == 2


@pytest.mark.parametrize("there", ["covend.toml", "webhook.secret"])
def test_what_is_there_is_named_and_stays(there: str, tmp_path: Path) -> None:
    (tmp_path / there).write_text("mine")
    done = invoke("init", str(tmp_path), "--yes")
    assert done.exit_code == 1
    assert f"{tmp_path / there}: there already" in done.output
    assert f"would have written {tmp_path / 'covend.toml'}" in done.output
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [(there, "mine")]


def test_a_link_that_leads_nowhere_is_in_the_way_too(tmp_path: Path) -> None:
    (tmp_path / "covend.toml").symlink_to(tmp_path / "elsewhere")
    assert invoke("init", str(tmp_path), "--yes").exit_code == 1
    assert not (tmp_path / "elsewhere").exists()


def test_what_root_writes_belongs_to_whoever_owns_the_folder(
    tmp_path: Path, lacking: Callable[[str], NoReturn]
) -> None:
    if os.geteuid() != 0:
        lacking("root, who can write for others")
    os.chown(tmp_path, 65_534, 65_534)
    assert invoke("init", str(tmp_path), "--yes").exit_code == 0
    config = tmp_path / "covend.toml"
    replace_text(config, config.read_text().replace("30m", "20m"))
    owners = {(each.name, each.stat().st_uid) for each in tmp_path.iterdir()}
    assert owners == {("covend.toml", 65_534), ("webhook.secret", 65_534)}


def test_without_a_terminal_it_asks_for_yes(tmp_path: Path) -> None:
    done = invoke("init", str(tmp_path))
    assert (done.exit_code, "--yes" in done.output) == (2, True)
    assert list(tmp_path.iterdir()) == []


def test_where_the_last_file_cannot_be_written_none_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.link

    def full(source: Path, target: Path) -> None:
        if target.name == "covend.toml":
            raise OSError(28, "No space left on device", str(target))
        real(source, target)

    monkeypatch.setattr(os, "link", full)
    done = invoke("init", str(tmp_path), "--yes")
    assert (done.exit_code, "No space left" in done.output) == (1, True)
    assert list(tmp_path.iterdir()) == []


def test_the_json_names_what_was_written_and_what_comes_next(tmp_path: Path) -> None:
    told = json.loads(invoke("init", str(tmp_path), "--yes", "--json").output)
    assert told["written"] == [str(tmp_path / "webhook.secret"), str(tmp_path / "covend.toml")]
    assert [step for step in told["next"] if step.startswith("covend app create")]


def test_the_agent_is_the_one_on_the_path(tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "codex").write_text("#!/bin/sh\n")
    (programs / "codex").chmod(0o755)
    told = json.loads(
        invoke("init", str(tmp_path / "a"), "--yes", "--json", PATH=str(programs)).output
    )
    assert told["agent"] == "codex"
    assert 'env = ["OPENAI_API_KEY"]' in (tmp_path / "a" / "covend.toml").read_text()


ANSWERS = {
    "Repositories": "acme/*",
    "Agent": "other",
    "Its command": "my-agent --fast",
    "Confine": "n",
    "Work as": "n",
    "Write prompts": "y",
}


def answered(folder: Path) -> tuple[int, str]:
    """Run it on a terminal, and answer each question as it comes."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*COVEND, "init", str(folder)], stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        seen, open_answers = "", dict(ANSWERS)
        try:
            while chunk := os.read(ours, 1 << 16):
                seen += chunk.decode()
                asked = next((each for each in open_answers if each in seen), None)
                if asked is not None and seen.endswith(": "):
                    os.write(ours, f"{open_answers.pop(asked)}\n".encode())
                    seen = ""
        except OSError:
            pass
        finally:
            os.close(ours)
        return process.wait(), seen


def test_it_asks_little_on_a_terminal(tmp_path: Path) -> None:
    code, seen = answered(tmp_path)
    assert code == 0, seen
    text = (tmp_path / "covend.toml").read_text()
    assert 'repository = ["acme/*"]' in text
    assert 'command = ["my-agent", "--fast"]' in text
    assert "github.token" in text
    assert "reviewing a pull request" in (tmp_path / "prompts" / "review.md").read_text()
    secrets_of(tmp_path)
    assert inspect(tmp_path / "covend.toml", {}).errors == ()


@pytest.mark.parametrize("is_app", [True, False], ids=["app", "token"])
@pytest.mark.parametrize("preset", list(Preset))
@pytest.mark.parametrize("sandbox", [Sandbox.NONE, Sandbox.BUBBLEWRAP])
def test_whatever_is_chosen_gives_a_good_file(
    *, preset: Preset, sandbox: Sandbox, is_app: bool, tmp_path: Path
) -> None:
    command = ("a b", 'quo"ted\x7f') if preset is Preset.COMMAND else (preset.value,)
    chosen = Choices(
        repository="acme/*",
        preset=preset,
        command=command,
        sandbox=sandbox,
        is_app=is_app,
        has_own_prompt=False,
    )
    (tmp_path / "covend.toml").write_text(config_text(chosen))
    (tmp_path / "webhook.secret").touch(mode=0o600)
    (tmp_path / "webhook.secret").write_text("0" * 64)
    secrets_of(tmp_path)
    inspection = inspect(tmp_path / "covend.toml", {})
    assert (inspection.errors, inspection.warnings) == ((), ())
    assert inspection.settings is not None
    (agent,) = inspection.settings.agents.values()
    assert agent.command == command


def test_what_is_asked_is_no_part_of_the_json(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    try:
        os.write(ours, b"\n" * 6)
        done = subprocess.run(
            [*COVEND, "init", str(tmp_path), "--json"],
            stdin=theirs,
            capture_output=True,
            check=True,
            timeout=60,
        )
    finally:
        os.close(theirs)
        os.close(ours)
    assert str(tmp_path / "covend.toml") in json.loads(done.stdout)["written"]
    assert b"Repositories" in done.stderr
