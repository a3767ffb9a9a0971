"""How many there are in each state is known without counting, and always right."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

from covend.core.model import EffectId
from covend.core.states import EffectState, TaskState
from covend.store.upkeep import StoredUpkeep
from tests.store.arrivals import NOW, Database, arrival, draft
from tests.store.hand_endings import ended
from tests.store.test_claim import CHECK, claim


async def test_every_move_is_counted(database: Database) -> None:
    upkeep = StoredUpkeep(database.connection, Path("none"))
    assert (await upkeep.gauges(NOW)).tasks == {}
    await database.deliveries.accept(arrival(draft(), draft(), draft()))
    taken = await claim(database)
    assert taken is not None
    assert (await upkeep.gauges(NOW)).tasks == {TaskState.QUEUED: 2, TaskState.RUNNING: 1}
    check = (EffectId("check"), CHECK)
    await database.tasks.settle(taken, ended(effects=(check,)), NOW)
    gauges = await upkeep.gauges(NOW)
    assert Counter(gauges.tasks) == Counter(
        {TaskState.QUEUED: 2, TaskState.RUNNING: 0, TaskState.COMPLETED: 1}
    )
    assert gauges.effects == {EffectState.PENDING: 1}


async def test_what_is_deleted_counts_no_more(database: Database) -> None:
    await database.deliveries.accept(arrival(draft(), draft()))
    with closing(sqlite3.connect(database.path)) as outside:
        outside.execute("DELETE FROM delivery_tasks")
        outside.execute("DELETE FROM tasks WHERE rowid = 1")
        outside.commit()
    upkeep = StoredUpkeep(database.connection, Path("none"))
    assert (await upkeep.gauges(NOW)).tasks == {TaskState.QUEUED: 1}
