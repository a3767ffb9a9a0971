from __future__ import annotations

import pytest

from covend.core.model import Trust
from covend.core.rules.trust import judge_trust


@pytest.mark.parametrize(
    ("association", "trust"),
    [
        ("OWNER", Trust.MEMBER),
        ("MEMBER", Trust.MEMBER),
        ("COLLABORATOR", Trust.MEMBER),
        ("CONTRIBUTOR", Trust.NONE),
        ("FIRST_TIME_CONTRIBUTOR", Trust.FIRST_TIME),
        ("FIRST_TIMER", Trust.FIRST_TIME),
        ("MANNEQUIN", Trust.NONE),
        ("NONE", Trust.NONE),
        ("owner", Trust.NONE),
        (None, Trust.NONE),
    ],
)
def test_an_association_earns_no_more_than_membership(
    association: str | None, trust: Trust
) -> None:
    assert judge_trust(is_bot=False, is_fork=False, association=association) is trust


def test_a_bot_stays_a_bot_and_a_fork_a_fork() -> None:
    assert judge_trust(is_bot=True, is_fork=True, association="OWNER") is Trust.BOT
    assert judge_trust(is_bot=False, is_fork=True, association="OWNER") is Trust.FORK
