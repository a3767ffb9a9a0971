"""Keeps what deliveries say beside the work they ask for: what is said to covend itself, where it
is installed, and which checks shall be made again.

In the transaction that keeps the deliveries; whoever attends to it comes later.
"""

from __future__ import annotations

from collections.abc import Sequence

from covend.store.connection import Ask, Script
from covend.store.installing import keep_news
from covend.store.packing import Packed
from covend.store.rerunning import keep_asks


def keep_wishes(told: Sequence[tuple[Packed, bool]]) -> Script[None]:
    """Keep all that new deliveries tell, each with whether its subject is still open to it: a
    command from before its subject was closed is over with it.
    """
    said = [
        packed.command_row
        for packed, is_current in told
        if packed.command_row is not None and is_current
    ]
    if said:
        yield Ask("insert_commands", each=said)
    yield from keep_news((packed.news, packed.now) for packed, _ in told)
    yield from keep_asks(
        (packed.first.id, packed.repository_key, packed.rerun, packed.now) for packed, _ in told
    )
