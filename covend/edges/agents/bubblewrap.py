"""Confines an agent with bubblewrap: a machine of its own in which only the system, the program
and the attempt's places exist; refuses to do it for root.

Source: bwrap(1), https://github.com/containers/bubblewrap

Inside, uid 0 of the machine would stay just that to the kernel: without any capability it can still
write /proc/sys, and have the kernel start a program outside (seen so with `core_pattern`). So root
gives the agent to an ordinary user first, and the namespaces belong to that user.

bwrap lives as three processes: itself outside; within, as process 1, a reaper; the agent. The one
outside dies of a signal to it and takes all of them along by SIGKILL. The reaper is a group leader
that no signal but SIGKILL ends, since it is its namespace's process 1 (pid_namespaces(7)), and the
agent begins in its group: that is where a polite signal goes. They all die with the *thread* that
started them (PR_SET_PDEATHSIG, prctl(2)): it must live as long as the daemon.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from pathlib import Path

from covend.core.errors import AgentNotFoundError, SandboxError
from covend.core.settings import Agent
from covend.edges.agents.briefly import ask
from covend.edges.agents.confinement import Confined, Confinement
from covend.edges.agents.program import find_program
from covend.edges.agents.seen import SYSTEM, places_of

ASK_S = 10.0

_SEPARATE = (
    *("--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup"),
    *("--die-with-parent", "--new-session", "--cap-drop", "ALL"),
)
ETC = (
    # users and their names
    *("passwd", "group", "nsswitch.conf"),
    # where names of hosts and ports lead; resolv.conf may be a link into /run, and is followed
    *("resolv.conf", "hosts", "host.conf", "gai.conf", "services", "protocols"),
    # whom TLS trusts; never ssl/private
    *("ssl/certs", "ssl/openssl.cnf", "ssl/cert.pem", "ca-certificates", "ca-certificates.conf"),
    *("pki/tls/certs", "pki/tls/cert.pem", "pki/tls/openssl.cnf", "pki/ca-trust"),
    *("crypto-policies",),
    # how programs are found and linked, and what time it is
    *("alternatives", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "timezone"),
    *("mime.types", "os-release"),
)
"""All of /etc that is shown."""

_OWN = (
    *("--proc", "/proc", "--dev", "/dev", "--tmpfs", "/dev/shm", "--remount-ro", "/dev"),  # noqa: S108
    *("--tmpfs", "/tmp", "--tmpfs", "/var/tmp"),  # noqa: S108  inside
)

ROOT = (
    "covend runs as root, and root inside bubblewrap can still change the settings of the whole"
    " machine's kernel: name an ordinary user in agents.{agent}.user, or run covend as one"
)
MISSING = "bwrap is missing: install bubblewrap (Debian, Ubuntu, Fedora: package bubblewrap)"
REFUSED = (
    "bubblewrap cannot make its namespaces here ({said}): allow unprivileged user namespaces."
    " sysctl: user.max_user_namespaces above 0, kernel.unprivileged_userns_clone=1 (Debian),"
    " kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu, or a profile for bwrap)."
    " systemd: RestrictNamespaces=no, ProtectKernelTunables=no and SystemCallFilter=@mount in the"
    " unit. In a container: one that may nest them"
)


def confine(confinement: Confinement, become: tuple[str, ...]) -> Confined:
    """Give the words; `become` are those that make what follows an ordinary user, if any.

    Raises `SandboxError`, and `AgentNotFoundError` where the agent's program is not there.
    """
    environment = {**confinement.environment, "HOME": str(confinement.home)}
    program = Path(find_program(confinement.program, environment, confinement.workspace))
    # What a checkout holds is there anyway. Where its links and first lines lead, strangers say.
    is_strangers = program.is_relative_to(confinement.workspace)
    places = [] if is_strangers else places_of(str(program), environment.get("PATH", ""))
    shown = [*places, *_readable(confinement.agent)]
    writable = (confinement.home, confinement.exchange, confinement.workspace)
    borrowed = () if confinement.objects is None else (confinement.objects,)
    rest = (*_binds("--ro-bind", borrowed), *_binds("--bind", writable))
    words = (
        *_frame(confinement.agent, confinement.surrounding, become, is_root=confinement.is_root),
        *_shown(shown, confinement.hidden, rest),
        *("--remount-ro", "/", "--chdir", str(confinement.workspace), "--"),
    )
    return Confined(prefix=words, environment=environment, is_held=True)


def problem(
    agent: Agent, surrounding: Mapping[str, str], become: tuple[str, ...], *, is_root: bool
) -> str | None:
    """Try it, with all that this agent is to see; give the mend where it cannot be had."""
    try:
        frame = _frame(agent, surrounding, become, is_root=is_root)
        shown = _shown([*_program(agent, surrounding), *_readable(agent)], (), ())
    except SandboxError as error:
        return str(error)
    said = ask((*frame, *shown, "--", "true"), {"PATH": os.defpath}, ASK_S)
    if said.is_good:
        return None
    if "Can't find source path" in said.text:
        return f"what the agent is to see cannot be shown to it ({said.text}): let its user read it"
    return REFUSED.format(said=said.text)


def inner_group(pid: int) -> int | None:
    """Give the process group within the sandbox whose bwrap has this pid; None while there is none
    yet, when nothing of the agent has run.
    """
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii")
        groups = [child for child in map(int, text.split()) if os.getpgid(child) == child]
    except (FileNotFoundError, ProcessLookupError):
        return None
    return groups[0] if groups else None


def _frame(
    agent: Agent, surrounding: Mapping[str, str], become: tuple[str, ...], *, is_root: bool
) -> tuple[str, ...]:
    """Give the words that every sandbox of this agent begins with."""
    if is_root and not become:
        raise SandboxError(ROOT.format(agent=agent.name))
    bwrap = shutil.which("bwrap", path=surrounding.get("PATH", os.defpath))
    if bwrap is None:
        raise SandboxError(MISSING)
    network = () if agent.network else ("--unshare-net",)
    return (*become, bwrap, *_SEPARATE, *network, *_system(), *_OWN)


def _system() -> Iterator[str]:
    yield from _binds("--ro-bind", _own_directories())
    for link in (Path(name) for name in SYSTEM if Path(name).is_symlink()):
        # On most systems /bin is a link to usr/bin; inside it is the same link.
        yield from ("--symlink", str(link.readlink()), str(link))
    for name in ETC:
        yield from ("--ro-bind-try", f"/etc/{name}", f"/etc/{name}")


def _own_directories() -> Iterator[Path]:
    """Give the system's directories that are no links to each other."""
    for path in map(Path, SYSTEM):
        if path.is_dir() and not path.is_symlink():
            yield path


def _shown(
    places: Iterable[Path], hidden: tuple[Path, ...], rest: tuple[str, ...]
) -> Iterator[str]:
    """Show what is asked for, and then the `rest`; what is hidden stays so, even within a place.

    A place within something hidden is shown: a tool in the home of covend's user, which may be its
    state directory.
    """
    within, beside = _parted(places, hidden)
    yield from _binds("--ro-bind", beside)
    masks = [*_masks((*_own_directories(), *beside), hidden)]
    for mask in masks:
        yield from ("--tmpfs", str(mask))
    yield from _binds("--ro-bind", within)
    yield from rest
    for mask in masks:
        yield from ("--remount-ro", str(mask))


def _parted(places: Iterable[Path], hidden: tuple[Path, ...]) -> tuple[list[Path], list[Path]]:
    within: list[Path] = []
    beside: list[Path] = []
    for place in places:
        is_within = any(one.resolve() in place.resolve().parents for one in hidden)
        (within if is_within else beside).append(place)
    return within, beside


def _masks(shown: tuple[Path, ...], hidden: tuple[Path, ...]) -> Iterator[Path]:
    """Find under which names something hidden would be seen."""
    for place, one in product(shown, hidden):
        real, seen = one.resolve(), place.resolve()
        if real.is_relative_to(seen):
            yield place / real.relative_to(seen)


def _binds(option: str, places: Iterable[Path]) -> Iterator[str]:
    for place in places:
        yield from (option, str(place), str(place))


def _readable(agent: Agent) -> list[Path]:
    return [Path(path) for path in agent.readable]


def _program(agent: Agent, surrounding: Mapping[str, str]) -> list[Path]:
    if not agent.command[0].startswith("/") and "/" in agent.command[0]:
        return []  # in a checkout, which is not there yet
    try:
        program = find_program(agent.command[0], surrounding, Path("/"))
    except AgentNotFoundError:  # which is said elsewhere, and is no fault of the sandbox
        return []
    return places_of(program, surrounding.get("PATH", ""))
