"""What a token must be allowed for each thing covend does on GitHub: the one table of permissions.

Every request is made with a token narrowed to its line and its repository. `GRANTS` is what the App
has to be given for all requests of a kind of effect; `app_needs` asks for that of the rules in use.
https://docs.github.com/en/rest/authentication/permissions-required-for-github-apps
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from covend.core.model import EffectKind, SubjectType

Scope = Mapping[str, str]

READ_METADATA: Scope = MappingProxyType({"metadata": "read"})
READ_ISSUES: Scope = MappingProxyType({"issues": "read"})
READ_PULLS: Scope = MappingProxyType({"pull_requests": "read"})
WRITE_CHECKS: Scope = MappingProxyType({"checks": "write"})
WRITE_STATUSES: Scope = MappingProxyType({"statuses": "write"})
WRITE_ISSUES: Scope = MappingProxyType({"issues": "write"})
WRITE_PULLS: Scope = MappingProxyType({"pull_requests": "write"})
WRITE_CONTENTS: Scope = MappingProxyType({"contents": "write"})
"""To push; never with `workflows`, so that GitHub refuses what would change a workflow."""
OPEN_PULLS: Scope = MappingProxyType({**WRITE_PULLS, "contents": "read"})
"""Of a private repository GitHub proposes only branches that the token can read."""

COMMENT_ON: Mapping[SubjectType, Scope] = MappingProxyType(
    {SubjectType.ISSUE: WRITE_ISSUES, SubjectType.PULL_REQUEST: WRITE_PULLS}
)
"""A comment on a pull request is an issue comment, for which either permission is enough; so is a
reaction to it.
"""

ON_THREADS = frozenset({EffectKind.COMMENT, EffectKind.REACTION, EffectKind.LABELS})
"""What stands on a pull request or an issue: which of them it is decides, by `COMMENT_ON`."""

GRANTS: Mapping[EffectKind, Scope] = MappingProxyType(
    {
        EffectKind.CHECK: WRITE_CHECKS,
        EffectKind.STATUS: WRITE_STATUSES,
        EffectKind.COMMENT: MappingProxyType({**WRITE_ISSUES, **WRITE_PULLS}),
        EffectKind.REVIEW: WRITE_PULLS,
        EffectKind.REACTION: MappingProxyType({**WRITE_ISSUES, **WRITE_PULLS}),
        EffectKind.LABELS: MappingProxyType({**WRITE_ISSUES, **WRITE_PULLS}),
        EffectKind.DISMISSAL: WRITE_PULLS,
        EffectKind.PULL_REQUEST: MappingProxyType({**WRITE_CONTENTS, **WRITE_PULLS}),
    }
)
"""Beside `metadata: read` and `pull_requests: read`, which look-ups need."""
