"""Deletes what has been kept as long as `store.retention` says: deliveries, ended tasks with all
that belongs to them, and logs of attempts.

Refuses to hold anything up: it takes a few rows at a time, rests between two, and leaves what fails
to the next round.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import anyio
import anyio.to_thread

from covend.core.errors import StoreError
from covend.core.model import Moment, TaskId
from covend.core.retention import TASKS, KeptSince, Kind, kept_since
from covend.core.safeguards.shapes import Terms
from covend.core.settings import Retention
from covend.services.clock import Clock
from covend.services.live import log_path
from covend.store.protocol import Retention as Kept
from covend.telemetry.logs import Log

EVERY_S = 3600.0
REST_S = 0.1
"""Between two transactions: a long line of old rows is let through at a walk."""
AT_ONCE = 100
"""Rows of one kind in one transaction: others wait for no longer than that."""
LOGS_AT_ONCE = 500
SUFFIX = ".jsonl"
log = Log("upkeep")


def longest_window(terms: Terms) -> float:
    """Give the seconds for which attempts count against some rate."""
    return max((rate.window_s for rate in terms.safeguards.rate), default=0.0)


class Upkeep:
    """Deletes at start and from then on every `EVERY_S`."""

    def __init__(
        self,
        *,
        retention: Kept,
        kept: Retention,
        rates_s: Callable[[], float],
        logs: Path,
        clock: Clock,
    ) -> None:
        """Keep everything as long as `kept` says, and tasks at least for `rates_s`, the longest
        window of a rate now, which is counted from their attempts; these have their logs in `logs`.
        """
        assert min(kept.deliveries_s, kept.completed_s, kept.failed_s, kept.logs_s) > 0
        self._retention = retention
        self._kept = kept
        self._rates_s = rates_s
        self._logs = logs
        self._clock = clock

    async def run(self) -> None:
        """Delete until cancelled."""
        while True:
            await self.round()
            await anyio.sleep(EVERY_S)

    async def round(self) -> None:
        """Delete all that is old now."""
        since = kept_since(self._kept, self._clock.now(), rates_s=self._rates_s())
        counts: Counter[str] = Counter()
        for kind in Kind:
            try:
                counts[kind] += await self._delete(kind, since)
            except StoreError as error:
                log.error("not deleted yet", what=kind, code=error.code, error=str(error))
            except Exception:
                log.exception("not deleted: a fault of covend", what=kind)
        try:
            counts["logs"] += await self._delete_old_logs()
        except (StoreError, OSError) as error:
            log.error("logs are not deleted yet", error=str(error))
        if told := {kind: count for kind, count in counts.items() if count}:
            log.info("deleted by age", **told)

    async def _delete(self, kind: Kind, since: KeptSince) -> int:
        """Walk through one kind to what is not old yet."""
        count, after = 0, ""
        while True:
            passed = await self._retention.delete_some(kind, since, after=after, limit=AT_ONCE)
            count += passed.count
            if kind in TASKS and passed.attempts:
                await anyio.to_thread.run_sync(self._remove_logs_of, passed.attempts)
            if passed.following is None:
                return count
            after = passed.following
            await anyio.sleep(REST_S)

    # --- logs -------------------------------------------------------------------------------------

    async def _delete_old_logs(self) -> int:
        """Remove the logs that nobody has written to for so long; an attempt at work keeps its
        own, however silent it is.
        """
        before = self._clock.wall() - round(1000 * self._kept.logs_s)
        old = await anyio.to_thread.run_sync(self._old_logs, before)
        count = 0
        for start in range(0, len(old), LOGS_AT_ONCE):
            some = old[start : start + LOGS_AT_ONCE]
            open_tasks = await self._retention.open_among([_task_of(path) for path in some])
            gone = [path for path in some if _task_of(path) not in open_tasks]
            count += await anyio.to_thread.run_sync(_remove, gone)
        return count

    def _old_logs(self, before: Moment) -> list[Path]:
        if not self._logs.is_dir():
            return []
        return [
            path
            for path in self._logs.iterdir()
            if path.suffix == SUFFIX and _written_at(path) <= before
        ]

    def _remove_logs_of(self, attempts: Mapping[TaskId, int]) -> int:
        return _remove(
            log_path(self._logs, task, number)
            for task, count in attempts.items()
            for number in range(1, count + 1)
        )


def _task_of(path: Path) -> TaskId:
    return TaskId(path.stem.partition("-")[0])


def _written_at(path: Path) -> Moment:
    try:
        return round(1000 * path.lstat().st_mtime)
    except FileNotFoundError:
        return round(1000 * time.time())


def _remove(paths: Iterable[Path]) -> int:
    count = 0
    for path in paths:
        try:
            path.unlink()
            count += 1
        except FileNotFoundError:
            continue
        except OSError as error:
            log.warning("a log stays", path=str(path), error=str(error))
    return count
