"""How far lists and clocks outside have been followed: a name and a text each."""

from __future__ import annotations

from covend.core.model import Moment
from covend.store.connection import Connection, one


class StoredCursors:
    """`store.protocol.Cursors` over any dialect."""

    def __init__(self, connection: Connection) -> None:
        """Keep the connection; the rest is in the rows."""
        self._connection = connection

    async def find(self, name: str) -> str | None:
        """See `Cursors.find`."""
        row = await self._connection.read(one("find_cursor", name=name))
        return row["value"] if row else None

    async def put(self, name: str, value: str, now: Moment) -> None:
        """See `Cursors.put`."""
        await self._connection.write(one("put_cursor", name=name, value=value, now=now))
