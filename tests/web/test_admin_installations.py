"""Where covend is installed, as operators see it, and how they have it forgotten."""

from __future__ import annotations

import pytest

from covend.core.installing import InstallationNews, InstallationState, News
from covend.store.installing import keep_news
from tests.store.arrivals import NOW
from tests.web.desk import Desk


async def know(desk: Desk, number: int = 5, *, account: str = "acme") -> None:
    told = InstallationNews(
        id=number,
        account=account,
        state=InstallationState.SUSPENDED,
        permissions={"checks": "write"},
        events=("pull_request",),
        told_at=NOW,
    )
    await desk.connection.write(keep_news([(News(installation=told, repositories=()), NOW)]))


async def test_installations_are_listed_with_what_they_grant(desk: Desk) -> None:
    await know(desk)
    (told,) = (await desk.get("installations"))["items"]
    assert (told["id"], told["account"], told["state"]) == (5, "acme", "suspended")
    assert (told["permissions"], told["forget_at"]) == ({"checks": "write"}, None)


async def test_a_known_one_is_forgotten_when_it_is_asked(desk: Desk) -> None:
    await know(desk)
    answer = await desk.ask("/api/v1/installations/5/forget", "POST", body=b"{}")
    assert (answer.status, answer.data) == (202, {"id": 5, "state": "forgetting"})
    (told,) = (await desk.get("installations"))["items"]
    assert told["forget_at"] is not None


@pytest.mark.parametrize(("number", "status"), [("6", 404), ("acme", 400), ("9" * 40, 400)])
async def test_what_names_no_installation_is_refused(desk: Desk, number: str, status: int) -> None:
    await know(desk)
    answer = await desk.ask(f"/api/v1/installations/{number}/forget", "POST", body=b"{}")
    assert answer.status == status
    assert (await desk.get("installations"))["items"][0]["forget_at"] is None


async def test_a_wish_that_forgetting_does_not_know_is_refused(desk: Desk) -> None:
    await know(desk)
    answer = await desk.ask("/api/v1/installations/5/forget", "POST", body=b'{"dry_run": true}')
    assert answer.status == 400
    assert (await desk.get("installations"))["items"][0]["forget_at"] is None
