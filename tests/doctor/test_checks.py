"""Each check meets what it is there for, and says how to mend it."""

from __future__ import annotations

import os
import pwd
import sqlite3
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from covend.core.secret import Secret
from covend.core.settings import Agent, AgentLimits, GitHub, Limits, Sandbox, Settings
from covend.demo.github.keys import demo_key
from covend.doctor import agents, daemon, machine, state
from covend.doctor.examine import CHECKS, examine
from covend.doctor.finding import Answer, Case, Finding, Level, failed_as_told
from covend.edges.proc import processes
from covend.store.sqlite.lock import held_by, hold_state_directory

SILENT = "covend is not answering on 127.0.0.1:1: is it running?  (covend serve)"
READY = {"ready": True, "state": "ready", "store": "ok", "version": "1"}
HELD = {"trees": "cgroup v2 at /c", "memory": "cgroup", "pids": "cgroup", "cpus": "cgroup"}
WALKED = {
    "trees": "subreaper and marker: no cgroup v2",
    "memory": "watched",
    "pids": "watched",
    "cpus": "not enforced: no cgroup v2",
}
SHELL = Agent(name="a", command=("sh",))
CLOSED = replace(SHELL, sandbox=Sandbox.BUBBLEWRAP)


def case(tmp_path: Path, *told: Agent, **changes: Any) -> Case:
    ask: Callable[[str], Answer | str] = changes.pop("ask", lambda _path: SILENT)
    environ = changes.pop("environ", {"PATH": os.defpath, "HOME": str(tmp_path)})
    named = {agent.name: agent for agent in told}
    settings = Settings(state_dir=tmp_path / "state", agents=named, **changes)
    return Case(settings=settings, environ=environ, ask=ask, is_root=os.geteuid() == 0)


def made(tmp_path: Path, mode: int = 0o700) -> Path:
    directory = tmp_path / "state"
    directory.mkdir()
    directory.chmod(mode)
    return directory


def by_name(found: Any) -> dict[str, Finding]:
    return {finding.name: finding for finding in found}


# --- the machine ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "is_in"),
    [
        ((3, 6, 23), False),
        ((3, 40, 1), True),
        ((3, 44, 5), True),
        ((3, 44, 6), False),
        ((3, 50, 6), True),
        ((3, 50, 7), False),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
        ((3, 52, 0), False),
    ],
)
def test_the_versions_with_the_reset_bug_are_known(version: tuple[int, ...], is_in: bool) -> None:
    assert machine.has_reset_bug(version) is is_in


@pytest.mark.parametrize(
    ("number", "level"), [("3.37.2", "failed"), ("3.40.1", "warning"), ("3.51.3", "ok")]
)
def test_sqlite_is_named_with_what_follows_from_it(
    number: str, level: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version", number)
    monkeypatch.setattr(sqlite3, "sqlite_version_info", tuple(map(int, number.split("."))))
    found = machine.check_sqlite(case(tmp_path))
    assert (found.level, number in found.what) == (level, True)


def test_an_unsupported_python_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine.check_python(case(tmp_path)).level is Level.OK
    monkeypatch.setattr(sys, "version_info", (3, 10, 1))
    assert machine.check_python(case(tmp_path)).level is Level.FAILED


@pytest.mark.parametrize(
    ("script", "level"),
    [
        ("echo git version 2.32.9", "failed"),
        ("echo git version 2.47.1", "ok"),
        ("exit 1", "failed"),
        (None, "failed"),
    ],
)
def test_git_is_there_and_new_enough(script: str | None, level: str, tmp_path: Path) -> None:
    if script is not None:
        (tmp_path / "git").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "git").chmod(0o755)
    found = machine.check_git(case(tmp_path, environ={"PATH": str(tmp_path)}))
    assert (found.level, bool(found.fix)) == (level, level != "ok")


def test_a_home_is_asked_for_where_an_agent_needs_it(tmp_path: Path) -> None:
    found = machine.check_home(case(tmp_path, SHELL))
    assert found is not None
    assert found.level is Level.OK
    lost = machine.check_home(case(tmp_path, SHELL, environ={}))
    assert lost is not None
    assert (lost.level, lost.fix) == (Level.FAILED, "set it")
    assert machine.check_home(case(tmp_path, CLOSED, environ={})) is None


@pytest.mark.parametrize(
    ("url", "level"), [("https://api.github.com", "failed"), ("http://127.0.0.1:1", "warning")]
)
def test_without_certificates_https_fails(
    url: str, level: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))
    found = machine.check_ca_store(case(tmp_path, github=GitHub(api_url=url)))
    assert found.level == level


# --- what covend keeps ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "user", "level"),
    [
        (0o700, None, "ok"),
        (0o711, None, "failed"),
        (0o711, "nobody", "ok"),
        (0o755, "nobody", "failed"),
    ],
)
def test_the_state_directory_is_private(
    mode: int, user: str | None, level: str, tmp_path: Path
) -> None:
    made(tmp_path, mode)
    found = state.check_state_dir(case(tmp_path, replace(SHELL, user=user)))
    assert (found.level, "chmod" in found.fix) == (level, level == "failed")


def test_a_state_directory_yet_to_be_made_is_no_failure(tmp_path: Path) -> None:
    found = state.check_state_dir(case(tmp_path))
    assert found.level is Level.OK
    assert not (tmp_path / "state").exists()


def test_a_state_directory_of_somebody_else_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(tmp_path)
    other = pwd.getpwnam("nobody").pw_uid
    monkeypatch.setattr(os, "geteuid", lambda: other)
    found = state.check_state_dir(case(tmp_path))
    assert found.level is Level.FAILED
    assert "this runs as nobody" in found.what


def test_the_disk_is_compared_with_what_may_be_used(tmp_path: Path) -> None:
    assert state.check_disk(case(tmp_path, limits=Limits(workspaces_bytes=1))).ok
    found = state.check_disk(case(tmp_path, limits=Limits(workspaces_bytes=1 << 60)))
    assert found.level is Level.WARNING
    assert "limits.workspaces" in found.what


def test_a_full_disk_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "FREE_MIN_BYTES", 1 << 60)
    assert state.check_disk(case(tmp_path)).level is Level.FAILED


def test_a_database_is_looked_at_where_there_is_one(tmp_path: Path) -> None:
    assert state.check_database(case(tmp_path)) is None
    database = made(tmp_path) / "covend.db"
    sqlite3.connect(database).close()
    sound = state.check_database(case(tmp_path))
    assert sound is not None
    assert sound.level is Level.OK
    database.write_bytes(b"x" * 4096)
    damaged = state.check_database(case(tmp_path))
    assert damaged is not None
    assert damaged.level is Level.FAILED


def test_the_apps_key_is_loaded(tmp_path: Path) -> None:
    assert state.check_github_key(case(tmp_path)) is None
    good = GitHub(app_id=1, private_key=Secret(demo_key().private))
    found = state.check_github_key(case(tmp_path, github=good))
    assert found is not None
    assert found.level is Level.OK
    bad = GitHub(app_id=1, private_key=Secret("-----BEGIN RSA PRIVATE KEY-----\nAAAA\n"))
    found = state.check_github_key(case(tmp_path, github=bad))
    assert found is not None
    assert (found.level, "AAAA" in found.what) == (Level.FAILED, False)


# --- agents ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "level"),
    [("sh", "ok"), ("/bin/sh", "ok"), ("claudius", "failed"), ("./agent", "warning")],
)
def test_an_agents_command_is_looked_for(command: str, level: str, tmp_path: Path) -> None:
    told = case(tmp_path, replace(SHELL, command=(command,)))
    found = by_name(agents.check_agents(told))["agents.a.command"]
    assert (found.level, bool(found.fix)) == (level, level != "ok")


def test_a_variable_that_is_not_set_is_worth_knowing(tmp_path: Path) -> None:
    told = case(tmp_path, replace(SHELL, env=("HOME", "NEVER_SET")))
    found = by_name(agents.check_agents(told))["agents.a.env"]
    assert found.level is Level.WARNING
    assert "NEVER_SET" in found.what
    assert "HOME" not in found.what


def test_an_agent_without_a_sandbox_is_worth_knowing(tmp_path: Path) -> None:
    found = by_name(agents.check_agents(case(tmp_path, SHELL)))["agents.a.sandbox"]
    assert found.level is Level.WARNING


def test_root_is_not_told_to_set_what_root_is_refused(tmp_path: Path) -> None:
    as_root = replace(case(tmp_path, SHELL), is_root=True)
    found = by_name(agents.check_agents(as_root))["agents.a.sandbox"]
    assert 'sandbox = "bubblewrap" and an ordinary `user`' in found.fix


def test_a_sandbox_that_cannot_be_had_fails_with_its_mend(tmp_path: Path) -> None:
    agent = replace(SHELL, user="no-such-user")
    found = by_name(agents.check_agents(case(tmp_path, agent)))["agents.a.sandbox"]
    assert (found.level, found.fix) == (Level.FAILED, "useradd --system --create-home no-such-user")


def test_a_daemon_that_runs_is_believed_how_it_holds_processes(tmp_path: Path) -> None:
    found = by_name(agents.check_processes(case(tmp_path, ask=lambda _path: READY | HELD)))
    assert {each.level for each in found.values()} == {Level.OK}
    assert "cgroup v2 at /c" in found["processes"].what


def test_a_limit_that_is_set_and_not_held_is_worth_knowing(tmp_path: Path) -> None:
    wanted = replace(SHELL, limits=AgentLimits(cpus=1.0, memory_bytes=1 << 30))
    found = by_name(agents.check_processes(case(tmp_path, wanted, ask=lambda _path: WALKED)))
    levels = {name: each.level.value for name, each in found.items()}
    assert levels == {
        "processes": "warning",
        "limits.memory": "ok",
        "limits.pids": "ok",
        "limits.cpus": "warning",
    }


def test_a_probe_leaves_nothing_behind(tmp_path: Path) -> None:
    before, children = cgroups(), own_children()
    found = by_name(agents.check_processes(case(tmp_path)))
    assert set(found) == {"processes", "limits.memory", "limits.pids", "limits.cpus"}
    assert cgroups() == before
    assert own_children() <= children


def own_children() -> set[int]:
    """What other tests have left dead and not yet waited for is among them."""
    return {each.pid for each in processes().values() if each.parent == os.getpid()}


def cgroups() -> list[Path]:
    return sorted(Path("/sys/fs/cgroup").rglob(f"covend-doctor-{os.getpid()}"))


# --- the daemon -----------------------------------------------------------------------------------


def test_a_daemon_that_is_ready_lets_the_token_in(tmp_path: Path) -> None:
    found = by_name(daemon.check_daemon(case(tmp_path, ask=lambda _path: READY)))
    assert {name: each.level for name, each in found.items()} == {
        "daemon": Level.OK,
        "admin_api": Level.OK,
    }


def test_a_daemon_that_is_not_ready_and_a_wrong_token_fail(tmp_path: Path) -> None:
    def ask(path: str) -> Answer | str:
        return READY | {"ready": False} if path == "/readyz" else "covend refuses the token"

    found = by_name(daemon.check_daemon(case(tmp_path, ask=ask)))
    assert {each.level for each in found.values()} == {Level.FAILED}


def test_a_daemon_that_does_not_run_is_no_failure(tmp_path: Path) -> None:
    (found,) = daemon.check_daemon(case(tmp_path))
    assert (found.level, found.fix) == (Level.WARNING, "covend serve")


def test_a_daemon_that_runs_and_is_silent_fails(tmp_path: Path) -> None:
    with hold_state_directory(made(tmp_path)):
        (found,) = daemon.check_daemon(case(tmp_path))
        assert found.level is Level.FAILED
        assert f"pid {os.getpid()}" in found.what
    assert held_by(tmp_path / "state") is None


def looked(**changes: object) -> Answer:
    """What the API tells of the looks through GitHub's log, the newest of them changed."""
    plain = {
        "state": "ended",
        "ended_at": "2026-09-21T14:13:20.000Z",
        "error": None,
        "unknown_delivered": 0,
        "kept": 2,
    }
    return {"items": [plain | changes, plain]}


@pytest.mark.parametrize(
    ("told", "level", "words"),
    [
        (looked(), Level.OK, "looked through at 2026-09-21T14:13:20.000Z; 4 taken in"),
        (looked(unknown_delivered=3), Level.WARNING, "3 deliveries that GitHub calls delivered"),
        (looked(error={"message": "it asks to wait"}), Level.WARNING, "it asks to wait"),
    ],
)
def test_what_github_could_not_deliver_is_told(
    tmp_path: Path, told: Answer, level: Level, words: str
) -> None:
    found = daemon.check_missed(case(tmp_path, ask=lambda _path: told))
    assert found is not None
    assert (found.level, words in found.what) == (level, True)


@pytest.mark.parametrize(
    "told", ["nobody answers", {"items": []}, {"items": [{"state": "listing"}]}]
)
def test_where_nobody_has_looked_yet_there_is_nothing_to_tell(
    tmp_path: Path, told: Answer | str
) -> None:
    assert daemon.check_missed(case(tmp_path, ask=lambda _path: told)) is None


# --- all of them ----------------------------------------------------------------------------------


def test_a_check_that_breaks_is_a_failure_and_the_others_go_on(tmp_path: Path) -> None:
    def check_ladder(_case: Case) -> Finding:
        raise OSError(28, "No space left on device")

    found = list(examine(case(tmp_path), [check_ladder, machine.check_python]))
    assert [(each.name, each.ok) for each in found] == [("ladder", False), ("python", True)]


def test_whatever_is_not_well_says_what_to_do(tmp_path: Path) -> None:
    found = list(examine(case(tmp_path, replace(SHELL, command=("claudius",)))))
    assert len(found) >= len(CHECKS) - 3
    for each in found:
        assert bool(each.fix) is (each.level is not Level.OK), each
    assert len(by_name(found)) == len(found)


@pytest.mark.parametrize(
    ("message", "what", "fix"),
    [
        ("it is gone: make it", "it is gone", "make it"),
        ("it said no (sh: not found): install it", "it said no (sh: not found)", "install it"),
        ("it is gone", "it is gone", "otherwise"),
    ],
)
def test_an_errors_mend_becomes_the_fix(message: str, what: str, fix: str) -> None:
    found = failed_as_told("x", message, "otherwise")
    assert (found.what, found.fix) == (what, fix)
