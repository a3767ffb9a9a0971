"""What an agent is to be confined in, and the words that do it; the same two records for every
sandbox.

Nothing is decided here. Whoever confines promises that the agent meets its places under the very
paths that they have outside, so that what its brief, its argv and its `COVEND_` variables say
stays true.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from covend.core.settings import Agent


@dataclass(frozen=True, slots=True, kw_only=True)
class Confinement:
    """One attempt's wish: what its agent may see and use.

    `workspace`, `exchange` and `home` are there, and belong to whom the agent runs as.
    """

    agent: Agent
    program: str
    """The first word of the agent's argv."""
    name: str
    """Of the attempt, in plain letters: "TASK-N"."""
    workspace: Path
    exchange: Path
    """Holds the brief and the result."""
    home: Path
    """The attempt's own, for a sandbox; without one the agent has its user's."""
    objects: Path | None = None
    """Objects that the workspace's repository borrows; shown for reading."""
    hidden: tuple[Path, ...] = ()
    """Directories that no sandbox shows, also where it shows what they lie in: the state
    directory.
    """
    environment: Mapping[str, str]
    """What is handed to the agent, already allowed name by name."""
    surrounding: Mapping[str, str]
    """The daemon's own: where a container engine's client finds its engine, and nothing more."""
    is_root: bool
    """Whether covend is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Undo:
    """What ends that which no signal reaches: to be run where the agent did not end by itself."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Confined:
    """How to start it: `prefix` stands before the agent's argv, its first word a whole path."""

    prefix: tuple[str, ...]
    environment: Mapping[str, str]
    """Of what is started; inside, it has at most this."""
    is_held: bool = False
    """The prefix stays above the agent and dies of any signal, with it: signals must be sent to the
    group that `bubblewrap.inner_group` finds.
    """
    undo: Undo | None = None
