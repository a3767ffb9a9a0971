"""What is to be run for one attempt, and how long: values only, nothing is looked up here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from covend.core.redact import Known


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What to run, and how long. Its environment is all that the agent gets."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    cwd: Path
    stdin: bytes | None
    """The prompt; None closes standard input."""
    timeout_s: float
    """From the moment at which the agent may run."""
    idle_timeout_s: float = 0.0
    """Without getting on; 0 switches it off."""
    idle_by_output: bool = True
    """Any byte counts as getting on; else only a line for which `OnLine` says so."""
    stop_signal: str = "SIGTERM"
    grace_s: float = 10.0
    """From the first signal to SIGKILL."""
    secrets: Known | tuple[str, ...] = ()
    """Taken out of every line."""
    prefix: tuple[str, ...] = ()
    """Words before `argv`: what gives up capabilities, or a sandbox; the first is a whole path."""
    is_elsewhere: bool = False
    """The agent's program is not on this file system but in a sandbox's image."""
    is_held: bool = False
    """As `Confined.is_held`."""
