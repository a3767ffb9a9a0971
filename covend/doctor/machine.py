"""Checks of the machine: what covend runs on, git, the home directory, whom TLS trusts."""

from __future__ import annotations

import os
import re
import sqlite3
import ssl
import sys
from pathlib import Path

from covend.core.settings import Sandbox
from covend.doctor.finding import Case, Finding, failed, good, warning
from covend.edges.agents.briefly import ask
from covend.services.surroundings import complaint_about_home
from covend.store.sqlite.connection import OLDEST, too_old

PYTHON_MIN = (3, 11)
PYTHON_BELOW = (3, 14)
GIT_MIN = (2, 33)
"""`GIT_CONFIG_COUNT`, by which a token reaches git, is of 2.31; `repack --geometric` of 2.33."""
ASK_S = 10.0
_RESET_BUG_FROM = (3, 7, 0)
_RESET_BUG_MENDED = (3, 51, 3)
_RESET_BUG_BACKPORTS = ((3, 50, 7), (3, 44, 6))
_GIT_VERSION = re.compile(r"git version (\d+)\.(\d+)")


def check_python(_case: Case) -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    if PYTHON_MIN <= sys.version_info[:2] < PYTHON_BELOW:
        return good("python", f"{version} ({sys.executable})")
    return failed("python", f"{version} is not supported", "run covend with Python 3.11 to 3.13")


def check_sqlite(_case: Case) -> Finding:
    version = sqlite3.sqlite_version
    if sqlite3.sqlite_version_info < OLDEST:
        fix = (
            "remove .venv, and name a Python that has a newer one: PYTHON=python3.13 ./run version"
        )
        return failed("sqlite", too_old(), fix)
    if not has_reset_bug(sqlite3.sqlite_version_info):
        return good("sqlite", version)
    return warning(
        "sqlite",
        f"{version} can lose commits when two connections write or checkpoint at once (its"
        " WAL-reset bug); covend writes and checkpoints by one connection, and so never meets it",
        "let no other program write to the database, or give Python SQLite 3.51.3",
    )


def has_reset_bug(version: tuple[int, ...]) -> bool:
    """Say whether a version of SQLite has the bug that 3.51.3 mended.

    Source: https://sqlite.org/wal.html, "The WAL-Reset Bug".
    """
    if not _RESET_BUG_FROM <= version < _RESET_BUG_MENDED:
        return False
    return not any(version[:2] == each[:2] and version >= each for each in _RESET_BUG_BACKPORTS)


def check_git(case: Case) -> Finding:
    said = ask(("git", "--version"), {"PATH": case.environ.get("PATH", os.defpath)}, ASK_S)
    found = _GIT_VERSION.match(said.text)
    if not said.is_good or found is None:
        return failed("git", f"git does not run: {said.text}", "install git")
    wanted = ".".join(map(str, GIT_MIN))
    if (int(found[1]), int(found[2])) < GIT_MIN:
        return failed("git", f"{said.text} is too old", f"install git {wanted} or newer")
    return good("git", said.text)


def check_home(case: Case) -> Finding | None:
    """Look where agents in covend's own home would keep their sessions."""
    agents = case.settings.agents.values()
    complaint = complaint_about_home(agents, case.environ)
    if complaint is not None:
        what, _, mend = complaint.rpartition("; ")
        return failed("home", what, mend)
    if not any(agent.sandbox is Sandbox.NONE and agent.user is None for agent in agents):
        return None
    return good("home", f"{case.environ['HOME']} can be written")


def check_ca_store(case: Case) -> Finding:
    """Look whether Python finds certificates to trust, as it will for GitHub's API."""
    paths = ssl.get_default_verify_paths()
    count = ssl.create_default_context().cert_store_stats()["x509_ca"]
    if count:
        return good("ca_store", f"{count} authorities are trusted ({paths.cafile or paths.capath})")
    if paths.capath and _is_filled(Path(paths.capath)):
        return good("ca_store", f"authorities are looked up in {paths.capath}")
    named = os.environ.get(paths.openssl_cafile_env) or paths.openssl_cafile
    what = f"no certificate authorities can be read from {named}"
    fix = "install ca-certificates, or let SSL_CERT_FILE name a bundle that covend may read"
    is_needed = case.settings.github.api_url.startswith("https:")
    return (failed if is_needed else warning)("ca_store", what, fix)


def _is_filled(directory: Path) -> bool:
    return os.access(directory, os.R_OK | os.X_OK) and any(directory.iterdir())
