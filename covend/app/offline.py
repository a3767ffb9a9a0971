"""Puts together what explains and rehearses without a daemon: the configuration's rules, and the
local store where there is one, open for reading alone. It asks nobody and writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.resources import files

from covend.app.parts import NOBODY, database_path
from covend.core.errors import ConfigError, StoreError
from covend.core.settings import Settings
from covend.services.clock import Clock
from covend.services.explaining import Explaining, Stored
from covend.services.identity import remembered_login
from covend.services.rehearsing import Rehearsing
from covend.services.rulings import WrittenRules
from covend.store.deliveries import StoredDeliveries
from covend.store.outlook import StoredOutlook
from covend.store.queries import load_queries
from covend.store.sqlite.snapshot import Snapshot, open_snapshot
from covend.store.tasks import StoredTasks


@dataclass(frozen=True, slots=True, kw_only=True)
class Offline:
    """What there is without a daemon."""

    explaining: Explaining
    rehearsing: Rehearsing | None
    """None where there is no store."""
    notes: tuple[str, ...]
    """What could not be looked at."""


@contextmanager
def open_offline(settings: Settings) -> Iterator[Offline]:
    """Open what is there; raises nothing for what is not, and says so in `notes`."""
    login = remembered_login(settings)
    rules = WrittenRules(settings, filter(None, [login]))
    mention = settings.github.mention or (login or NOBODY).removesuffix("[bot]")
    notes = () if login else ("which account covend has is not known before its first start",)
    with _snapshot(settings) as (snapshot, note):
        stored = rehearsing = None
        if snapshot is not None:
            deliveries = StoredDeliveries(snapshot, queue_max=settings.limits.queue_max)
            outlook, tasks = StoredOutlook(snapshot), StoredTasks(snapshot)
            stored = Stored(deliveries=deliveries, tasks=tasks, outlook=outlook)
            rehearsing = Rehearsing(outlook=outlook, rules=rules, mention=mention)
        yield Offline(
            explaining=Explaining(rules=rules, mention=mention, clock=Clock(), stored=stored),
            rehearsing=rehearsing,
            notes=(*notes, *note),
        )


@contextmanager
def _snapshot(settings: Settings) -> Iterator[tuple[Snapshot | None, tuple[str, ...]]]:
    try:
        path = database_path(settings)
        if not path.exists():
            yield None, (f"there is no store at {path} yet",)
            return
    except (OSError, ConfigError) as error:
        yield None, (f"the store cannot be looked into: {error}",)
        return
    queries = load_queries(files("covend.store.sqlite") / "queries")
    with ExitStack() as stack:
        try:
            snapshot = stack.enter_context(open_snapshot(path, queries))
        except (StoreError, OSError) as error:
            yield None, (f"the store at {path} cannot be read: {error}",)
            return
        yield snapshot, ()
