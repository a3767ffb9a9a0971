"""Puts a key into the text of a `covend.toml`, where it is missing or still the placeholder, and
leaves every other character as it is, comments too.

It refuses to change what somebody has written: a value of their own stays.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping

import orjson

from covend.config.locate import KeyPath, Place, locate

PLACEHOLDER = "CHANGE ME"
"""What the comment of a line has whose value is nobody's."""
_PLACEHOLDER_LINE = re.compile(rf"\d+\s*#\s*{PLACEHOLDER}.*")


def put_app_id(text: str, app_id: int) -> str | None:
    """Give the text with `github.app_id`; None where another one is written, or it cannot be put
    in without touching more. `text` must be good TOML.
    """
    places = _places(text)
    place = places.get(("github", "app_id"))
    if place is None:
        return _added(text, places, "github", "app_id", app_id)
    return _changed(text, _in_place(text, place, app_id), "github", "app_id", app_id)


def put_public_url(text: str, url: str) -> str | None:
    """Give the text with `server.public_url`; None as `put_app_id`."""
    places = _places(text)
    if ("server", "public_url") in places:
        return None
    return _added(text, places, "server", "public_url", url)


def _places(text: str) -> Mapping[KeyPath, Place]:
    return locate(text.replace("\r\n", "\n"))


def _in_place(text: str, place: Place, app_id: int) -> str | None:
    lines = text.split("\n")
    at, column = place.value.line - 1, place.value.column - 1
    found = _PLACEHOLDER_LINE.fullmatch(lines[at].rstrip("\r")[column:])
    if found is None:
        return None
    lines[at] = f"{lines[at][:column]}{app_id}" + "\r" * lines[at].endswith("\r")
    return "\n".join(lines)


def _added(
    text: str, places: Mapping[KeyPath, Place], section: str, key: str, value: str | int
) -> str | None:
    """Write it right below its table's head."""
    lines = text.split("\n")
    place = places.get((section,))
    if place is None or not lines[place.key.line - 1].lstrip().startswith("["):
        return None
    end = "\r" * lines[place.key.line - 1].endswith("\r")
    lines.insert(place.key.line, f"{key} = {orjson.dumps(value).decode()}{end}")
    return _changed(text, "\n".join(lines), section, key, value)


def _changed(
    text: str, changed: str | None, section: str, key: str, value: str | int
) -> str | None:
    """Give the changed text on where it says what it did, and this one key."""
    if changed is None:
        return None
    before, after = tomllib.loads(text), tomllib.loads(changed)
    wanted = {**before, section: {**before.get(section, {}), key: value}}
    return changed if after == wanted else None
