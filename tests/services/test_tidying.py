"""The loop that holds workspaces to their limits goes on whatever happens to one round."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from covend.core.errors import StoreError
from covend.core.model import Moment
from covend.edges.workspace.keeping import Tidied, Workspaces
from covend.services import tidying
from covend.services.tidying import Tidying
from covend.store.guards import StoredGuards
from tests.services.hand_clock import NOON, HandClock
from tests.telemetry.book import Book

WITHIN_S = 20.0


class Rooms(Workspaces):
    """Fails in its first round, and rings in its third."""

    def __init__(self, state_dir: Path) -> None:
        super().__init__(state_dir)
        self.asked: list[tuple[float, int]] = []
        self.enough = anyio.Event()

    async def tidy(self, *, age_s: float, budget_bytes: int) -> Tidied:
        self.asked.append((age_s, budget_bytes))
        if len(self.asked) == 1:
            raise OSError(28, "No space left on device")
        if len(self.asked) == 3:
            self.enough.set()
        return Tidied(kept_count=1, mirrors_count=0, left_bytes=5)


class Shelf(StoredGuards):
    """Has nothing to tidy; fails in its first round."""

    def __init__(self) -> None:
        self.asked: list[Moment] = []

    async def tidy(self, now: Moment) -> int:
        self.asked.append(now)
        if len(self.asked) == 1:
            raise StoreError("disk full")
        return 5


def a_tidying(
    rooms: Workspaces,
    guards: StoredGuards | None = None,
    *,
    revoked: list[str] | None = None,
    age_s: float = 3.0,
    budget_bytes: int = 7,
) -> Tidying:
    told = [] if revoked is None else revoked

    async def revoke_idle() -> None:
        told.append("idle")

    return Tidying(
        workspaces=rooms,
        guards=guards or Shelf(),
        clock=HandClock(NOON),
        revoke_idle=revoke_idle,
        age_s=age_s,
        budget_bytes=budget_bytes,
    )


async def test_it_tidies_at_start_and_again_and_an_error_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tidying, "EVERY_S", 0.0)
    book, rooms, shelf = Book(monkeypatch), Rooms(tmp_path), Shelf()
    with anyio.fail_after(WITHIN_S):
        async with anyio.create_task_group() as group:
            group.start_soon(a_tidying(rooms, shelf).run)
            await rooms.enough.wait()
            group.cancel_scope.cancel()
    assert rooms.asked == [(3.0, 7)] * 3
    assert shelf.asked[:2] == [NOON] * 2
    first, missed, second, also, *_ = book.lines()
    assert (first["level"], "No space left" in first["traceback"]) == ("error", True)
    assert (missed["level"], "disk full" in missed["traceback"]) == ("error", True)
    assert also["count"] == 5
    assert (second["kept"], second["left_bytes"]) == (1, 5)


async def test_a_real_round_removes_what_is_too_old(tmp_path: Path) -> None:
    rooms = Workspaces(tmp_path)
    (rooms.kept / "01task-1").mkdir(parents=True)
    await a_tidying(rooms, age_s=0.000001, budget_bytes=1 << 30).tidy()
    assert list(rooms.kept.iterdir()) == []


async def test_each_round_gives_back_the_tokens_that_nobody_needs(tmp_path: Path) -> None:
    revoked: list[str] = []
    tidying_ = a_tidying(Workspaces(tmp_path), revoked=revoked)
    await tidying_.tidy()
    await tidying_.tidy()
    assert revoked == ["idle"] * 2


async def test_the_first_round_does_not_wait(tmp_path: Path) -> None:
    rooms = Rooms(tmp_path)
    async with anyio.create_task_group() as group:
        group.start_soon(a_tidying(rooms).run)
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    assert len(rooms.asked) == 1
