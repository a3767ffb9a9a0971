"""What somebody has a comment change is written down before it is, and by whom it was said."""

from __future__ import annotations

import orjson
import pytest

from covend.core.audit import AuditRow, Way
from covend.core.errors import StoreBusyError
from covend.core.model import Moment
from covend.store.auditing import StoredAudit
from tests.services.house import CHECK, House, a_rule, an_agent
from tests.services.talk import BY, STRANGER, Talk


@pytest.fixture
async def talk(house: House) -> Talk:
    await house.adopt(a_rule(publish=(CHECK,)), an_agent())
    return Talk(house)


async def noted(talk: Talk) -> list[AuditRow]:
    items, _ = await StoredAudit(talk.house.connection).page(limit=10)
    return list(items)


async def test_what_changes_something_is_noted_with_who_said_it(talk: Talk) -> None:
    delivery = await talk.say("/covend pause")
    await talk.attend()
    (row,) = await noted(talk)
    assert (row.wish.who, row.wish.way, row.wish.verb) == (BY, Way.COMMENT, "pause")
    assert (row.wish.target, row.wish.address) == ("repository:acme/till", None)
    assert orjson.loads(row.wish.details)["delivery"] == delivery
    assert (row.outcome, row.ended_at is not None) == ("ok", True)


@pytest.mark.parametrize("words", ["retry review and the rest", "cancel", "approve"])
async def test_what_came_to_nothing_says_so(talk: Talk, words: str) -> None:
    assert await talk.hear(f"/covend {words}") == ("done", "nothing_to_do")
    (row,) = await noted(talk)
    assert row.wish.target == "acme/till#7"
    assert (row.wish.verb, row.outcome) == (words.split(maxsplit=1)[0], "nothing_to_do")
    told = orjson.loads(row.wish.details)
    assert told.get("rule") == ("review" if " " in words else None)
    assert "rest" not in row.wish.details


async def test_what_an_operator_has_paused_is_not_lifted_and_noted_so(talk: Talk) -> None:
    await talk.desk.pause("repository:acme/till", by="operator")
    assert await talk.hear("/covend resume") == ("refused", "paused_by_operator")
    (row,) = await noted(talk)
    assert row.outcome == "paused_by_operator"


@pytest.mark.parametrize("words", ["status", "help", "frobnicate"])
async def test_what_changes_nothing_is_not_noted(talk: Talk, words: str) -> None:
    await talk.hear(f"/covend {words}")
    assert await noted(talk) == []


async def test_what_a_stranger_says_is_not_noted(talk: Talk) -> None:
    talk.house.github.add_account(STRANGER)
    await talk.hear("/covend pause", sender=STRANGER)
    assert await noted(talk) == []


async def test_what_cannot_be_noted_is_not_done(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def busy(self: object, wish: object, now: Moment) -> int:
        raise StoreBusyError

    monkeypatch.setattr(StoredAudit, "begin", busy)
    delivery = await talk.say("/covend pause")
    await talk.attend()
    assert talk.state(delivery)[0] == "received"
    assert talk.desk.asked == []
