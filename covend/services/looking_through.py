"""Looks through one delivery log: back to where the last look ended, and from there on forward,
keeping what is missing.

Refuses to call anything looked through before all that is older has come in: whatever stops it, the
next look begins where this one got to.
"""

from __future__ import annotations

from datetime import UTC, datetime

import anyio

from covend.core.errors import DrainingError
from covend.core.model import Moment
from covend.core.reconciling import (
    BEGUN,
    Gathering,
    LogEntry,
    Through,
    dump_through,
    floor_of,
    forgotten_name,
    is_beyond_log,
    load_through,
)
from covend.edges.github.deliveries import DeliveryLog
from covend.edges.github.errors import TooManyPages
from covend.services.clock import Clock
from covend.services.fetching import Fetching
from covend.services.looks import Look, LookState
from covend.services.submitting import IsOpen
from covend.store.protocol import Cursors, Deliveries
from covend.telemetry.logs import Log

PAGES_AT_ONCE = 100
"""Pages that are read in one go, 10,000 entries of the log."""
PAGES_MAX = 10_000
"""No log is longer: a million deliveries in three days."""
FETCHES_AT_ONCE = 1_000
"""Deliveries that are fetched in one go."""
GO_ON_S = 1.0
"""The pause after each go, in which others have GitHub to themselves."""
MISSED_MAX = 10_000
"""So many are held in memory: the oldest; what is newer is found again after them."""
SAVE_EVERY = 50
"""After so many deliveries the store is told how far it has come."""
SAVE_S = 5.0
"""How long the end of a look may take to tell it, also when it is cancelled."""
log = Log("reconciler")


class LookingThrough:
    """What a look does with each log."""

    def __init__(
        self,
        *,
        deliveries: Deliveries,
        cursors: Cursors,
        fetching: Fetching,
        is_open: IsOpen,
        clock: Clock,
        retention_s: float,
        missed_max: int = MISSED_MAX,
        go_on_s: float = GO_ON_S,
    ) -> None:
        """Nothing comes in that is older than the deliveries' `retention_s`; `fetching` keeps."""
        assert retention_s > 0
        assert missed_max > 0
        self._deliveries = deliveries
        self._cursors = cursors
        self._fetching = fetching
        self._is_open = is_open
        self._clock = clock
        self._retention_s = retention_s
        self._missed_max = missed_max
        self._go_on_s = go_on_s

    async def begin(self) -> Moment:
        """Give when covend first ran on this store, and note that it does where nobody has: what
        was sent long before is not missed.
        """
        known = await self._cursors.find(BEGUN)
        if known is not None:
            return int(known)
        now = self._clock.now()
        await self._cursors.put(BEGUN, str(now), now)
        return now

    async def look(self, look: Look, of: DeliveryLog) -> None:
        """Look back as often as it takes: a way back that had to let go of something is followed
        by another.

        Raises the errors of `edges.github.errors`, StoreError and DrainingError.
        """
        begun = await self.begin()
        is_first, is_cut = True, True
        while is_cut:
            through = load_through(await self._cursors.find(_cursor(of)))
            now = self._clock.now()
            floor = floor_of(through, look.since, now, self._retention_s, begun=begun)
            if is_first and look.since is not None:
                through = await self._go_back(of, through, floor)
            self._warn_of_gap(through)
            gathering = Gathering(floor=floor, missed_max=self._missed_max)
            await self._gather(look, of, gathering, is_counted=is_first)
            await self._take_in(look, of, gathering, through)
            is_first, is_cut = False, gathering.is_cut

    async def _go_back(self, of: DeliveryLog, through: Through | None, floor: Moment) -> Through:
        """Note that somebody has asked for what lies before: where this look is stopped, the next
        one goes on there.
        """
        if through is not None and through.at <= floor:
            return through
        back = Through(floor, 0 if through is None else through.looked_at)
        await self._save(of, back)
        return back

    def _warn_of_gap(self, through: Through | None) -> None:
        if through is not None and is_beyond_log(through, self._clock.now()):
            last = datetime.fromtimestamp(through.looked_at / 1000, UTC).isoformat(
                timespec="seconds"
            )
            log.warning("GitHub's log does not reach back to the last look any more", last=last)

    async def _gather(
        self, look: Look, of: DeliveryLog, gathering: Gathering, *, is_counted: bool
    ) -> None:
        """Read back to the floor or the log's end."""
        look.state = LookState.LISTING
        following: str | None = None
        forgotten: dict[int, Moment] = {}
        for count in range(1, PAGES_MAX + 1):
            page = await of.page(following)
            entries = gathering.within(page.entries)
            unknown = await self._deliveries.unknown([each.guid for each in entries])
            new = [each for each in entries if each.guid in unknown]
            missed = [each for each in new if not await self._is_forgotten(each, forgotten)]
            gathering.note(missed, unknown - look.passed_over)
            if is_counted:
                look.listed += len(entries)
                look.known += len(entries) - len(missed)
            following = page.following
            if following is None or gathering.has_reached_floor:
                return
            if count % PAGES_AT_ONCE == 0:
                await anyio.sleep(self._go_on_s)
        raise TooManyPages(f"the deliveries of {of.of} have more than {PAGES_MAX} pages")

    async def _is_forgotten(self, entry: LogEntry, marks: dict[int, Moment]) -> bool:
        """Say whether somebody has asked to forget it; `marks` are those that were looked up."""
        installation = entry.installation_id
        if installation is None:
            return False
        if installation not in marks:
            mark = await self._cursors.find(forgotten_name(installation))
            marks[installation] = int(mark or 0)
        return entry.delivered_at <= marks[installation]

    async def _take_in(
        self, look: Look, of: DeliveryLog, gathering: Gathering, before: Through | None
    ) -> None:
        """Keep what is missing, oldest first: all before it is looked through by then."""
        look.state = LookState.FETCHING
        reached = before
        try:
            for count, missed in enumerate(gathering.oldest_first(), start=1):
                if not self._is_open():
                    raise DrainingError
                await self._fetching.fetch(look, of, missed)
                reached = self._further(reached, missed.at)
                if count % SAVE_EVERY == 0:
                    await self._save(of, reached)
                if count % FETCHES_AT_ONCE == 0:
                    await anyio.sleep(self._go_on_s)
            if not gathering.is_cut:
                reached = self._further(reached, gathering.reached_at)
                reached = reached._replace(looked_at=self._clock.now())
        finally:
            with anyio.move_on_after(SAVE_S, shield=True):
                await self._save(of, reached)

    async def _save(self, of: DeliveryLog, reached: Through | None) -> None:
        if reached is not None:
            await self._cursors.put(_cursor(of), dump_through(reached), self._clock.now())

    def _further(self, reached: Through | None, at: Moment) -> Through:
        """Move on, never back: somebody may have asked for what lies before. Nor beyond now: what
        the log has from the future shall hide nothing that is yet to come.
        """
        at = min(at, self._clock.now())
        if reached is None:
            return Through(at, 0)
        return reached._replace(at=max(reached.at, at))


def _cursor(of: DeliveryLog) -> str:
    return f"reconcile/{of.name}"
