"""How far back a delivery log is looked through, and what of it counts as missed."""

from __future__ import annotations

import pytest

from covend.core.model import DeliveryId
from covend.core.reconciling import (
    LOG_KEPT_S,
    OVERLAP_S,
    Gathering,
    LogEntry,
    Missed,
    Through,
    dump_through,
    floor_of,
    is_beyond_log,
    load_through,
)

NOW = 1_790_000_000_000
DAY_S = 86_400.0
MONTH_S = 30 * DAY_S
BEGUN_S = 2 * DAY_S


def ago(seconds: float) -> int:
    return NOW - round(seconds * 1000)


def entry(number: int, guid: str, *, at: int | None = None, status: int = 502) -> LogEntry:
    moment = NOW + number if at is None else at
    return LogEntry(id=number, guid=DeliveryId(guid), delivered_at=moment, status_code=status)


def ids(*names: str) -> frozenset[DeliveryId]:
    return frozenset(map(DeliveryId, names))


@pytest.mark.parametrize(
    ("through_s", "since_s", "retention_s", "floor_s"),
    [
        (None, None, MONTH_S, BEGUN_S + OVERLAP_S),
        (None, 3_600, MONTH_S, BEGUN_S + OVERLAP_S),
        (None, 9 * DAY_S, MONTH_S, LOG_KEPT_S),
        (3_600, None, MONTH_S, 3_600 + OVERLAP_S),
        (3_600, 2 * DAY_S, MONTH_S, 2 * DAY_S),
        (3_600, 60, MONTH_S, 3_600 + OVERLAP_S),
        (3_600, 9 * DAY_S, MONTH_S, LOG_KEPT_S),
        (9 * DAY_S, None, MONTH_S, LOG_KEPT_S),
        (None, None, DAY_S, 0.9 * DAY_S),
        (3_600, 2 * DAY_S, DAY_S, 0.9 * DAY_S),
    ],
)
def test_a_look_begins_behind_the_last_one_and_no_further_than_anything_is_kept(
    through_s: float | None, since_s: float | None, retention_s: float, floor_s: float
) -> None:
    through = None if through_s is None else Through(ago(through_s), NOW)
    since = None if since_s is None else ago(since_s)
    assert floor_of(through, since, NOW, retention_s, begun=ago(BEGUN_S)) == ago(floor_s)


def test_how_far_it_got_is_read_as_it_was_written() -> None:
    through = Through(5, 7)
    assert load_through(dump_through(through)) == through


@pytest.mark.parametrize("text", [None, "", "x", "[]", "{}", '{"through_at": "5", "looked_at": 7}'])
def test_what_was_not_written_so_is_no_place_to_go_on_from(text: str | None) -> None:
    assert load_through(text) is None


@pytest.mark.parametrize(
    ("through", "is_beyond"),
    [
        (None, False),
        (Through(ago(9 * DAY_S), ago(60)), False),
        (Through(ago(9 * DAY_S), ago(4 * DAY_S)), True),
        (Through(ago(9 * DAY_S), 0), False),
    ],
)
def test_only_what_was_not_looked_at_for_days_leaves_a_gap(
    through: Through | None, is_beyond: bool
) -> None:
    assert is_beyond_log(through, NOW) is is_beyond


def test_the_tries_of_a_delivery_are_one_that_is_as_old_as_the_first() -> None:
    gathering = Gathering(floor=0, missed_max=9)
    tries = [entry(9, "a", status=202), entry(5, "b"), entry(3, "a")]
    gathering.note(tries, ids("a", "b"))
    assert gathering.oldest_first() == [
        Missed(DeliveryId("a"), 3, NOW + 3, was_taken=True),
        Missed(DeliveryId("b"), 5, NOW + 5, was_taken=False),
    ]


@pytest.mark.parametrize("status", [200, 202, 299])
def test_an_answer_of_2xx_is_taken(status: int) -> None:
    assert entry(1, "a", status=status).was_taken


@pytest.mark.parametrize("status", [0, 199, 300, 404, 502])
def test_any_other_answer_is_none(status: int) -> None:
    assert not entry(1, "a", status=status).was_taken


def test_of_too_many_the_newest_are_let_go_and_that_is_said() -> None:
    gathering = Gathering(floor=0, missed_max=2)
    gathering.note([entry(4, "d"), entry(3, "c")], ids("c", "d"))
    assert not gathering.is_cut
    gathering.note([entry(2, "b")], ids("b"))
    assert [missed.guid for missed in gathering.oldest_first()] == ["b", "c"]
    assert gathering.is_cut


def test_a_page_is_looked_at_down_to_the_floor() -> None:
    gathering = Gathering(floor=50, missed_max=9)
    page = [entry(3, "c", at=70), entry(2, "b", at=50), entry(1, "a", at=49)]
    assert gathering.within(page[:2]) == page[:2]
    assert not gathering.has_reached_floor
    assert gathering.within(page[2:]) == []
    assert (gathering.has_reached_floor, gathering.reached_at) == (True, 70)
