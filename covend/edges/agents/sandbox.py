"""Confines agents as they are configured: to nothing, bubblewrap, a container, another user.
Refuses to run an agent less confined than that: what cannot be had is an error with its mend.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import assert_never

from covend.core.errors import SandboxError
from covend.core.settings import Agent, Sandbox
from covend.edges.agents import bubblewrap, container, user
from covend.edges.agents.confinement import Confined, Confinement, Undo
from covend.edges.agents.container import left_by, remove
from covend.edges.agents.user import Account, let_through

__all__ = [
    "Confined",
    "Confinement",
    "Undo",
    "account_of",
    "confine",
    "left_by",
    "let_through",
    "remove",
    "sandbox_problem",
]


def confine(confinement: Confinement) -> Confined:
    """Give the words that start an attempt's agent confined; raises `AgentError`. Blocks, briefly.

    The agent meets every place under the path that it has outside.
    """
    account = account_of(confinement.agent)
    match confinement.agent.sandbox:
        case Sandbox.NONE:
            return _as_user(confinement, account)
        case Sandbox.BUBBLEWRAP:
            return bubblewrap.confine(confinement, _become(account, is_root=confinement.is_root))
        case Sandbox.CONTAINER:
            return container.confine(confinement, account)
        case sandbox:
            assert_never(sandbox)


def account_of(agent: Agent) -> Account | None:
    """Give the user that an agent runs as and its places must belong to; None for covend's own."""
    return None if agent.user is None else user.account_of(agent.user)


def sandbox_problem(
    agent: Agent, *, state_dir: Path, surrounding: Mapping[str, str], is_root: bool
) -> str | None:
    """Try whether an agent can be confined as it is configured; None, or what is wrong and the
    mend. Blocks, for half a minute at most.

    `state_dir` must be there; `surrounding` is the daemon's environment.
    """
    try:
        account = account_of(agent)
        become = () if agent.sandbox is Sandbox.CONTAINER else _become(account, is_root=is_root)
        closed = (
            user.closed_way(account, state_dir, is_root=is_root) if account and become else None
        )
    except SandboxError as error:
        return str(error)
    if account and closed:
        return f"the user {account.name} cannot pass {closed}: chmod o+x {closed}"
    match agent.sandbox:
        case Sandbox.NONE:
            return None
        case Sandbox.BUBBLEWRAP:
            return bubblewrap.problem(agent, surrounding, become, is_root=is_root)
        case Sandbox.CONTAINER:
            return container.problem(agent, surrounding)
        case sandbox:
            assert_never(sandbox)


def _as_user(confinement: Confinement, account: Account | None) -> Confined:
    if account is None:
        return Confined(prefix=(), environment=confinement.environment)
    return Confined(
        prefix=user.become(account, is_root=confinement.is_root),
        environment=user.environment_of(account, confinement.environment),
    )


def _become(account: Account | None, *, is_root: bool) -> tuple[str, ...]:
    return () if account is None else user.become(account, is_root=is_root)
