"""Which deliveries are not here, and by which webhooks those came that are."""

from __future__ import annotations

from typing import Any

import pytest

from covend.core.model import DeliveryId
from covend.core.reconciling import Hook
from tests.store.arrivals import Database, arrival

OF_REPOSITORY = {
    "x-github-hook-id": "77",
    "x-github-hook-installation-target-type": "repository",
}


async def keep(database: Database, **headers: str) -> DeliveryId:
    return (await database.deliveries.accept(arrival(headers=headers))).delivery


async def test_what_was_kept_is_known_and_all_else_is_not(database: Database) -> None:
    kept, other = await keep(database), DeliveryId("another")
    assert await database.deliveries.unknown([kept, other]) == {other}
    assert await database.deliveries.unknown([]) == frozenset()


async def test_the_webhooks_of_repositories_are_named_by_their_deliveries(
    database: Database,
) -> None:
    await keep(database, **OF_REPOSITORY)
    await keep(database, **OF_REPOSITORY)
    assert list(await database.deliveries.hooks()) == [Hook(id=77, repository="acme/r1")]


@pytest.mark.parametrize(
    "changed",
    [
        {"x-github-hook-installation-target-type": "integration"},
        {"x-github-hook-id": "7 or 8"},
        {"x-github-hook-id": "9" * 30},
        {"x-github-hook-id": ""},
    ],
)
async def test_no_other_webhook_is(database: Database, changed: dict[str, Any]) -> None:
    await keep(database, **OF_REPOSITORY | changed)
    assert list(await database.deliveries.hooks()) == []
