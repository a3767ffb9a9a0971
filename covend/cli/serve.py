"""`covend serve`: reads the configuration, runs the daemon, and says in one line why it cannot."""

from __future__ import annotations

import asyncio
import errno
import os
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import click

from covend.cli.closing import close_up, read_again, without_own
from covend.cli.examining import examiner
from covend.cli.exits import CONFIG, NOT_PERMITTED, TRY_LATER, UNREACHABLE, Failure
from covend.cli.options import config_option
from covend.config.find import find_config
from covend.config.load import Inspection, inspect
from covend.config.problems import ConfigErrors
from covend.core.errors import ConfigError, CovendError, OutsideError, StoreError
from covend.core.settings import Settings
from covend.services.surroundings import complaint_about_home
from covend.telemetry import logs
from covend.telemetry.logs import Log

LEVELS = ("debug", "info", "warning", "error")
FAULT = 1
_ADDRESS_FAULTS = frozenset({errno.EADDRINUSE, errno.EADDRNOTAVAIL})
_MENDS: tuple[tuple[type[Exception], int, str], ...] = (
    (ConfigError, CONFIG, ""),
    (StoreError, TRY_LATER, ""),
    (OutsideError, UNREACHABLE, ""),
    (PermissionError, NOT_PERMITTED, ": run covend as a user who may"),
)
log = Log("serve")


@click.command()
@config_option
@click.option(
    "--log-level",
    type=click.Choice(LEVELS),
    default="info",
    show_default=True,
    help="Log this and what is graver, as JSON lines on standard error.",
)
def serve(*, config: Path | None, log_level: str) -> None:
    """Run the daemon, until SIGTERM or SIGINT; a second signal does not wait for attempts."""
    environ = dict(os.environ)
    settings, inspection = _load(config, environ)
    from covend import app

    secrets = close_up(settings, inspection, environ)
    logs.configure(level=log_level.upper(), redact=secrets.text)
    for problem in inspection.warnings:
        log.warning("configuration", problem=str(problem).partition("\n")[0])
    if complaint := complaint_about_home(settings.agents.values(), environ):
        log.warning("environment", problem=complaint)
    try:
        handed = without_own(inspection, environ)
        reload = partial(read_again, inspection.path, environ, secrets)
        examine = examiner(inspection, environ)
        asyncio.run(app.serve(settings, handed, reload, secrets, examine))
    except BaseExceptionGroup as group:
        fault = _single(group)
        if failure := _explain(fault, settings):
            raise failure from fault
        raise
    except (CovendError, OSError) as error:
        if failure := _explain(error, settings):
            raise failure from error
        raise
    except KeyboardInterrupt:
        sys.exit(FAULT)


def _load(config: Path | None, environ: Mapping[str, str]) -> tuple[Settings, Inspection]:
    try:
        inspection = inspect(find_config(config, environ), environ)
    except ConfigErrors as errors:
        raise Failure(CONFIG, str(errors)) from errors
    if inspection.settings is None:
        raise Failure(CONFIG, _bad_config(inspection))
    return inspection.settings, inspection


def _bad_config(inspection: Inspection) -> str:
    count = len(inspection.errors)
    head = f"{inspection.path} has {count} {'error' if count == 1 else 'errors'}:"
    return "\n".join([head, *(str(problem) for problem in inspection.errors)])


def _single(group: BaseException) -> BaseException:
    """Take the one exception out of groups that hold nothing else."""
    while isinstance(group, BaseExceptionGroup) and len(group.exceptions) == 1:
        group = group.exceptions[0]
    return group


def _explain(error: BaseException, settings: Settings) -> Failure | None:
    """Say what an operator can do about it; None where it is a fault of covend's."""
    if isinstance(error, OSError) and error.errno in _ADDRESS_FAULTS:
        return Failure(TRY_LATER, _about_addresses(error, settings))
    for kind, exit_code, mend in _MENDS:
        if isinstance(error, kind):
            told = _what(error) if isinstance(error, OSError) else str(error)
            return Failure(exit_code, f"{told}{mend}")
    return None


def _what(error: OSError) -> str:
    """Give the system's word with the name that it is about."""
    told = error.strerror or str(error)
    return f"{error.filename}: {told}" if error.filename else told


def _about_addresses(error: OSError, settings: Settings) -> str:
    server, admin = settings.server, settings.admin
    return (
        f"{_what(error)}: stop what listens there, or change"
        f" server.listen ({server.host}:{server.port}) or admin.listen ({admin.host}:{admin.port})"
    )
