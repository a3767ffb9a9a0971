"""On a machine that is broken, `covend doctor` names what is broken, and its mend; each time in a
process of its own, with that one thing really amiss.
"""

from __future__ import annotations

import json
import os
import shutil
import ssl
import sys
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import anyio
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from covend.demo.github import StandInGitHub, new_key
from tests.edges.github.test_github_certificates import make_authority

COVEND = (sys.executable, "-P", "-m", "covend")
Told = dict[str, dict[str, Any]]


@pytest.fixture
async def github() -> AsyncIterator[StandInGitHub]:
    async with StandInGitHub() as github:
        github.state.app_hook.secret = "s"
        yield github


@pytest.fixture
def folder(tmp_path: Path, github: StandInGitHub) -> Path:
    """A configuration and a machine where nothing is amiss."""
    write(tmp_path, github)
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("sh", "true", "git"):
        found = shutil.which(name)
        assert found
        (programs / name).symlink_to(found)
    (tmp_path / "state").mkdir(mode=0o700)
    return tmp_path


def write(folder: Path, github: StandInGitHub, **changes: str) -> None:
    for name, text in (("app.pem", github.key.private), ("webhook.secret", "0" * 64)):
        (folder / name).touch(mode=0o600)
        (folder / name).write_text(text)
    said = {"command": "true", "api_url": github.api_url, "state_dir": "state", **changes}
    (folder / "covend.toml").write_text(f"""\
state_dir = "{said["state_dir"]}"
[admin]
listen = "127.0.0.1:1"
[github]
app_id = {github.state.app.id}
private_key = {{ file = "app.pem" }}
webhook_secrets = [{{ file = "webhook.secret" }}]
api_url = "{said["api_url"]}"
[agents.a]
command = ["{said["command"]}"]
[[rules]]
name = "review"
on = ["pull_request.opened"]
agent = "a"
publish = ["check", "review"]
""")


async def doctor(folder: Path, *within: str, **environ: str) -> tuple[int, Told]:
    """Run it as a person would, `within` another command; give its exit code and its findings."""
    environment = {
        "PATH": str(folder / "bin"),
        "HOME": str(folder),
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        **environ,
    }
    command = [*within, *COVEND, "doctor", "--json", "--config", str(folder / "covend.toml")]
    done = await anyio.run_process(command, env=environment, check=False)
    assert b"Traceback" not in done.stderr, done.stderr
    told = json.loads(done.stdout)
    for each in told["findings"]:
        assert bool(each["fix"]) is (each["level"] != "ok"), each
    return done.returncode, {each["name"]: each for each in told["findings"]}


def failures(told: Told) -> set[str]:
    return {name for name, each in told.items() if not each["ok"]}


async def test_where_nothing_is_amiss_nothing_fails(folder: Path) -> None:
    code, told = await doctor(folder)
    assert (code, failures(told)) == (0, set()), told


async def test_no_git(folder: Path) -> None:
    (folder / "bin" / "git").unlink()
    code, told = await doctor(folder)
    assert (code, failures(told)) == (1, {"git"})
    assert told["git"]["fix"] == "install git"


async def test_a_git_that_is_too_old(folder: Path) -> None:
    (folder / "bin" / "git").unlink()
    (folder / "bin" / "git").write_text("#!/bin/sh\necho git version 2.20.1\n")
    (folder / "bin" / "git").chmod(0o755)
    code, told = await doctor(folder)
    assert (code, failures(told)) == (1, {"git"})
    assert "2.20.1 is too old" in told["git"]["what"]


async def test_no_agent(folder: Path, github: StandInGitHub) -> None:
    write(folder, github, command="claudius")
    code, told = await doctor(folder)
    assert (code, failures(told)) == (1, {"agents.a.command"})
    assert "claudius" in told["agents.a.command"]["what"]


async def test_a_key_of_another_app(folder: Path) -> None:
    (folder / "app.pem").write_text(new_key().private)
    code, told = await doctor(folder)
    assert (code, failures(told)) == (1, {"github_app"})
    assert "new private key" in told["github_app"]["fix"]


async def test_a_key_that_is_no_key(folder: Path) -> None:
    (folder / "app.pem").write_text("-----BEGIN RSA PRIVATE KEY-----\nAAAA\n")
    command = [*COVEND, "doctor", "--config", str(folder / "covend.toml")]
    done = await anyio.run_process(command, check=False)
    assert done.returncode == 78
    assert b"github.private_key" in done.stderr
    assert b"AAAA" not in done.stderr + done.stdout


async def test_a_clock_that_is_off(tmp_path: Path) -> None:
    def clock() -> datetime:
        return datetime.now(UTC) - timedelta(hours=2)

    async with StandInGitHub(clock=clock) as elsewhere:
        write(tmp_path, elsewhere)
        code, told = await doctor(tmp_path, PATH=os.environ["PATH"])
    assert (code, failures(told)) == (1, {"clock"})
    assert "NTP" in told["clock"]["fix"]


async def test_no_ca_store(folder: Path, github: StandInGitHub) -> None:
    """GitHub's certificate is good, and nobody here is trusted to say so."""
    authority, key = make_authority(folder)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(authority, key)
    (folder / "empty.pem").touch()
    server = TestServer(web.Application(), host="127.0.0.1")
    await server.start_server(ssl=context)
    try:
        write(folder, github, api_url=f"https://127.0.0.1:{server.port}")
        none = {"SSL_CERT_FILE": str(folder / "empty.pem"), "SSL_CERT_DIR": str(folder / "none")}
        code, told = await doctor(folder, **none)
        assert (code, failures(told)) == (1, {"ca_store", "github"})
        assert str(folder / "empty.pem") in told["ca_store"]["what"]
        for name in ("ca_store", "github"):
            assert "ca-certificates" in told[name]["fix"]
            assert "SSL_CERT_FILE" in told[name]["fix"]
        assert "certificate" in told["github"]["what"]
        _, told = await doctor(folder, SSL_CERT_FILE=str(authority))
        assert "github" not in told, "with the authority it is trusted"
    finally:
        await server.close()


async def test_a_github_that_is_away(folder: Path, github: StandInGitHub) -> None:
    write(folder, github, api_url="http://127.0.0.1:1")
    code, told = await doctor(folder)
    assert (code, failures(told)) == (1, {"github"})


@pytest.mark.parametrize(
    ("version", "level"), [("3.40.1", "warning"), ("3.51.3", "ok")], ids=["old", "mended"]
)
async def test_an_old_sqlite(version: str, level: str, folder: Path) -> None:
    """The process finds a sqlite3 of that version, by a module of its surroundings."""
    (folder / "sitecustomize.py").write_text(
        f"import sqlite3\nsqlite3.sqlite_version = '{version}'\n"
        f"sqlite3.sqlite_version_info = {tuple(map(int, version.split('.')))}\n"
    )
    path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    code, told = await doctor(folder, PYTHONPATH=path)
    assert (code, told["sqlite"]["level"]) == (0, level)
    assert ("WAL-reset" in told["sqlite"]["what"]) is (level == "warning")


async def test_a_state_directory_that_others_can_open(folder: Path) -> None:
    (folder / "state").chmod(0o755)
    code, told = await doctor(folder)
    assert (code, failures(told)) == (1, {"state_dir"})
    assert told["state_dir"]["fix"] == f"chmod 700 {folder / 'state'}"


async def test_a_state_directory_of_somebody_else(
    folder: Path, lacking: Callable[[str], NoReturn]
) -> None:
    """Root may write there all the same, and is told."""
    if os.geteuid() != 0:
        lacking("root, who can give a directory away")
    os.chown(folder / "state", 65_534, -1)
    code, told = await doctor(folder)
    assert (code, told["state_dir"]["level"]) == (0, "warning")
    assert "belongs to nobody" in told["state_dir"]["what"]
    assert "chown" in told["state_dir"]["fix"]


async def test_a_disk_that_is_nearly_full(folder: Path, lacking: Callable[[str], NoReturn]) -> None:
    mount = f"mount -t tmpfs -o size=64m covend {folder / 'state'}"
    unshare = shutil.which("unshare")
    alone = ("--mount",) if os.geteuid() == 0 else ("--mount", "--map-root-user")
    here = None if unshare is None else (unshare, *alone, "sh", "-c")
    tried = here and await anyio.run_process([*here, mount], check=False)
    if here is None or not tried or tried.returncode:
        lacking("a mount of our own (unshare, mount)")
    within = (*here, f'{mount} && chmod 700 {folder / "state"} && exec "$@"', "sh")
    code, told = await doctor(folder, *within, PATH=f"{folder / 'bin'}:{os.environ['PATH']}")
    assert (code, failures(told)) == (1, {"disk"})
    assert "64MiB are free" in told["disk"]["what"]
    assert told["disk"]["fix"].startswith("free some")


async def test_all_at_once_are_all_named(folder: Path, github: StandInGitHub) -> None:
    write(folder, github, command="claudius", api_url="https://127.0.0.1:1")
    (folder / "bin" / "git").unlink()
    (folder / "state").chmod(0o755)
    none = {"SSL_CERT_FILE": str(folder / "empty.pem"), "SSL_CERT_DIR": str(folder / "none")}
    code, told = await doctor(folder, **none)
    assert code == 1
    wanted = {"git", "agents.a.command", "ca_store", "github", "state_dir"}
    assert failures(told) == wanted
