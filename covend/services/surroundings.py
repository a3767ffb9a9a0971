"""What every attempt of a daemon shares: folders, environment, and what must not be seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from covend.core.settings import Agent

SECRET_LENGTH_MIN = 12
"""A handed variable that is shorter is a setting, such as a language, and not a key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Given by the composition root; `secrets` are the daemon's own."""

    workspaces: Path
    logs: Path
    api_url: str
    environ: Mapping[str, str]
    secrets: tuple[str, ...]

    def secrets_of(self, agent: Agent) -> tuple[str, ...]:
        """List what must not be seen in what this agent says: also the keys it was handed."""
        values = (self.environ.get(name, "") for name in agent.env)
        handed = (value for value in values if len(value) >= SECRET_LENGTH_MIN)
        return (*self.secrets, *handed)
