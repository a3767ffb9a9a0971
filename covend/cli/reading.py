"""Reads the whole configuration for a command that cannot do without."""

from __future__ import annotations

import os
from pathlib import Path

from covend.cli.exits import CONFIG, Failure
from covend.config.find import find_config
from covend.config.load import Inspection, inspect, load
from covend.config.problems import ConfigErrors
from covend.core.settings import Settings


def read_config(config: Path | None) -> tuple[Inspection, Settings]:
    """Give what was read and its settings; Failure with every mistake, where there is one."""
    try:
        inspection = inspect(find_config(config, os.environ), os.environ)
    except ConfigErrors as errors:
        raise Failure(CONFIG, str(errors)) from errors
    if inspection.settings is None:
        raise Failure(CONFIG, "\n".join(str(problem) for problem in inspection.errors))
    return inspection, inspection.settings


def read_settings(config: Path | None) -> tuple[Path, Settings]:
    """Give the file and its settings; raises as `read_config`."""
    inspection, settings = read_config(config)
    return inspection.path, settings


def read_unsecret_settings(config: Path | None) -> Settings:
    """Give the settings without any secret, so that none has to be at hand; raises as
    `read_config`.
    """
    try:
        return load(find_config(config, os.environ), os.environ, read_secrets=False)
    except ConfigErrors as errors:
        raise Failure(CONFIG, str(errors)) from errors
