"""Refuses to hand an agent what is covend's own: its secrets, its variables, and what a service
manager means for the daemon alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from covend.config.credentials import variables_named
from covend.config.problems import Finding
from covend.config.tables import named_tables, texts_in
from covend.core.contract.brief import OWN_PREFIX, is_reserved


def find_reserved(tables: Mapping[str, Any]) -> Iterator[Finding]:
    """Give every name in `agents.NAME.env` that no agent may have."""
    own = variables_named(tables)
    for agent, entry in named_tables(tables.get("agents")):
        for index, name in texts_in(entry.get("env")):
            if reason := _reason(name, own):
                path = ("agents", agent, "env", index)
                yield Finding(path=path, message=f"names {name}, which is {reason}")


def _reason(name: str, own: frozenset[str]) -> str | None:
    if name in own or name.startswith(OWN_PREFIX):
        return "covend's own"
    return "meant for covend alone by what started it" if is_reserved(name) else None
