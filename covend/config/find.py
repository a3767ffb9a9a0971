"""Finds the file to read; apart from its reading, so that a command that needs little else of it is
quick.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from covend.config.problems import ConfigErrors, Problem

FILE_NAME = "covend.toml"


def find_config(explicit: Path | str | None, environ: Mapping[str, str]) -> Path:
    """Give the file to read: `explicit`, else `$COVEND_CONFIG`, else the first of the usual places
    that exists.

    Raises `ConfigErrors` where there is none; a file that was named need not exist yet.
    """
    named = explicit or environ.get("COVEND_CONFIG")
    if named:
        return Path(named)
    places = tuple(_usual_places(environ))
    found = next((place for place in places if place.exists()), None)
    if found is None:
        looked = ", ".join(str(place) for place in places)
        message = f"there is no configuration (looked for {looked}); name one with --config FILE"
        message += ", or make one: covend init"
        raise ConfigErrors([Problem(file=FILE_NAME, message=message)])
    return found


def _usual_places(environ: Mapping[str, str]) -> Iterator[Path]:
    yield Path(FILE_NAME)
    home = environ.get("HOME")
    user = environ.get("XDG_CONFIG_HOME") or (f"{home}/.config" if home else None)
    if user:
        yield Path(user) / "covend" / FILE_NAME
    yield Path("/etc/covend") / FILE_NAME
