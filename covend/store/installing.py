"""Where the App is installed: kept with the delivery that tells it; what is gone takes its open
work with it, and is forgotten in its time.

Refuses to end what is not gone any more when it comes to it, and to forget what has not ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import orjson

from covend.core.installing import InstallationNews, InstallationState, News, RepositoryNews
from covend.core.model import Moment, Task, TaskId
from covend.core.reconciling import forgotten_name
from covend.store.connection import Ask, Connection, Row, Script, one, rows
from covend.store.records import Forgotten, Gone, Installation
from covend.store.rows import task_of

REPOSITORY_REASONS = frozenset({"repository_removed", "repository_deleted"})


def keep_news(told: Iterable[tuple[News | None, Moment]]) -> Script[None]:
    """Keep what deliveries have told, each with the moment at which it came in, in their order."""
    for news, now in told:
        if news is None:
            continue
        about = news.installation
        told_at = now if about is None or about.told_at is None else about.told_at
        if about is not None:
            yield Ask("keep_installation", _installation_row(about, told_at, now))
        for repository in news.repositories:
            yield Ask("keep_repository", _repository_row(repository, about, told_at, now))


def _installation_row(news: InstallationNews, told_at: Moment, now: Moment) -> dict[str, object]:
    return {
        "id": news.id,
        "account": news.account,
        "state": news.state,
        "permissions": orjson.dumps(news.permissions).decode(),
        "events": orjson.dumps(news.events).decode(),
        "told_at": told_at,
        "now": now,
    }


def _repository_row(
    news: RepositoryNews, about: InstallationNews | None, told_at: Moment, now: Moment
) -> dict[str, object]:
    return {
        "repository_key": str(news.id),
        "installation_id": about.id if about else None,
        "full_name": news.full_name,
        "state": news.state,
        "told_at": told_at,
        "now": now,
    }


class StoredInstallations:
    """`store.protocol.Installations` over any dialect."""

    def __init__(self, connection: Connection) -> None:
        """Keep the connection; the rest is in the rows."""
        self._connection = connection

    async def list(self) -> Sequence[Installation]:
        """See `Installations.list`."""
        return [_installation_of(row) for row in await self._read("list_installations")]

    async def gone(self, *, limit: int) -> Sequence[Gone]:
        """See `Installations.gone`."""
        found = await self._read("list_gone_tasks", limit=limit)
        return [Gone(task=task_of(row), reason=row["gone"]) for row in found]

    async def end(self, gone: Gone, now: Moment) -> Task | None:
        """See `Installations.end`."""
        return await self._connection.write(end_gone(gone, now))

    async def ask_to_forget(self, installation: int, now: Moment) -> bool:
        """See `Installations.ask_to_forget`."""
        return await self._connection.write(_ask_to_forget(installation, now))

    async def forget_some(
        self, now: Moment, *, deleted_before: Moment, limit: int
    ) -> Forgotten | None:
        """See `Installations.forget_some`."""
        waiting = None
        for row in await self._read("list_to_forget", before=deleted_before):
            which = {
                "installation_id": row["id"],
                "is_gone": row["is_gone"],
                "asked_at": row["asked_at"],
            }
            done = await self._forget_some_of(which, now, limit)
            if not done.is_waiting:
                return done
            waiting = done  # its work goes on: that keeps nobody else from being forgotten
        return waiting

    async def _forget_some_of(self, which: Mapping[str, int], now: Moment, limit: int) -> Forgotten:
        # Looked for by a reader, which keeps nobody waiting: it may read through all that is kept.
        tasks = [
            row["id"] for row in await self._read("list_forgotten_tasks", **which, limit=limit)
        ]
        if tasks:
            return await self._connection.write(_forget_tasks(tasks, which))
        found = await self._read("list_forgotten_deliveries", **which, limit=limit)
        if found:
            return await self._connection.write(_forget_deliveries([row["id"] for row in found]))
        return await self._connection.write(_forget_rest(which, now))

    async def _read(self, query: str, **parameters: object) -> Sequence[Row]:
        return await self._connection.read(rows(query, **parameters))


def _ask_to_forget(installation: int, now: Moment) -> Script[bool]:
    if (yield from one("ask_to_forget", id=installation, now=now)) is None:
        return False
    yield _forgotten(installation, now)
    return True


def find_gone(task: Task) -> Script[Gone | None]:
    """Say whether covend has no business with a task any more, and why."""
    row = yield from one(
        "find_gone", installation_id=task.installation_id, repository_key=task.repository_key
    )
    return Gone(task=task, reason=row["gone"]) if row else None


def end_gone(gone: Gone, now: Moment) -> Script[Task | None]:
    """End it; nothing of it can be shown any more where it would be seen."""
    is_pointless = gone.reason in REPOSITORY_REASONS
    query = "ignore_gone_task" if is_pointless else "cancel_gone_task"
    row = yield from one(query, id=gone.task.id, reason=gone.reason, now=now)
    if row is None:
        return None
    yield Ask("withhold_rest", {"task_id": gone.task.id, "reason": gone.reason, "now": now})
    return task_of(row)


def _forget_tasks(tasks: Sequence[str], which: Mapping[str, int]) -> Script[Forgotten]:
    named = {"tasks": orjson.dumps(tasks).decode()}
    yield Ask("forget_effects", named)
    yield Ask("forget_timelines", named)
    gone = yield Ask("forget_tasks", named)
    keys = {row["repository_key"] for row in gone.rows if which["is_gone"]}
    return Forgotten(
        attempts={TaskId(row["id"]): row["attempts"] for row in gone.rows},
        repository_keys=frozenset(keys - {None}),
    )


def _forget_deliveries(deliveries: Sequence[str]) -> Script[Forgotten]:
    which = {"deliveries": orjson.dumps(deliveries).decode()}
    for query in ("forget_delivery_links", "forget_reruns", "forget_deliveries"):
        yield Ask(query, which)
    return Forgotten()


def _forget_rest(which: Mapping[str, int], now: Moment) -> Script[Forgotten]:
    """Forget what is left once its tasks and deliveries are; wait for what has not ended yet.

    What stands for a repository's future, as whether it is paused and what it may spend, stays
    where the installation lives.
    """
    left = yield from one("has_tasks_to_forget", **which)
    if left is not None and left["is_so"]:
        return Forgotten(is_waiting=True)
    for query in ("forget_answers", "forget_commands"):
        yield Ask(query, which)
    known = {"id": which["installation_id"]}
    if not which["is_gone"]:
        yield Ask("end_forgetting", {**known, "now": now})
        return Forgotten(is_over=True)
    of_it = {"installation_id": which["installation_id"]}
    for query in ("forget_closings", "forget_turns"):
        yield Ask(query, of_it)
    named = yield Ask("forget_repositories", of_it)
    for row in named.rows:
        yield Ask("forget_scoped_safeguards", {"full_name": row["full_name"]})
        yield Ask("forget_scoped_spending", {"full_name": row["full_name"]})
    yield Ask("forget_installation", known)
    yield _forgotten(which["installation_id"], now)
    return Forgotten(is_over=True)


def _forgotten(installation: int, now: Moment) -> Ask:
    """Note it for whoever would otherwise fetch from GitHub again what is to be forgotten."""
    return Ask("put_cursor", {"name": forgotten_name(installation), "value": str(now), "now": now})


def _installation_of(row: Row) -> Installation:
    return Installation(
        id=row["id"],
        account=row["account"],
        state=InstallationState(row["state"]),
        permissions=orjson.loads(row["permissions"]),
        events=tuple(orjson.loads(row["events"])),
        repositories_count=row["repositories_count"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        forget_at=row["forget_at"],
    )
