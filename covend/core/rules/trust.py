"""Says how far the one who caused an event is trusted, by its payload alone; it grants nothing.

A payload knows an association, never a permission: what a rule's `allow` asks for is looked up
live, and `settle_trust` says what that makes of a payload's trust.
"""

from __future__ import annotations

from collections.abc import Mapping

from covend.core.model import Trust

ASSOCIATIONS: Mapping[str, Trust] = {
    "OWNER": Trust.MEMBER,
    "MEMBER": Trust.MEMBER,
    "COLLABORATOR": Trust.MEMBER,
    "FIRST_TIME_CONTRIBUTOR": Trust.FIRST_TIME,
    "FIRST_TIMER": Trust.FIRST_TIME,
}
"""Every other association (`CONTRIBUTOR`, `MANNEQUIN`, `NONE`, one of tomorrow) earns none.

https://docs.github.com/en/graphql/reference/enums#commentauthorassociation
"""

WRITERS = frozenset(
    {
        "push",
        "create",
        "delete",
        "release",
        "deployment",
        "deployment_status",
        "merge_group",
        "repository_dispatch",
        "workflow_dispatch",
    }
)
"""Events that only somebody with write access to the repository can cause."""

CHECKERS = frozenset({"check_run", "check_suite", "workflow_run", "workflow_job", "status"})
"""As `WRITERS`, but what they are about may be the code of a fork."""

PERMITTED: Mapping[str, Trust] = {
    "admin": Trust.ADMIN,
    "maintain": Trust.MAINTAIN,
    "write": Trust.WRITE,
}
"""Live permissions that are a trust of their own."""

ORGANISED = frozenset({"pull_request", "issues"})
"""Events that, about somebody else's thing, only people with the triage role or more can cause.

https://docs.github.com/en/organizations/managing-user-access-to-your-organizations-repositories/managing-repository-roles/repository-roles-for-an-organization
"""

UNALTERABLE = frozenset({Trust.FORK, Trust.BOT})
"""No permission of whoever acts makes anything else of these."""


def judge_trust(
    *,
    is_bot: bool,
    is_fork: bool,
    association: str | None,
    is_writer: bool = False,
    is_insider: bool = False,
) -> Trust:
    """Name the trust of the sender; `association` must be the sender's own.

    `is_writer` and `is_insider` say what the event itself proves (`WRITERS`, `ORGANISED`).

    Code from a fork stays a stranger's, whoever talks about it or works on it, a bot as well.
    """
    if is_fork:
        return Trust.FORK
    if is_bot:
        return Trust.BOT
    if is_writer:
        return Trust.WRITE
    if is_insider:
        return Trust.MEMBER
    return ASSOCIATIONS.get(association or "", Trust.NONE)


def settle_trust(trust: Trust, *, permission: str | None, is_fork: bool) -> Trust:
    """Say what look-ups make of a payload's trust: a live permission, a head that is a fork's."""
    if is_fork:
        return Trust.FORK
    if trust in UNALTERABLE:
        return trust
    if permission is None:
        return trust
    # Who could write once, by a push or as a former task says, may have lost that.
    former = Trust.NONE if trust in PERMITTED.values() else trust
    return PERMITTED.get(permission, former)
