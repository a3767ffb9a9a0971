from __future__ import annotations

import pytest

from covend.core.model import Trust
from covend.core.rules.trust import judge_trust, settle_trust


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


def test_code_of_a_fork_is_a_strangers_whoever_works_on_it_and_a_bot_is_a_bot() -> None:
    assert judge_trust(is_bot=True, is_fork=False, association="OWNER") is Trust.BOT
    assert judge_trust(is_bot=True, is_fork=True, association="OWNER") is Trust.FORK
    assert judge_trust(is_bot=False, is_fork=True, association="OWNER") is Trust.FORK


def test_whoever_must_be_able_to_write_is_trusted_to() -> None:
    assert judge_trust(is_bot=False, is_fork=False, association=None, is_writer=True) is Trust.WRITE
    assert judge_trust(is_bot=False, is_fork=True, association=None, is_writer=True) is Trust.FORK
    assert judge_trust(is_bot=True, is_fork=False, association=None, is_writer=True) is Trust.BOT


def test_whoever_may_label_the_things_of_others_is_a_member() -> None:
    assert (
        judge_trust(is_bot=False, is_fork=False, association=None, is_insider=True) is Trust.MEMBER
    )
    assert judge_trust(is_bot=False, is_fork=True, association=None, is_insider=True) is Trust.FORK


@pytest.mark.parametrize(
    ("trust", "permission", "is_fork", "settled"),
    [
        (Trust.NONE, "admin", False, Trust.ADMIN),
        (Trust.MEMBER, "write", False, Trust.WRITE),
        (Trust.MEMBER, "read", False, Trust.MEMBER),
        (Trust.MEMBER, None, False, Trust.MEMBER),
        (Trust.WRITE, None, False, Trust.WRITE),
        (Trust.WRITE, "admin", False, Trust.ADMIN),
        (Trust.WRITE, "read", False, Trust.NONE),
        (Trust.ADMIN, "", False, Trust.NONE),
        (Trust.MEMBER, "admin", True, Trust.FORK),
        (Trust.FORK, "admin", False, Trust.FORK),
        (Trust.BOT, "admin", False, Trust.BOT),
        (Trust.BOT, "admin", True, Trust.FORK),
    ],
)
def test_look_ups_settle_what_a_payload_could_not_tell(
    trust: Trust, permission: str | None, is_fork: bool, settled: Trust
) -> None:
    assert settle_trust(trust, permission=permission, is_fork=is_fork) is settled
