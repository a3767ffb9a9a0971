"""Answers of their own to keys that do not exist, and that people write all the same."""

from __future__ import annotations

import json
from collections.abc import Mapping

from covend.config.locate import KeyPath
from covend.config.overrides import names_at
from covend.config.problems import closest
from covend.config.walk import walk

_UTC = "is not a known key: schedules are in UTC: write the hour in UTC"
_IN_COMMAND = 'is not a known key: arguments are words of command = ["tool", "--option"]'
_IN_ENV = 'is not a known key: name the variable in env = ["NAME"], and set it for covend'
_LISTEN = 'is not a known key: address and port are one: listen = "127.0.0.1:8787"'
_BASE = 'is not a known key: write when = { base = ["main"] }'

SLIPS: Mapping[tuple[str, str], str] = {
    ("schedules", "timezone"): _UTC,
    ("schedules", "time_zone"): _UTC,
    ("schedules", "tz"): _UTC,
    ("schedules", "every"): 'is not a known key: write cron = "0 6 * * 1", in UTC',
    ("agents", "args"): _IN_COMMAND,
    ("agents", "arguments"): _IN_COMMAND,
    ("agents", "api_key"): _IN_ENV,
    ("agents", "environment"): _IN_ENV,
    ("server", "port"): _LISTEN,
    ("server", "host"): _LISTEN,
    ("admin", "port"): _LISTEN,
    ("admin", "host"): _LISTEN,
    ("rules", "branch"): _BASE,
    ("rules", "branches"): _BASE,
    ("rules", "enabled"): "is not a known key: `covend pause --rule NAME` holds a rule back",
    ("rules", "timeout"): "is not a known key: the time is the agent's: agents.NAME.timeout",
}
"""Section and key to what is said; what only stands in another place finds itself."""


def what_was_meant(path: KeyPath) -> tuple[str, str | None]:
    """Say of an unknown key what is wrong with it, and give what was probably meant, if anything is
    known of that.
    """
    key = str(path[-1])
    if (answer := SLIPS.get((str(path[0]), key))) is not None:
        return answer, None
    near = closest(key, names_at(path[:-1]))
    if near is None and (place := _elsewhere(path)):
        return f"is not a known key here: it is {place}", None
    return "is not a known key", near


def _elsewhere(path: KeyPath) -> str | None:
    """Name the key of that name nearest to where it was written, or None."""
    places = [entry.name for entry in walk() if entry.name.rpartition(".")[2] == str(path[-1])]
    own = [place for place in places if place.partition(".")[0].startswith(str(path[0]))]
    return json.dumps(min(own or places, key=len)) if places else None
