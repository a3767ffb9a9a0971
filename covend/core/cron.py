"""Says when a cron expression comes due, and which of the ticks that have come are to be brought;
refuses an expression that nobody can read, or that never comes.

Five fields, read as Debian's cron reads them (https://manpages.debian.org/stable/cron/crontab.5.en.html)
and always in UTC: no hour comes twice, and none is left out.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from cronsim import CronSim, CronSimError

from covend.core.model import Moment
from covend.core.outside import Missed

FIELDS = ("minute", "hour", "day of month", "month", "day of week")
LATE_MS = 5 * 60_000
"""What is later than that has been missed: whoever could bring nothing for an hour does not bring
sixty ticks at once.
"""
_FIRST = datetime(2000, 1, 1, tzinfo=UTC)
"""Any day will do to look from: the calendar repeats itself well within the look-ahead."""


class CronError(ValueError):
    """Why an expression cannot be used; the message completes "cron …"."""


class Tick(NamedTuple):
    """A moment at which a schedule was due."""

    at: Moment
    is_wanted: bool
    """False where it was missed, and is not made up for."""


def check_cron(expression: str) -> None:
    """Raise CronError where it cannot be read, or names no day that ever comes."""
    count = len(expression.split())
    if count != len(FIELDS):
        raise CronError(f"must be five cron fields: {', '.join(FIELDS)}")
    try:
        moments = CronSim(expression, _FIRST)
    except CronSimError as error:
        raise CronError(_told(str(error))) from error
    if next(moments, None) is None:
        raise CronError("never comes: no day is all that it asks for")


def next_after(expression: str, moment: Moment) -> Moment | None:
    """Give the first tick that is later; None where none comes within 50 years."""
    return _moment(next(CronSim(expression, _datetime(moment // 1000)), None))


def last_before(expression: str, moment: Moment) -> Moment | None:
    """Give the last tick that is earlier; None where none came within 50 years."""
    whole = _datetime(-(-moment // 1000))
    return _moment(next(CronSim(expression, whole, reverse=True), None))


def choose_tick(
    expression: str, *, after: Moment, now: Moment, lived_since: Moment, missed: Missed
) -> Tick | None:
    """Give what comes next of the ticks later than `after`, up to now; None where there is none.

    Those since `lived_since` come one by one. Of those before, and of those that are later than
    `LATE_MS`, only the newest counts: it is wanted, or all of them are passed over, as `missed`
    says.
    """
    first = next_after(expression, after)
    if first is None or first > now:
        return None
    since = max(lived_since, now - LATE_MS)
    if first >= since:
        return Tick(first, is_wanted=True)
    newest = last_before(expression, since)
    assert newest is not None, "the first one is before that moment"
    return Tick(newest, is_wanted=missed is Missed.RUN_ONCE)


def _told(why: str) -> str:
    """Name the field as the documentation does: cronsim says `Bad day-of-month`."""
    field = why.removeprefix("Bad ").replace("-", " ")
    return f"cannot be read: the field {field!r} is wrong" if field in FIELDS else why


def _datetime(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _moment(at: datetime | None) -> Moment | None:
    return None if at is None else round(at.timestamp()) * 1000
