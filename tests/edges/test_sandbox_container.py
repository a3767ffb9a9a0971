from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from covend.core.errors import SandboxError
from covend.core.settings import Agent, AgentLimits, Container, Engine, Sandbox
from covend.edges.agents.confinement import Confinement
from covend.edges.agents.sandbox import (
    confine,
    left_by,
    remove,
    sandbox_problem,
)

KEY = "sk-secret-value"
LIMITS = AgentLimits(memory_bytes=1 << 30, pids=64, cpus=1.5)


@pytest.fixture
def engines(tmp_path: Path) -> Path:
    """A directory with a docker and a podman that write down what they are told."""
    folder = tmp_path / "engines"
    folder.mkdir()
    for engine in Engine:
        stand_in(folder / engine, "exit 0")
    return folder


def stand_in(path: Path, ending: str) -> None:
    log = path.with_suffix(".log")
    told = f'{{ printf "%s\\n" "$@"; env; }} >>"{log}"'
    path.write_text(f"#!/bin/sh\n{told}\n{ending}\n")
    path.chmod(0o755)


def told(engines: Path, engine: Engine = Engine.DOCKER) -> list[str]:
    return (engines / engine).with_suffix(".log").read_text().split("\n")


def agent(**changes: Any) -> Agent:
    values: dict[str, Any] = {
        "name": "tool",
        "command": ("tool",),
        "sandbox": Sandbox.CONTAINER,
        "container": Container(image="agents/tool:1"),
    }
    return Agent(**{**values, **changes})


def wish(engines: Path, what: Agent, **changes: Any) -> Confinement:
    values: dict[str, Any] = {
        "agent": what,
        "program": "tool",
        "name": "T1-2",
        "workspace": Path("/state/workspaces/T1-2/workspace"),
        "exchange": Path("/state/workspaces/T1-2/exchange"),
        "home": Path("/state/workspaces/T1-2/home"),
        "environment": {"PATH": "/opt/bin", "HOME": "/root", "KEY": KEY, "COVEND_TASK": "T1"},
        "surrounding": {
            "PATH": f"{engines}:{os.defpath}",
            "HOME": "/var/lib/covend",
            "DOCKER_HOST": "unix:///run/engine.sock",
            "ADMIN_TOKEN": "never",
        },
        "is_root": True,
    }
    return Confinement(**{**values, **changes})


def test_the_argv_is_exactly_this(engines: Path) -> None:
    what = agent(limits=LIMITS, network=False, readable=("/opt/data",), user="nobody")
    objects = Path("/state/mirrors/x.git/objects")
    confined = confine(wish(engines, what, objects=objects))
    place = "/state/workspaces/T1-2"
    nobody = confined.prefix[13]
    assert confined.prefix == (
        *(f"{engines}/docker", "run", "--name=covend-T1-2", "--rm", "--init", "--interactive"),
        *("--pull=never", "--entrypoint=", "--log-driver=none", "--read-only", "--cap-drop=ALL"),
        *("--security-opt=no-new-privileges", "--tmpfs=/tmp:rw,exec,nosuid,nodev,mode=1777"),
        *(nobody, "--network=none"),
        *("--memory=1073741824", "--memory-swap=1073741824", "--pids-limit=64", "--cpus=1.5"),
        "--mount=type=bind,source=/opt/data,target=/opt/data,readonly",
        f"--mount=type=bind,source={objects},target={objects},readonly",
        f"--mount=type=bind,source={place}/home,target={place}/home",
        f"--mount=type=bind,source={place}/exchange,target={place}/exchange",
        f"--mount=type=bind,source={place}/workspace,target={place}/workspace",
        *(f"--workdir={place}/workspace", f"--env=HOME={place}/home"),
        *("--env=COVEND_TASK", "--env=KEY", "agents/tool:1"),
    )
    assert nobody.startswith("--user=")
    assert nobody != "--user=0:0"


def test_values_go_by_the_clients_environment_and_it_has_nothing_else_of_the_daemons(
    engines: Path,
) -> None:
    confined = confine(wish(engines, agent()))
    assert not [word for word in confined.prefix if KEY in word]
    assert confined.environment == {
        "KEY": KEY,
        "COVEND_TASK": "T1",
        "PATH": f"{engines}:{os.defpath}",
        "HOME": "/var/lib/covend",
        "DOCKER_HOST": "unix:///run/engine.sock",
    }
    assert not confined.is_held


def test_what_is_not_limited_has_no_word(engines: Path) -> None:
    prefix = confine(wish(engines, agent())).prefix
    assert not [word for word in prefix if word.startswith(("--memory", "--pids", "--cpus"))]
    assert "--network=bridge" in prefix


@pytest.mark.parametrize(
    ("engine", "is_root", "is_kept"),
    [
        (Engine.PODMAN, False, True),
        (Engine.PODMAN, True, False),
        (Engine.DOCKER, False, False),
    ],
)
def test_a_podman_without_root_keeps_the_user(
    engines: Path, engine: Engine, is_root: bool, is_kept: bool
) -> None:
    what = agent(container=Container(image="x", engine=engine))
    prefix = confine(wish(engines, what, is_root=is_root)).prefix
    assert prefix[0] == f"{engines}/{engine}"
    assert ("--userns=keep-id" in prefix) is is_kept
    assert f"--user={os.getuid()}:{os.getgid()}" in prefix


def test_the_engine_that_is_found_is_taken(engines: Path) -> None:
    (engines / "docker").unlink()
    surrounding = {"PATH": str(engines)}
    assert confine(wish(engines, agent(), surrounding=surrounding)).prefix[0].endswith("podman")


@pytest.mark.parametrize("odd", ["/a,b", '/a"b', "/a\nb"])
def test_a_path_that_a_mount_cannot_name_is_refused(engines: Path, odd: str) -> None:
    with pytest.raises(SandboxError, match="without comma"):
        confine(wish(engines, agent(), home=Path(odd)))


def test_a_colon_is_a_letter_like_any_other(engines: Path) -> None:
    prefix = confine(wish(engines, agent(), home=Path("/a:b"))).prefix
    assert "--mount=type=bind,source=/a:b,target=/a:b" in prefix


# --- its end --------------------------------------------------------------------------------------


def test_it_is_removed_by_its_name_without_the_agents_environment(engines: Path) -> None:
    confined = confine(wish(engines, agent()))
    assert confined.undo is not None
    remove(confined.undo)
    words = told(engines)
    assert words[:4] == ["rm", "--force", "--volumes", "covend-T1-2"]
    assert not [word for word in words if KEY in word or "never" in word]


def test_what_a_former_daemon_left_is_removed_alike(engines: Path) -> None:
    confinement = wish(engines, agent())
    undo = left_by(confinement.agent, confinement.name, confinement.surrounding)
    assert undo == confine(confinement).undo


@pytest.mark.parametrize(
    "told",
    [
        "Error: No such container: x",
        "Error response from daemon: removal of container x is already in progress",
    ],
)
def test_a_container_that_is_gone_is_removed_already(engines: Path, told: str) -> None:
    stand_in(engines / "docker", f"echo '{told}' >&2; exit 1")
    undo = confine(wish(engines, agent())).undo
    assert undo is not None
    remove(undo)


def test_a_container_that_cannot_be_removed_is_said_with_what_to_do(engines: Path) -> None:
    stand_in(engines / "docker", "echo 'permission denied' >&2; exit 1")
    undo = confine(wish(engines, agent())).undo
    assert undo is not None
    with pytest.raises(SandboxError, match=r"permission denied.*rm --force"):
        remove(undo)


# --- what is missing ------------------------------------------------------------------------------


def problem(what: Agent, state: Path, path: str) -> str | None:
    return sandbox_problem(what, state_dir=state, surrounding={"PATH": path}, is_root=False)


@pytest.mark.parametrize(
    ("ending", "words"),
    [
        ("exit 0", None),
        ('case "$1" in image) exit 1;; esac', "docker pull agents/tool:1"),
        ("echo 'is the daemon running?'; exit 1", "does not answer (is the daemon running?)"),
    ],
)
def test_an_engine_is_asked_before_it_is_relied_on(
    engines: Path, tmp_path: Path, ending: str, words: str | None
) -> None:
    stand_in(engines / "docker", ending)
    found = problem(agent(), tmp_path, f"{engines}:{os.defpath}")
    assert found == words if words is None else words in (found or "")


def test_without_an_engine_nothing_is_run_less_confined(engines: Path, tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="install"):
        confine(wish(engines, agent(), surrounding={"PATH": str(tmp_path)}))
    assert "docker or podman" in (problem(agent(), tmp_path, str(tmp_path)) or "")


def test_an_image_is_named(engines: Path, tmp_path: Path) -> None:
    what = replace(agent(), container=None)
    with pytest.raises(SandboxError, match="image"):
        confine(wish(engines, what))
    assert "image" in (problem(what, tmp_path, str(engines)) or "")
