"""A confined agent behind its gate and in its tree, as an attempt runs it."""

from __future__ import annotations

import os

import anyio
import pytest

from covend.core.settings import Agent, Sandbox
from covend.edges.agents.sandbox import confine
from covend.edges.agents.spec import Spec
from covend.edges.agents.tree import Containment
from tests.edges.agent_process import CONTAINMENTS, SOON, Heard, cancelled, ran, spec
from tests.edges.confined import IS_ROOT, USER, House, agent

KINDS = {
    "bubblewrap": agent(),
    "none": agent(sandbox=Sandbox.NONE, user=None),
} | ({"user": agent(sandbox=Sandbox.NONE, user=USER)} if IS_ROOT else {})
"""Every way to confine that this process may use."""


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Agent:
    return KINDS[request.param]


@pytest.fixture(params=CONTAINMENTS)
def containment(request: pytest.FixtureRequest) -> Containment:
    return CONTAINMENTS[request.param]


def what(home: House, kind: Agent, script: str, stdin: bytes | None = None) -> Spec:
    bare = spec(home.workspace, "sh", "-c", script, stdin=stdin)
    environment = {**bare.environment, "PATH": os.defpath}
    confined = confine(home.wish(kind, environment=environment))
    return spec(
        home.workspace,
        *bare.argv,
        stdin=stdin,
        prefix=confined.prefix,
        environment=confined.environment,
        is_held=confined.is_held,
    )


async def test_it_reads_its_prompt_and_writes_its_result(
    home: House, kind: Agent, containment: Containment
) -> None:
    script = "cat; echo; id -u; echo done >../exchange/result.json; exit 75"
    exit_, heard = await ran(what(home, kind, script, b"prompt"), containment=containment)
    assert exit_.code == 75
    owner = (home.exchange / "result.json").stat().st_uid
    assert heard.of() == ["prompt", str(owner)]
    assert (owner == os.getuid()) is (kind.user is None)


async def test_a_stopped_one_is_heard_to_its_last_word_and_leaves_nothing(
    home: House, kind: Agent, containment: Containment
) -> None:
    script = (
        'trap "echo bye; exit 9" TERM; setsid setsid sleep 1000 & echo up;'
        " while :; do sleep 1000 & wait $!; done"
    )

    async def up(heard: Heard) -> None:
        with anyio.fail_after(SOON):
            await heard.wait_for("up")

    it = await cancelled(what(home, kind, script), up, containment)
    assert (it.heard.of(), it.exit.code) == (["up", "bye"], 9)
    assert it.exit.unended == ()
