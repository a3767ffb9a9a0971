"""Completion as a shell has it: by a real bash, with what `covend completion` prints."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from time import monotonic

import anyio
import pytest

from covend.cli import COMMANDS, client, completing
from covend.core.states import TaskState
from tests.cli.operator_desk import CLEAN, Operator, invoke
from tests.cli.test_commands import imported_by

ASK = """
source "$1"
COMP_WORDS=({words}); COMP_CWORD={at}; COMP_LINE="{line}"; COMP_POINT=${{#COMP_LINE}}
_covend_completion covend 2>/dev/null
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the program, what it prints for bash, and a configuration."""
    program = tmp_path / "covend"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m covend "$@"\n')
    program.chmod(0o755)
    done = invoke("completion", "bash")
    assert done.exit_code == 0
    (tmp_path / "complete.bash").write_text(done.output)
    (tmp_path / "covend.toml").write_text(
        '[[rules]]\nname = "review"\n[[rules]]\nname = "release-notes"\n[[rules]]\nname = "fix"\n'
    )
    return tmp_path


def complete(folder: Path, *words: str) -> list[str]:
    """What bash would offer for the last of the words."""
    quoted = " ".join(f"'{word}'" for word in ("covend", *words))
    ask = ASK.format(words=quoted, at=len(words), line=" ".join(("covend", *words)))
    environ = {name: value for name, value in os.environ.items() if name not in CLEAN}
    done = subprocess.run(
        ["bash", "-c", ask, "bash", str(folder / "complete.bash")],
        cwd=folder,
        env={**environ, "PATH": f"{folder}:{environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.split()


def test_bash_completes_commands(folder: Path) -> None:
    assert complete(folder, "re") == [name for name in COMMANDS if name.startswith("re")]
    assert complete(folder, "") == list(COMMANDS)


def test_bash_completes_states_and_options(folder: Path) -> None:
    assert complete(folder, "tasks", "--state", "") == [state.value for state in TaskState]
    assert complete(folder, "tasks", "--js") == ["--json"]


def test_bash_completes_the_rules_of_the_configuration(folder: Path) -> None:
    assert complete(folder, "tasks", "--rule", "re") == ["review", "release-notes"]
    assert complete(folder, "pause", "--rule", "f") == ["fix"]


def test_without_a_configuration_nothing_is_said_and_nothing_breaks(folder: Path) -> None:
    (folder / "covend.toml").write_text("[[rules]")
    assert complete(folder, "tasks", "--rule", "re") == []
    assert complete(folder, "show", "0") == []


async def test_ids_of_tasks_are_asked_of_the_daemon(operator: Operator) -> None:
    tasks = [await operator.desk.arrive() for _ in range(2)]
    done = await anyio.to_thread.run_sync(
        partial(
            invoke,
            _COVEND_COMPLETE="bash_complete",
            COMP_WORDS=f"covend show --config {operator.config} {tasks[0][:4]}",
            COMP_CWORD="4",
        )
    )
    assert sorted(done.stdout.split()) == sorted(f"plain,{task}" for task in tasks)


@pytest.mark.parametrize(
    "answer", [None, b'{"items": [{"id": "0"}]}', b"[]"], ids=["silent", "odd", "list"]
)
def test_what_does_not_answer_as_covend_is_passed_over_soon(
    answer: bytes | None, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(completing, "WITHIN_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor() as aside:
        if answer is not None:
            aside.submit(_answer, listener, answer)
        config = folder / "covend.toml"
        config.write_text(f'[admin]\nlisten = "127.0.0.1:{listener.getsockname()[1]}"\n')
        asked = f"covend show --config {config} 0"
        began = monotonic()
        done = invoke(_COVEND_COMPLETE="bash_complete", COMP_WORDS=asked, COMP_CWORD="4")
    assert (done.stdout.strip(), done.exception) == ("", None)
    assert monotonic() - began < client.ANSWER_S / 2


def _answer(listener: socket.socket, body: bytes) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.recv(1 << 16)
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_get_a_script_of_their_own(shell: str) -> None:
    done = invoke("completion", shell)
    assert done.exit_code == 0
    assert f"_COVEND_COMPLETE={shell}_complete" in done.output


def test_an_unknown_shell_is_a_usage_error() -> None:
    done = invoke("completion", "tcsh")
    assert done.exit_code == 2
    assert "bash" in done.output


def test_completing_imports_only_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_COVEND_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "covend ta")
    monkeypatch.setenv("COMP_CWORD", "1")
    assert imported_by() == set()
