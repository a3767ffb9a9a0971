"""Who this covend is: its account on GitHub, and the secrets that it made for itself.

It refuses to start without ever having known its account: nobody could tell its own events from
others' then.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

import anyio

from covend.core.errors import GitHubError, OutsideError
from covend.core.settings import Settings
from covend.edges.github.client import GitHubClient
from covend.telemetry.logs import Log

IDENTITY_WAIT_S = 20.0
MEMORY = "identity.json"
log = Log("identity")


async def learn_own_login(settings: Settings, github: GitHubClient) -> str:
    """Ask GitHub who covend is, since its own events must never start work; else as last time.

    Only a first start needs the answer: without it nobody could tell covend's events from others'.
    """
    memory, who = settings.state_dir / MEMORY, _who(settings)
    try:
        with anyio.fail_after(IDENTITY_WAIT_S):
            login = await github.auth.own_login()
    except (GitHubError, TimeoutError) as error:
        remembered = _remembered_login(memory, who)
        if remembered is None:
            message = (
                f"GitHub ({who['api_url']}) does not say which account covend is,"
                f" and this is its first start: {error}"
            )
            raise OutsideError(message) from error
        log.warning("GitHub does not answer; this is who covend was", login=remembered)
        return remembered
    _keep(memory, json.dumps(who | {"login": login}))
    return login


def remembered_login(settings: Settings) -> str | None:
    """Give the account that covend was when it last knew; None where it never did. Asks nobody."""
    return _remembered_login(settings.state_dir / MEMORY, _who(settings))


def _who(settings: Settings) -> dict[str, object]:
    return {"api_url": settings.github.api_url, "app_id": settings.github.app_id}


def _remembered_login(memory: Path, who: Mapping[str, object]) -> str | None:
    try:
        kept = json.loads(memory.read_text(encoding="utf-8"))
        return str(kept["login"]) if {key: kept[key] for key in who} == who else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def kept_secret(path: Path) -> str:
    """Read a secret of this installation, made at the first start (0600).

    An empty file is none: that is what a crash of the machine leaves of one not yet on disk.
    """
    try:
        kept = path.read_text(encoding="ascii").strip("\0 \r\n\t")
    except FileNotFoundError:
        kept = ""
    if kept:
        return kept
    made = secrets.token_urlsafe(32)
    _keep(path, made + "\n")
    return made


def _keep(path: Path, text: str) -> None:
    """Write a file whole or not at all, whatever fails meanwhile; it is on disk afterwards."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
