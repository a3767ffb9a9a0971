"""Closes the daemon up before it runs anything: its secrets are read by now, and nobody else shall
have them from it, neither by inheritance nor by looking into the process.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from covend.config.load import Inspection, load
from covend.core.contract.brief import is_reserved
from covend.core.settings import Settings
from covend.edges.unreadable import become_unreadable
from covend.services.known_secrets import Secrets
from covend.services.surroundings import handed_secrets

_TAKEN_LATER = frozenset({"NOTIFY_SOCKET"})
"""Whoever speaks to the service manager takes it out of the environment."""


def close_up(settings: Settings, inspection: Inspection, environ: Mapping[str, str]) -> Secrets:
    """Take what is secret, or meant for the daemon alone, out of the process's environment, and
    close the process to others of its user. What was taken out is known to the `Secrets`.
    """
    secrets = Secrets(settings.secret_texts())
    names = set(environ) - set(without_own(inspection, environ)) - _TAKEN_LATER
    for agent in settings.agents.values():
        handed = handed_secrets(agent, environ)
        secrets.keep(handed.values())
        names.update(handed)
    for name in names:
        os.environ.pop(name, None)
    become_unreadable()
    return secrets


def without_own(inspection: Inspection, environ: Mapping[str, str]) -> dict[str, str]:
    """Give the variables of which agents may be handed some."""
    own = inspection.secret_variables
    return {name: environ[name] for name in environ if name not in own and not is_reserved(name)}


def read_again(path: Path, environ: Mapping[str, str], secrets: Secrets) -> Settings:
    """Read the configuration by the environment of the start; what was secret before stays so.

    Raises ConfigErrors, and then nothing has changed.
    """
    settings = load(path, environ)
    secrets.keep(settings.secret_texts())
    return settings
