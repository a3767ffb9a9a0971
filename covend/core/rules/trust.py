"""Says how far the one who caused an event is trusted, by its payload alone; it grants nothing.

A payload knows an association, never a permission: what a rule's `allow` asks for is looked up
live.
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


def judge_trust(*, is_bot: bool, is_fork: bool, association: str | None) -> Trust:
    """Name the trust of the sender; `association` must be the sender's own.

    A bot is a bot wherever it works; code from a fork stays a stranger's, whoever talks about it.
    """
    if is_bot:
        return Trust.BOT
    if is_fork:
        return Trust.FORK
    return ASSOCIATIONS.get(association or "", Trust.NONE)
