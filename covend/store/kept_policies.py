"""Gives the settings that tasks were routed by, each read from the store once.

A policy is named by the hash of its bytes, so what was read once is never out of date.
"""

from __future__ import annotations

from covend.core import policy as policies
from covend.core.errors import NotFoundError
from covend.core.settings import Policy
from covend.store.connection import Script, one

KEPT_MAX = 256


class KeptPolicies:
    """At most `KEPT_MAX` policies in memory; any thread may ask."""

    def __init__(self) -> None:
        """Begin with none."""
        self._kept: dict[str, Policy] = {}

    def known(self, sha256: str) -> Policy | None:
        """Give a policy that was read before."""
        return self._kept.get(sha256)

    def find(self, sha256: str) -> Script[Policy]:
        """Give a policy; raises NotFoundError or PolicyError where that cannot be."""
        kept = self._kept.get(sha256)
        if kept is not None:
            return kept
        row = yield from one("find_policy", sha256=sha256)
        if row is None:
            raise NotFoundError(f"policy {sha256} is not there, though a task points to it")
        policy = policies.load(row["body"])
        if len(self._kept) >= KEPT_MAX:
            self._kept.clear()
        self._kept[sha256] = policy
        return policy
