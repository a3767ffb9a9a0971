"""What every attempt of a daemon shares: folders, environment, and what must not be seen."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from covend.core.redact import Known
from covend.core.settings import Agent, Sandbox
from covend.services.known_secrets import Secrets

SECRET_LENGTH_MIN = 12
"""A handed variable that is shorter is a setting, such as a language, and not a key."""
_SECRET_NAMES = ("KEY", "TOKEN", "SECRET", "PASS", "CRED", "AUTH")
_PLAIN_VALUES = ("/", "http://", "https://")


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Given by the composition root; `secrets` is the daemon's one list."""

    state_dir: Path
    api_url: str
    environ: Mapping[str, str]
    secrets: Secrets

    @property
    def logs(self) -> Path:
        """Where attempts have their logs."""
        return self.state_dir / "logs"

    def secrets_of(self, agent: Agent) -> Known:
        """Give what must not be seen in what this agent says: also the keys it was handed."""
        self.secrets.keep(handed_secrets(agent, self.environ).values())
        return self.secrets.known


def handed_secrets(agent: Agent, environ: Mapping[str, str]) -> Mapping[str, str]:
    """Give what of `agents.NAME.env` is a key, and not a folder, an address or a model's name."""
    values = {name: environ.get(name, "") for name in agent.env}
    return {name: value for name, value in values.items() if _is_secret(name, value)}


def complaint_about_home(agents: Iterable[Agent], environ: Mapping[str, str]) -> str | None:
    """Say why agents that run in covend's own home will forget their sessions; None where not."""
    if not any(agent.sandbox is Sandbox.NONE and agent.user is None for agent in agents):
        return None
    home = environ.get("HOME")
    if not home:
        return "HOME is not set: agents have no place to keep sessions in; set it"
    if not os.access(home, os.W_OK | os.X_OK):
        return f"HOME={home} cannot be written: agents lose their sessions; set another"
    return None


def _is_secret(name: str, value: str) -> bool:
    if len(value) < SECRET_LENGTH_MIN:
        return False
    if any(word in name.upper() for word in _SECRET_NAMES):
        return True
    is_plain = value.startswith(_PLAIN_VALUES) and "@" not in value
    return not is_plain and not name.upper().endswith("MODEL")
