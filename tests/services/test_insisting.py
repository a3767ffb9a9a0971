"""What has happened is written, however long the store is busy, within reason."""

from __future__ import annotations

import pytest

from covend.core.errors import ClaimLostError, CovendError, StoreBusyError, StoreFullError
from covend.services.insisting import insist


class Store:
    """Refuses with each of these errors, then answers."""

    def __init__(self, *refusals: CovendError) -> None:
        self.refusals = list(refusals)

    async def write(self) -> str:
        if self.refusals:
            raise self.refusals.pop(0)
        return "written"


async def test_a_busy_or_full_store_is_asked_again() -> None:
    store = Store(StoreBusyError(), StoreFullError())
    assert await insist(store.write, wait_s=0) == "written"


async def test_a_lost_claim_is_no_reason_to_ask_again() -> None:
    store = Store(ClaimLostError())
    with pytest.raises(ClaimLostError):
        await insist(store.write, wait_s=0)


async def test_patience_has_an_end() -> None:
    store = Store(*[StoreBusyError() for _ in range(3)])
    with pytest.raises(StoreBusyError):
        await insist(store.write, patience_s=0, wait_s=0)
    assert len(store.refusals) == 2
