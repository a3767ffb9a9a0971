"""What people have asked covend to change: written before the change, ended after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from covend.core.audit import AuditRow, Way, Wish
from covend.core.model import Moment
from covend.store.connection import Connection, Row, one, rows

NEWEST = (1 << 63) - 1


class StoredAudit:
    """`store.protocol.Audit` over any dialect."""

    def __init__(self, connection: Connection) -> None:
        """Keep the connection; the rest is in the rows."""
        self._connection = connection

    async def begin(self, wish: Wish, now: Moment) -> int:
        """See `Audit.begin`."""
        row = await self._connection.write(one("begin_audit", now=now, **asdict(wish)))
        assert row is not None
        number: int = row["number"]
        return number

    async def end(self, number: int, outcome: str, now: Moment) -> None:
        """See `Audit.end`."""
        await self._connection.write(one("end_audit", number=number, outcome=outcome, now=now))

    async def page(
        self,
        *,
        limit: int,
        cursor: str | None = None,
        verb: str | None = None,
        target: str | None = None,
        who: str | None = None,
    ) -> tuple[Sequence[AuditRow], str | None]:
        """See `Audit.page`."""
        before = int(cursor) if cursor else NEWEST
        found = await self._connection.read(
            rows(
                "list_audit" if target is None else "list_audit_of_target",
                limit=limit + 1,
                before=before,
                verb=verb,
                target=target,
                who=who,
            )
        )
        items = [_audit_of(row) for row in found[:limit]]
        return items, str(items[-1].number) if len(found) > limit else None


def _audit_of(row: Row) -> AuditRow:
    return AuditRow(
        number=row["number"],
        at=row["at"],
        wish=Wish(
            who=row["who"],
            way=Way(row["way"]),
            address=row["address"],
            client=row["client"],
            verb=row["verb"],
            target=row["target"],
            details=row["details"],
        ),
        outcome=row["outcome"],
        ended_at=row["ended_at"],
    )
