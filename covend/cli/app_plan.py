"""What `covend app create` is going to make, read from the configuration before GitHub is asked for
anything; refuses what could not be kept afterwards.
"""

from __future__ import annotations

import os
import platform
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic_core import PydanticCustomError

from covend.cli.exits import CONFIG, NOT_FOUND, USAGE, Failure
from covend.cli.render import safe
from covend.config import credentials, prompts
from covend.config.assemble import assemble
from covend.config.find import find_config
from covend.config.load import Inspection, inspect
from covend.config.problems import ConfigErrors
from covend.config.tables import table, tables_in
from covend.config.values import read_guarded_url
from covend.core.app_needs import AppNeeds, app_needs
from covend.core.secret import Secret
from covend.core.settings import Settings

KEY_FILE = "app.pem"
SECRET_FILE = "webhook.secret"  # noqa: S105 - a name


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """An App that is to be made, and where its secrets go."""

    config: Path
    settings: Settings
    needs: AppNeeds
    name: str
    public_url: str
    key_file: Path
    secret: Secret | None
    """The webhook's secret that is at hand already: GitHub is told to use it."""
    secret_file: Path
    """Where GitHub's goes otherwise."""
    lines: tuple[str, ...]
    """What has to stand in the configuration and does not."""


def make_plan(config: Path | None, *, url: str | None, name: str | None) -> Plan:
    """Read it all; raises Failure, also where a file is in the way."""
    inspection, tables = _read(config)
    settings = _settings(inspection, tables)
    directory = inspection.path.absolute().parent
    github = table(tables.get("github"))
    key_file, key_line = _key_file(github, directory)
    if os.path.lexists(key_file):
        message = f"{key_file} is there already, and is never overwritten: move it away first"
        raise Failure(NOT_FOUND, message)
    secret, secret_file, secret_line = _secret(github, directory)
    public_url = _public_url(url, settings)
    return Plan(
        config=inspection.path,
        settings=settings,
        needs=app_needs(settings),
        name=name or f"covend {platform.node()}",
        public_url=public_url,
        key_file=key_file,
        secret=secret,
        secret_file=secret_file,
        lines=(*key_line, *secret_line),
    )


def _read(config: Path | None) -> tuple[Inspection, Mapping[str, Any]]:
    """The key and perhaps the webhook's secret are not there yet: no secret is read."""
    try:
        inspection = inspect(find_config(config, os.environ), os.environ, read_secrets=False)
    except ConfigErrors as errors:
        raise Failure(CONFIG, f"{errors}  (covend init makes one)") from errors
    try:
        return inspection, tomllib.loads(inspection.path.read_text("utf-8-sig"))
    except (OSError, ValueError):
        raise Failure(CONFIG, _told(inspection)) from None


def _settings(inspection: Inspection, tables: Mapping[str, Any]) -> Settings:
    """Give the settings, also where all that is wrong is that there is no App yet."""
    if inspection.settings is not None:
        return inspection.settings
    others = [each for each in inspection.errors if not each.key.startswith("github")]
    if others or inspection.config is None:
        raise Failure(CONFIG, _told(inspection))
    directory = inspection.path.absolute().parent
    templates, _ = prompts.read_all(tables, directory)
    return assemble(inspection.config, templates, {}, directory)


def _told(inspection: Inspection) -> str:
    return "\n".join(str(problem) for problem in inspection.errors)


def _key_file(github: Mapping[str, Any], directory: Path) -> tuple[Path, tuple[str, ...]]:
    named = table(github.get("private_key")).get("file")
    if isinstance(named, str) and named:
        return directory / named, ()
    line = f'[github] private_key = {{ file = "{KEY_FILE}" }}'
    return directory / KEY_FILE, (line,)


def _secret(
    github: Mapping[str, Any], directory: Path
) -> tuple[Secret | None, Path, tuple[str, ...]]:
    """Find the secret that signs, by the first entry of `webhook_secrets`; else where to put it."""
    first = [source for _, source in tables_in(github.get("webhook_secrets"))][:1]
    tables = {"github": {"webhook_secrets": first}}
    found = credentials.read_all(tables, directory, os.environ).secrets
    for secret in found.values():
        return secret, directory / SECRET_FILE, ()
    named = first[0].get("file") if first else None
    if isinstance(named, str) and named and not os.path.lexists(directory / named):
        return None, directory / named, ()
    line = f'[github] webhook_secrets = [{{ file = "{SECRET_FILE}" }}]'
    if os.path.lexists(directory / SECRET_FILE):
        message = f"{directory / SECRET_FILE} is in the way: name it in github.webhook_secrets"
        raise Failure(NOT_FOUND, f"{message}, or move it away")
    return None, directory / SECRET_FILE, (line,)


def _public_url(url: str | None, settings: Settings) -> str:
    given = url or settings.server.public_url
    if given is None:
        message = "GitHub needs to know where to send webhooks: --url https://covend.example.org"
        raise Failure(USAGE, f"{message}, or server.public_url in the configuration")
    try:
        address = read_guarded_url(given)
    except PydanticCustomError as error:
        named = "--url" if url else "server.public_url"
        raise Failure(USAGE, safe(f"{named} {error.message()}: {given!r}")) from error
    if "?" in address or "#" in address:
        raise Failure(USAGE, "--url must end with its path: nothing behind a '?' or '#'")
    return address
