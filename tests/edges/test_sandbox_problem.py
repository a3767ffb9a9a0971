"""What stands in the way of bubblewrap is said at start, with the mend."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from covend.core.settings import Agent
from covend.edges.agents.sandbox import sandbox_problem
from tests.conftest import ROOT
from tests.edges.confined import IS_ROOT, House, agent


def problem(home: House, what: Agent, path: str = os.defpath, *, is_root: bool = IS_ROOT) -> str:
    found = sandbox_problem(what, state_dir=home.state, surrounding={"PATH": path}, is_root=is_root)
    return found or ""


@pytest.mark.parametrize("network", [True, False])
def test_there_is_none_where_it_can_be_had(home: House, network: bool) -> None:
    assert problem(home, agent(network=network)) == ""


def test_bubblewrap_is_missing(home: House) -> None:
    assert "install bubblewrap" in problem(home, agent(), str(home.home))


def test_root_would_stay_root(home: House) -> None:
    assert "agents.tool.user" in problem(home, agent(user=None), is_root=True)


def test_what_is_to_be_readable_is_not(home: House) -> None:
    assert "cannot be shown" in problem(home, agent(readable=(f"{home.root}/nonesuch",)))


WITHOUT_NAMESPACES = """
import os, sys
from pathlib import Path
from covend.core.settings import Agent, Sandbox
from covend.edges.agents.sandbox import sandbox_problem
Path("/proc/sys/user/max_user_namespaces").write_text("0")
agent = Agent(name="tool", command=("sh",), sandbox=Sandbox.BUBBLEWRAP)
print(sandbox_problem(
    agent, state_dir=Path(sys.argv[1]), surrounding={"PATH": os.defpath}, is_root=False
))
"""


def test_the_kernel_refuses_namespaces(home: House) -> None:
    words = [sys.executable, "-c", WITHOUT_NAMESPACES, str(home.state)]
    found = subprocess.run(
        ["unshare", "--user", "--map-root-user", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "user.max_user_namespaces" in found.stdout
