"""Checks of what agents need: their command, their environment, their sandbox; and of how their
processes are held.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from covend.core.contract.brief import DEFAULT_PATH
from covend.core.errors import AgentNotFoundError
from covend.core.settings import Agent, Sandbox
from covend.doctor.finding import (
    Answer,
    Case,
    Finding,
    failed_as_told,
    good,
    nearest_existing,
    warning,
)
from covend.edges.agents.cgroup import BEGINNING
from covend.edges.agents.program import find_program
from covend.edges.agents.sandbox import sandbox_problem
from covend.edges.agents.tree import Limit, probe

_CONFINE = 'set sandbox = "bubblewrap" (or "container"): docs/sandboxes.md'
_CONFINE_AS_ROOT = (
    'set sandbox = "bubblewrap" and an ordinary `user` (or "container", or `user` alone):'
    " docs/sandboxes.md"
)
_HOW = {
    "cgroup": "held by the kernel (cgroup)",
    "watched": "covend looks every second at each agent that has one, and ends what is over it",
}
"""A limit's word in /readyz, for people."""
DELEGATE = "start covend by systemd with Delegate=yes, or as root"


def check_agents(case: Case) -> Iterator[Finding]:
    for agent in case.settings.agents.values():
        if agent.sandbox is not Sandbox.CONTAINER:  # there, the program is the image's
            yield _check_command(agent, case)
        if (missing := _check_environment(agent, case)) is not None:
            yield missing
        yield _check_sandbox(agent, case)


def _check_command(agent: Agent, case: Case) -> Finding:
    name, program = f"agents.{agent.name}.command", agent.command[0]
    if "/" in program and not program.startswith("/"):
        what = f"{program} is a file of each checkout, which strangers may write"
        return warning(name, what, "name it by its full path, unless that is meant")
    path = case.environ.get("PATH", DEFAULT_PATH)
    try:
        found = find_program(program, {"PATH": path}, Path("/"))
    except AgentNotFoundError as error:
        return failed_as_told(name, str(error), "install it")
    return good(name, found)


def _check_environment(agent: Agent, case: Case) -> Finding | None:
    missing = [variable for variable in agent.env if variable not in case.environ]
    if not missing:
        return None
    return warning(
        f"agents.{agent.name}.env",
        f"{', '.join(missing)}: not set here, so an agent of a covend started here would lack it",
        "set it where covend is started (systemd: EnvironmentFile=), or take it out of `env`",
    )


def _check_sandbox(agent: Agent, case: Case) -> Finding:
    name = f"agents.{agent.name}.sandbox"
    problem = sandbox_problem(
        agent,
        state_dir=nearest_existing(case.settings.state_dir),
        surrounding=case.environ,
        is_root=case.is_root,
    )
    if problem is not None:
        return failed_as_told(name, problem, f"mend agents.{agent.name} in the configuration")
    if agent.sandbox is Sandbox.NONE and agent.user is None:
        what = "none: it can open all that covend's own user can, also keys and the database"
        fix = _CONFINE_AS_ROOT if case.is_root else _CONFINE
        return warning(name, what, fix)
    as_whom = f", as the user {agent.user}" if agent.user else ""
    return good(name, f"{agent.sandbox}{as_whom}")


# --- processes ------------------------------------------------------------------------------------


def check_processes(case: Case) -> Iterator[Finding]:
    """Say how process trees are held: by a daemon that runs, as it says itself; else as one that is
    started from here would.
    """
    told = case.ask("/readyz")
    if isinstance(told, str) or "trees" not in told:
        yield from _about(_probed(), "a covend started as this was would hold", case)
    else:
        yield from _about(told, "the covend that runs holds", case)


def _probed() -> Answer:
    """Try it, under a name that no daemon has."""
    owner = f"doctor-{os.getpid()}"
    with closing(probe(owner)) as containment:
        described = containment.describe()
    return {**described, "trees": described["trees"].removesuffix(f"/{BEGINNING}{owner}")}


def _about(described: Answer, who: str, case: Case) -> Iterator[Finding]:
    what = f"{who} agents' processes by {described['trees']}"
    if str(described["trees"]).startswith("cgroup"):
        yield good("processes", what)
    else:
        yield warning("processes", what, f"{DELEGATE}: the kernel then holds them together")
    for limit in Limit:
        if limit in described:
            yield _about_limit(limit, str(described[limit]), case)


def _about_limit(limit: Limit, how: str, case: Case) -> Finding:
    name = f"limits.{limit}"
    users = [agent.name for agent in case.settings.agents.values() if _has(agent, limit)]
    if not how.startswith("not enforced") or not users:
        return good(name, _HOW.get(how, f"{how}; no agent asks for it"))
    what = f"{how}; yet it is set for {', '.join(users)}"
    return warning(name, what, f"{DELEGATE}, on a machine where cgroup v2 has the controllers")


def _has(agent: Agent, limit: Limit) -> bool:
    limits = agent.limits
    values = {Limit.MEMORY: limits.memory_bytes, Limit.PIDS: limits.pids, Limit.CPUS: limits.cpus}
    return values[limit] is not None
