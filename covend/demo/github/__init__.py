"""A stand-in of GitHub on loopback: its REST API, its git, its refusals and its bad days."""

from covend.demo.github.auth import Credential, Kind
from covend.demo.github.faults import FOREVER, Fault, Faults, Planned
from covend.demo.github.keys import AppKey, demo_key, new_key
from covend.demo.github.server import StandInGitHub
from covend.demo.github.state import Hosted, LoggedDelivery, Request, State, Violation

__all__ = [
    "FOREVER",
    "AppKey",
    "Credential",
    "Fault",
    "Faults",
    "Hosted",
    "Kind",
    "LoggedDelivery",
    "Planned",
    "Request",
    "StandInGitHub",
    "State",
    "Violation",
    "demo_key",
    "new_key",
]
