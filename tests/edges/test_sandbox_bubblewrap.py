from __future__ import annotations

import os
import pwd
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from covend.core.errors import AgentNotFoundError, SandboxError
from covend.edges.agents.sandbox import confine
from tests.edges.confined import SECRET, USER, House, agent, said, say


def test_the_brief_is_read_and_the_result_written(home: House) -> None:
    brief, result = home.exchange / "brief.json", home.exchange / "result.json"
    assert said(home, 'cat "$1"; echo done >"$2"', str(brief), str(result)) == '{"contract":1}'
    assert result.read_text() == "done\n"


def test_it_works_in_its_workspace_with_a_home_of_its_own(home: House) -> None:
    assert said(home, 'pwd; echo "$HOME"; touch made "$HOME/session"').split() == [
        str(home.workspace),
        str(home.home),
    ]
    assert (home.workspace / "made").exists()
    assert (home.home / "session").exists()


def test_temporary_files_have_a_place_that_is_nobody_elses(home: House) -> None:
    script = "for place in /tmp /var/tmp /dev/shm; do echo x >$place/made-by-agent || exit; done"
    assert said(home, script) == ""
    assert not Path("/tmp/made-by-agent").exists()


@pytest.mark.parametrize(
    "place",
    ["/", "/usr", "/usr/bin", "/etc", "/etc/ssl/certs", "/var", "/dev", "/home", "/proc/sys"],
)
def test_nothing_of_the_system_can_be_written(home: House, place: str) -> None:
    script = '(echo x >"$1/covend-was-here") 2>/dev/null && echo written; true'
    assert said(home, script, place) == ""


def test_the_kernels_settings_cannot_be_written(home: House) -> None:
    # The value that it has already, so that a hole here harms no machine.
    script = (
        'p=/proc/sys/kernel/core_pattern; v=$(cat $p); (echo "$v" >$p) 2>/dev/null && echo hole'
    )
    assert said(home, f"{script}; true") == ""


@pytest.mark.parametrize(
    "name", ["covend.db", "admin.token", "logs", "mirrors", "mirrors/packed", "workspaces/T2-1"]
)
def test_the_state_directory_and_other_attempts_are_not_there(home: House, name: str) -> None:
    script = '(ls "$1" || cat "$1" || echo x >"$1/y") 2>/dev/null && echo seen; true'
    assert said(home, script, str(home.state / name)) == ""


def test_a_secret_that_is_searched_for_everywhere_is_not_found(home: House) -> None:
    found = said(home, f"grep -rlsI {SECRET} / --exclude-dir=proc --exclude-dir=usr; true")
    assert found == ""
    assert said(home, "find / -name covend.db -readable -not -path '/proc/*' 2>&-; true") == ""


@pytest.mark.parametrize(
    "place", ["/root", "/etc/shadow", "/etc/ssl/private", "/run", "/sys", "/boot"]
)
def test_what_an_agent_does_not_need_is_not_there(home: House, place: str) -> None:
    assert said(home, 'test -e "$1" && echo there; true', place) == ""


def test_names_users_and_certificates_are_found(home: House) -> None:
    script = (
        "test -r /etc/resolv.conf && test -d /etc/ssl/certs && getent hosts localhost && id -un"
    )
    assert said(home, script, network=True).endswith(
        pwd.getpwuid(os.getuid()).pw_name if USER is None else USER
    )


def test_its_processes_are_all_that_there_are(home: House) -> None:
    pids = [int(pid) for pid in said(home, "cd /proc && ls -d [0-9]*").split()]
    assert max(pids) < 20
    assert said(home, "cat /proc/1/comm") == "bwrap"


def test_it_has_no_capability_and_no_way_to_one(home: House) -> None:
    status = said(home, "grep -E '^(Cap|NoNewPrivs)' /proc/self/status").split("\n")
    values = dict(line.split(":\t") for line in status)
    assert values.pop("NoNewPrivs") == "1"
    assert {int(value, 16) for value in values.values()} == {0}


def test_its_environment_is_the_allow_list_and_its_directory(home: House) -> None:
    lines = said(home, "exec env").split("\n")
    assert sorted(line.partition("=")[0] for line in lines) == [
        *("COVEND_TASK", "HOME", "KEY", "PATH", "PWD"),
    ]


@pytest.fixture
def port() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield str(server.getsockname()[1])


@pytest.mark.parametrize(("network", "word"), [(True, "reached"), (False, "")])
def test_the_network_is_there_only_if_it_may_be(
    home: House, port: str, network: bool, word: str
) -> None:
    script = 'bash -c "exec 3<>/dev/tcp/127.0.0.1/$1" 2>/dev/null && echo reached; true'
    assert said(home, script, port, network=network) == word


@pytest.mark.parametrize("code", [0, 7, 75, 255])
def test_the_exit_code_passes_through(home: House, code: int) -> None:
    confined = confine(home.wish(agent()))
    assert say(confined, home, "sh", "-c", f"exit {code}").returncode == code
    assert confined.is_held


def test_a_commit_is_made_over_borrowed_objects(home: House) -> None:
    mirror = home.mirrors / "acme.git"
    _prepare_repository(home, mirror)
    script = (
        "git log --format=%s && echo y >y && git add y"
        " && git -c user.name=x -c user.email=x@y commit --quiet -m second && git log --format=%s"
        ' && ! touch "$1"/planted 2>/dev/null'
    )
    wish = home.wish(agent(), objects=mirror / "objects")
    result = say(confine(wish), home, "sh", "-c", script, "sh", str(mirror / "objects"))
    assert (result.returncode, result.stdout) == (0, "first\nsecond\nfirst\n"), result.stderr


def _prepare_repository(home: House, mirror: Path) -> None:
    source = home.root / "source"
    identity = ("-c", "user.name=x", "-c", "user.email=x@y")
    git("init", "--quiet", str(source))
    git("-C", str(source), *identity, "commit", "--quiet", "--allow-empty", "-m", "first")
    git("clone", "--quiet", "--bare", str(source), str(mirror))
    git("clone", "--quiet", "--shared", str(mirror), str(home.workspace))
    home.give(home.workspace)
    # Not even those who might by the objects' permissions.
    for path in (home.mirrors, mirror, mirror / "objects", *(mirror / "objects").rglob("*")):
        path.chmod(0o777 if path.is_dir() else 0o666)


def git(*words: str) -> None:
    subprocess.run(["git", *words], check=True, capture_output=True)


# --- what an operator shows besides ---------------------------------------------------------------


def test_what_is_readable_is_shown_and_the_state_directory_in_it_is_not(home: House) -> None:
    (home.root / "shared.txt").write_text("shared")
    root = str(home.root)
    script = (
        'cat "$1/shared.txt"; echo; ls "$1/state";'
        ' touch "$1/state/x" 2>/dev/null && echo hole; true'
    )
    assert said(home, script, root, readable=(root,)).split() == ["shared", "workspaces"]


def test_a_link_to_what_is_readable_is_no_way_round(home: House) -> None:
    link = home.root / "link"
    link.symlink_to(home.root)
    script = 'ls "$1/state"; cat "$1/state/covend.db" 2>/dev/null && echo hole; true'
    assert said(home, script, str(link), readable=(str(link),)) == ""


def test_a_program_of_its_own_place_runs_and_brings_only_that(home: House) -> None:
    package = home.root / "opt" / "tool"
    for name in ("bin", "lib"):
        (package / name).mkdir(parents=True)
    plant_script(package / "lib" / "main", "#!/usr/bin/env sh\necho ran; ls ..; ls ../..")
    (package / "bin" / "tool").symlink_to("../lib/main")
    plant_script(home.root / "opt" / "beside", "")
    program = str(package / "bin" / "tool")
    confined = confine(home.wish(agent(), program))
    result = say(confined, home, "sh", "-c", f"{program} >/dev/null && ls {home.root}/opt")
    assert (result.returncode, result.stdout) == (0, "tool\n"), result.stderr


def test_a_program_within_the_state_directory_runs_and_nothing_beside_it_is_there(
    home: House,
) -> None:
    program = home.state / ".local" / "bin" / "tool"
    program.parent.mkdir(parents=True)
    plant_script(program, '#!/bin/sh\nls -A "$1"; touch "$1/.local/bin/x" 2>&-; ls "$1/.local/bin"')
    result = say(confine(home.wish(agent(), str(program))), home, str(program), str(home.state))
    assert result.stdout.split() == [".local", "workspaces", "tool"], result.stderr


@pytest.mark.parametrize("way", ["link", "first line"])
def test_a_program_of_the_checkout_shows_nothing_of_where_it_leads(home: House, way: str) -> None:
    secret, program = home.root / "keys" / "app.pem", home.workspace / "agent"
    secret.parent.mkdir()
    plant_script(secret, "#!/bin/sh\n")
    if way == "link":
        program.symlink_to(secret)
    else:
        plant_script(program, f"#!{secret}\n")
    confined = confine(home.wish(agent(), "./agent"))
    assert not [word for word in confined.prefix if word.startswith(str(secret.parent))]


def plant_script(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


# --- what cannot be had ---------------------------------------------------------------------------


def test_a_program_that_is_not_there_is_said(home: House) -> None:
    with pytest.raises(AgentNotFoundError, match="nonesuch"):
        confine(home.wish(agent(), "nonesuch"))


def test_without_bubblewrap_nothing_is_run_less_confined(home: House) -> None:
    with pytest.raises(SandboxError, match="install bubblewrap"):
        confine(home.wish(agent(), surrounding={"PATH": str(home.home)}))


def test_root_names_somebody_else(home: House) -> None:
    with pytest.raises(SandboxError, match=r"agents\.tool\.user"):
        confine(home.wish(agent(user=None), is_root=True))
