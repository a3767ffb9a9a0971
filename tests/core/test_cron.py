from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covend.core.cron import LATE_MS, CronError, check_cron, choose_tick, last_before, next_after
from covend.core.model import Moment
from covend.core.outside import Missed

MONDAYS = "0 6 * * 1"
HOURLY = "0 * * * *"
MINUTE = 60_000
HOUR = 60 * MINUTE


def at(text: str) -> Moment:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("cron", "after", "coming"),
    [
        (MONDAYS, "2026-11-21T22:33", "2026-11-23T06:00"),
        (MONDAYS, "2026-11-23T06:00", "2026-11-30T06:00"),
        (MONDAYS, "2026-11-23T05:59:59.999", "2026-11-23T06:00"),
        ("*/15 8-9 * * *", "2026-01-01T09:45", "2026-01-02T08:00"),
        ("0 0 29 2 *", "2026-03-01", "2028-02-29"),
        ("0 12 1 * MON", "2026-11-21", "2026-11-23T12:00"),  # either day, as cron has it
        ("30 3 L * *", "2026-02-01", "2026-02-28T03:30"),
        ("0 9 * * FRI#2", "2026-11-21", "2026-12-11T09:00"),
    ],
)
def test_the_next_tick_is_later_and_as_cron_has_it(cron: str, after: str, coming: str) -> None:
    check_cron(cron)
    assert next_after(cron, at(after)) == at(coming)


def test_an_hour_that_summer_time_takes_away_elsewhere_is_there_in_utc() -> None:
    assert next_after("30 1 * * *", at("2026-03-29")) == at("2026-03-29T01:30")
    ticks, moment = [], at("2026-10-25")
    for _ in range(3):
        moment = next_after("30 * * * *", moment) or 0
        ticks.append(moment)
    assert ticks == [at(f"2026-10-25T0{hour}:30") for hour in range(3)]


@pytest.mark.parametrize(
    ("cron", "words"),
    [
        ("0 6 * *", "five cron fields"),
        ("0 0 6 * * 1", "five cron fields"),
        ("", "five cron fields"),
        ("60 * * * *", "'minute'"),
        ("0 24 * * *", "'hour'"),
        ("0 0 32 * *", "'day of month'"),
        ("0 0 * 13 *", "'month'"),
        ("0 0 * * 8", "'day of week'"),
        ("0 0 * * MONDAY", "'day of week'"),
        ("*/0 * * * *", "'minute'"),
        ("5-1 * * * *", "'minute'"),
        ("0 0 31 2 *", "'day of month'"),
        ("0 0 LW 2 */7", "never comes"),  # the last weekday of February, if it is a Sunday
    ],
)
def test_what_cannot_be_read_or_never_comes_is_refused(cron: str, words: str) -> None:
    with pytest.raises(CronError, match=words):
        check_cron(cron)


@given(
    st.sampled_from([MONDAYS, HOURLY, "*/7 * * * *", "0 0 29 2 *", "5 4 */3 * 2"]),
    st.integers(at("1990-01-01"), at("2060-01-01")),
)
def test_nothing_lies_between_a_moment_and_the_ticks_around_it(cron: str, moment: int) -> None:
    after, before = next_after(cron, moment), last_before(cron, moment)
    assert after is not None
    assert before is not None
    assert before < moment < after
    assert last_before(cron, after) in {before, moment}
    assert next_after(cron, before) in {after, moment}
    assert (after % MINUTE, before % MINUTE) == (0, 0)


# --- which tick is brought ------------------------------------------------------------------------


def chosen(
    now: str, *, lived_since: str = "2026-11-21", missed: Missed = Missed.RUN_ONCE
) -> tuple[Moment, bool] | None:
    """What comes next of an hourly schedule that has come as far as six in the morning."""
    tick = choose_tick(
        HOURLY,
        after=at("2026-11-21T06:00"),
        now=at(now),
        lived_since=at(lived_since),
        missed=missed,
    )
    return None if tick is None else (tick.at, tick.is_wanted)


def test_nothing_comes_before_it_is_due() -> None:
    assert chosen("2026-11-21T06:00") is None
    assert chosen("2026-11-21T06:59:59.999") is None
    assert chosen("2026-11-21T03:00") is None, "the clock was set back"


@pytest.mark.parametrize("missed", Missed)
def test_what_is_due_comes_whatever_is_done_with_the_missed(missed: Missed) -> None:
    assert chosen("2026-11-21T07:00", missed=missed) == (at("2026-11-21T07:00"), True)
    late = at("2026-11-21T07:00") + LATE_MS
    tick = choose_tick(HOURLY, after=at("2026-11-21T06:00"), now=late, lived_since=0, missed=missed)
    assert tick == (at("2026-11-21T07:00"), True)


def test_of_the_missed_the_newest_comes_alone() -> None:
    start = "2026-11-21T09:30"
    assert chosen(start, lived_since=start) == (at("2026-11-21T09:00"), True)
    assert chosen("2026-11-21T10:00", lived_since=start) == (at("2026-11-21T09:00"), True)


def test_the_missed_are_passed_over_up_to_the_newest() -> None:
    start = "2026-11-21T09:30"
    assert chosen(start, lived_since=start, missed=Missed.SKIP) == (at("2026-11-21T09:00"), False)


def test_a_tick_in_the_very_moment_of_the_start_is_not_missed() -> None:
    start = "2026-11-21T07:00"
    assert chosen(start, lived_since=start, missed=Missed.SKIP) == (at(start), True)


def test_ticks_that_nobody_could_bring_for_an_hour_do_not_come_all_at_once() -> None:
    brought, after, now = [], at("2026-11-21T06:00"), at("2026-11-21T07:00:30")
    while tick := choose_tick(
        "* * * * *", after=after, now=now, lived_since=0, missed=Missed.RUN_ONCE
    ):
        brought.append(tick.at)
        after = tick.at
    assert brought == [at("2026-11-21T06:55") + minute * MINUTE for minute in range(6)]
    assert timedelta(milliseconds=LATE_MS) == timedelta(minutes=5)
