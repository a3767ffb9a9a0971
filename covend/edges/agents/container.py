"""Confines an agent in a container, by the argv of docker or podman alone; refuses to write a
value into it, to pull an image, and to guess how a strange path is quoted.

Sources: https://docs.docker.com/reference/cli/docker/container/run/ and
https://docs.podman.io/en/latest/markdown/podman-run.1.html

The engine starts the container, not the client that is started here: where the client is killed
the container goes on, until it is removed by its name (`undo`). A polite signal to the client is
passed on to the agent.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from covend.core.errors import SandboxError
from covend.core.settings import Agent, AgentLimits, Engine
from covend.edges.agents.briefly import ask
from covend.edges.agents.confinement import Confined, Confinement, Undo
from covend.edges.agents.user import Account

ASK_S = 20.0
REMOVE_S = 60.0

CLIENT = (
    *("PATH", "HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "TMPDIR"),
    *("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY"),
    *("CONTAINER_HOST", "CONTAINERS_CONF", "CONTAINERS_STORAGE_CONF", "DBUS_SESSION_BUS_ADDRESS"),
)
"""What the engine's client finds its engine by."""
_THE_IMAGES_OWN = frozenset({"PATH", "HOME"})
_GONE = ("no such container", "already in progress")
"""What an engine says of a container that is away, or that `--rm` just takes away."""
_ODD = frozenset(',"\n')
_CONFINED = (
    *("--rm", "--init", "--interactive", "--pull=never", "--entrypoint=", "--log-driver=none"),
    *("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges"),
    "--tmpfs=/tmp:rw,exec,nosuid,nodev,mode=1777",
)


def confine(confinement: Confinement, account: Account | None) -> Confined:
    """Give the words; raises `SandboxError`."""
    engine, path = _engine(confinement.agent, confinement.surrounding)
    passed = {
        name: value
        for name, value in confinement.environment.items()
        if name not in _THE_IMAGES_OWN
    }
    client = _client(confinement.surrounding)
    prefix = (
        *(path, "run", f"--name={_name(confinement.name)}", *_CONFINED),
        *_identity(engine, account, is_root=confinement.is_root),
        f"--network={'bridge' if confinement.agent.network else 'none'}",
        *_limits(confinement.agent.limits),
        *_mounts(confinement),
        f"--workdir={confinement.workspace}",
        # A place, no secret; the client needs its own HOME to find its engine.
        f"--env=HOME={confinement.home}",
        *(f"--env={name}" for name in sorted(passed)),
        _image(confinement.agent),
    )
    environment = {**passed, **client}
    undo = Undo(argv=_remove(path, confinement.name), environment=client)
    return Confined(prefix=prefix, environment=environment, undo=undo)


def left_by(agent: Agent, name: str, surrounding: Mapping[str, str]) -> Undo:
    """Give what removes the container of a former daemon's attempt; raises `SandboxError`."""
    _, path = _engine(agent, surrounding)
    return Undo(argv=_remove(path, name), environment=_client(surrounding))


def remove(undo: Undo) -> None:
    """End and remove a container; one that is not there is no error. Blocks, `REMOVE_S` at most;
    raises `SandboxError` where the engine does not do it.
    """
    said = ask(undo.argv, undo.environment, REMOVE_S)
    is_gone = any(words in said.text.lower() for words in _GONE)
    if not said.is_good and not is_gone:
        raise SandboxError(f"the container cannot be removed ({said.text}): {' '.join(undo.argv)}")


def problem(agent: Agent, surrounding: Mapping[str, str]) -> str | None:
    """Give the mend where no engine answers or the image is not there; blocks."""
    try:
        engine, path = _engine(agent, surrounding)
        image = _image(agent)
    except SandboxError as error:
        return str(error)
    client = _client(surrounding)
    if ask((path, "image", "inspect", "--format={{.Id}}", image), client, ASK_S).is_good:
        return None
    said = ask((path, "ps", "--quiet"), client, ASK_S)
    if not said.is_good:
        return f"{engine} does not answer ({said.text}): start it, and let covend's user use it"
    return f"the image {image} is not there, and covend pulls none: {engine} pull {image}"


def _engine(agent: Agent, surrounding: Mapping[str, str]) -> tuple[Engine, str]:
    wanted = agent.container.engine if agent.container else None
    for engine in [wanted] if wanted else Engine:
        path = shutil.which(engine, path=surrounding.get("PATH", os.defpath))
        if path is not None:
            return engine, path
    names = wanted or " or ".join(Engine)
    raise SandboxError(f"{names} is not on covend's PATH: install it")


def _image(agent: Agent) -> str:
    if agent.container is None:
        raise SandboxError(f'agents.{agent.name}.container is missing: {{ image = "…" }}')
    return agent.container.image


def _client(surrounding: Mapping[str, str]) -> dict[str, str]:
    return {name: surrounding[name] for name in CLIENT if name in surrounding}


def _name(name: str) -> str:
    return f"covend-{name}"


def _remove(path: str, name: str) -> tuple[str, ...]:
    return (path, "rm", "--force", "--volumes", _name(name))


def _identity(engine: Engine, account: Account | None, *, is_root: bool) -> Iterator[str]:
    uid, gid = (account.uid, account.gid) if account else (os.getuid(), os.getgid())
    yield f"--user={uid}:{gid}"
    if engine is Engine.PODMAN and not is_root:
        yield "--userns=keep-id"  # or the workspace would belong to nobody inside


def _limits(limits: AgentLimits) -> Iterator[str]:
    if limits.memory_bytes is not None:
        # Both alike: no swap beside it.
        yield f"--memory={limits.memory_bytes}"
        yield f"--memory-swap={limits.memory_bytes}"
    if limits.pids is not None:
        yield f"--pids-limit={limits.pids}"
    if limits.cpus is not None:
        yield f"--cpus={limits.cpus:g}"


def _mounts(confinement: Confinement) -> Iterator[str]:
    borrowed = () if confinement.objects is None else (confinement.objects,)
    for place in (*(Path(path) for path in confinement.agent.readable), *borrowed):
        yield f"{_mount(place)},readonly"
    for place in (confinement.home, confinement.exchange, confinement.workspace):
        yield _mount(place)


def _mount(place: Path) -> str:
    if _ODD & set(str(place)):
        raise SandboxError(
            f"{str(place)!r} cannot be shown to a container: choose a state_dir and readable paths"
            " without comma, quote and line break"
        )
    return f"--mount=type=bind,source={place},target={place}"
