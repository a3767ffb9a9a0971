"""The loop that holds workspaces to their limits goes on whatever happens to one round."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from covend.edges.workspace.keeping import Tidied, Workspaces
from covend.services import tidying
from covend.services.tidying import Tidying
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


async def test_it_tidies_at_start_and_again_and_an_error_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tidying, "EVERY_S", 0.0)
    book, rooms = Book(monkeypatch), Rooms(tmp_path)
    with anyio.fail_after(WITHIN_S):
        async with anyio.create_task_group() as group:
            group.start_soon(Tidying(workspaces=rooms, age_s=3.0, budget_bytes=7).run)
            await rooms.enough.wait()
            group.cancel_scope.cancel()
    assert rooms.asked == [(3.0, 7)] * 3
    first, second, *_ = book.lines()
    assert (first["level"], "No space left" in first["traceback"]) == ("error", True)
    assert (second["kept"], second["left_bytes"]) == (1, 5)


async def test_a_real_round_removes_what_is_too_old(tmp_path: Path) -> None:
    rooms = Workspaces(tmp_path)
    (rooms.kept / "01task-1").mkdir(parents=True)
    await Tidying(workspaces=rooms, age_s=0.000001, budget_bytes=1 << 30).tidy()
    assert list(rooms.kept.iterdir()) == []


async def test_the_first_round_does_not_wait(tmp_path: Path) -> None:
    rooms = Rooms(tmp_path)
    async with anyio.create_task_group() as group:
        group.start_soon(Tidying(workspaces=rooms, age_s=3.0, budget_bytes=7).run)
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    assert len(rooms.asked) == 1
