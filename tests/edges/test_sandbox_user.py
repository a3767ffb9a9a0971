from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from covend.core.errors import SandboxError
from covend.core.settings import Sandbox
from covend.edges.agents import user
from covend.edges.agents.sandbox import confine, let_through, sandbox_problem
from tests.edges.confined import IS_ROOT, SECRET, House, agent, house, say

AS_USER = {"sandbox": Sandbox.NONE, "user": "nobody"}


@pytest.fixture
def home() -> Iterator[House]:
    """As it is made: nobody but covend may enter."""
    with house() as built:
        built.root.chmod(0o711)
        for path in (built.state, built.attempt, built.other):
            path.chmod(0o700)
        yield built


def test_the_words_and_the_environment_are_the_users(home: House) -> None:
    confined = confine(home.wish(agent(**AS_USER), is_root=True))
    account = user.account_of("nobody")
    assert confined.prefix[0].startswith("/")
    assert confined.prefix[1:] == (
        f"--reuid={account.uid}",
        f"--regid={account.gid}",
        "--init-groups",
        "--inh-caps=-all",
        "--ambient-caps=-all",
        "--bounding-set=-all",
        "--no-new-privs",
        "--",
    )
    assert confined.environment["HOME"] == str(account.home)
    assert confined.environment["USER"] == confined.environment["LOGNAME"] == "nobody"
    assert (confined.is_held, confined.undo) == (False, None)


def test_without_sandbox_and_user_nothing_is_changed(home: House) -> None:
    wish = home.wish(agent(sandbox=Sandbox.NONE, user=None))
    confined = confine(wish)
    assert (confined.prefix, confined.environment) == ((), wish.environment)


# What the agent may do is tried for real where this process may become another user; else its own
# user stands for it, to whom the directories' modes mean nothing, and only the modes are looked at.
def run_as_user(home: House, script: str) -> tuple[int, str]:
    let_through(home.state, [home.attempt.parent])
    if IS_ROOT:
        confined = confine(home.wish(agent(**AS_USER)))
        result = say(confined, home, "sh", "-c", script)
        return result.returncode, result.stdout.strip()
    return 0, ""


def test_the_other_user_works_in_its_workspace_alone(home: House) -> None:
    code, output = run_as_user(home, "cat ../exchange/brief.json; touch made; id -u; id -G")
    if IS_ROOT:
        account = user.account_of("nobody")
        assert (code, output) == (0, f'{{"contract":1}}{account.uid}\n{account.gid}')
        assert (home.workspace / "made").owner() == "nobody"


@pytest.mark.parametrize(
    "name",
    [
        "covend.db",
        "admin.token",
        "mirrors/packed",
        "logs/T2-1.jsonl",
        "workspaces/T2-1/workspace/seen",
    ],
)
def test_what_is_covends_and_other_attempts_cannot_be_read(home: House, name: str) -> None:
    _, output = run_as_user(home, f'cat "{home.state / name}" 2>&1; ls "{home.state}" 2>&1')
    # It was made before the way was opened, by somebody with a careless mask.
    assert (home.state / "covend.db").stat().st_mode & 0o077 == 0
    assert SECRET not in output
    assert "admin.token" not in output.replace(str(home.state / name), "")


def test_the_other_user_has_no_privilege_left(home: House) -> None:
    _, output = run_as_user(home, "grep -E '^(Cap|NoNewPrivs)' /proc/self/status")
    if IS_ROOT:
        values = dict(line.split(":\t") for line in output.split("\n"))
        assert values.pop("NoNewPrivs") == "1"
        assert {int(value, 16) for value in values.values()} == {0}


def test_only_the_way_is_opened_and_it_stays_so_however_often(home: House) -> None:
    (home.state / "late.db").write_text("x")
    (home.state / "late.db").chmod(0o666)
    (home.state / "link").symlink_to("/etc/hostname")
    before = Path("/etc/hostname").stat().st_mode
    for _ in range(2):
        let_through(home.state, [home.attempt.parent])
    modes = {path.name: path.stat().st_mode & 0o777 for path in home.state.iterdir()}
    assert modes.pop("workspaces") == user.PASSABLE
    assert modes.pop("link") == before & 0o777
    assert {mode & 0o077 for mode in modes.values()} == {0}
    assert home.state.stat().st_mode & 0o777 == user.PASSABLE
    assert home.attempt.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("name", "is_root", "words"),
    [
        ("nonesuch-user", True, "useradd"),
        ("root", True, "is root"),
        ("nobody", False, "only root"),
    ],
)
def test_who_cannot_be_become_is_said_with_the_mend(
    home: House, name: str, is_root: bool, words: str
) -> None:
    what = agent(sandbox=Sandbox.NONE, user=name)
    with pytest.raises(SandboxError, match=words):
        confine(home.wish(what, is_root=is_root))
    surrounding = {"PATH": os.defpath}
    problem = sandbox_problem(what, state_dir=home.state, surrounding=surrounding, is_root=is_root)
    assert problem is not None
    assert words in problem


def test_a_way_that_is_closed_above_the_state_directory_is_named(home: House) -> None:
    account = user.account_of("nobody")
    home.root.chmod(0o700)
    closed = user.closed_way(account, home.state, is_root=True)
    # Who is not root cannot become another user to try it, and so is not told the place.
    assert closed == (home.root if IS_ROOT else home.state)
    home.root.chmod(0o711)
    if IS_ROOT:
        assert user.closed_way(account, home.state, is_root=True) is None
        surrounding = {"PATH": os.defpath}
        what = agent(**AS_USER)
        assert (
            sandbox_problem(what, state_dir=home.state, surrounding=surrounding, is_root=True)
            is None
        )


def test_it_stands_behind_a_gate(home: House) -> None:
    confined = confine(home.wish(agent(sandbox=Sandbox.NONE, user="nobody" if IS_ROOT else None)))
    words = [*confined.prefix, "sh", "-c", "id -u; cat"]
    result = subprocess.run(
        ["/bin/sh", "-c", 'read -r go && exec "$@"', "gate", *words],
        env=dict(confined.environment),
        input="go\nprompt",
        capture_output=True,
        text=True,
        check=True,
    )
    uid = user.account_of("nobody").uid if IS_ROOT else os.getuid()
    assert result.stdout == f"{uid}\nprompt"
