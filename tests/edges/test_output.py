from __future__ import annotations

from collections.abc import Iterable
from itertools import count, pairwise
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from covend.edges.agents.output import CUT_LINE, Lines, Log, Stream, Tail, read_log


def log_of(path: Path, limit: int = 1000) -> Log:
    ticks = count(1)
    return Log(path, limit=limit, clock=lambda: next(ticks))


def entries(path: Path) -> list[list[object]]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


@given(data=st.binary(max_size=60), cuts=st.lists(st.integers(0, 60), max_size=8))
def test_lines_do_not_depend_on_how_the_stream_was_cut(data: bytes, cuts: list[int]) -> None:
    lines = Lines()
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    heard = [line for a, b in pairwise(places) for line in lines.feed(data[a:b])]
    heard += lines.finish()
    whole = [part.decode("utf-8", "replace").removesuffix("\r") for part in data.split(b"\n")]
    assert heard == (whole if data and not data.endswith(b"\n") else whole[:-1])


def test_a_line_over_the_limit_is_cut_and_the_next_one_is_whole() -> None:
    lines = Lines(limit=4)
    assert list(lines.feed(b"abc")) == []
    assert list(lines.feed(b"defgh\nok\nfour\n")) == ["abcd" + CUT_LINE, "ok", "four"]


def test_the_log_is_ordered_stamped_and_private(tmp_path: Path) -> None:
    with log_of(tmp_path / "log") as log:
        log.write(Stream.OUT, "one")
        log.write(Stream.ERROR, 'two "\u00fc"\0')
    assert entries(tmp_path / "log") == [[1, "o", "one"], [2, "e", 'two "\u00fc"\0']]
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600
    assert log.size == (tmp_path / "log").stat().st_size


def test_the_log_is_cut_once_with_a_mark_and_the_tail_goes_on(tmp_path: Path) -> None:
    with log_of(tmp_path / "log", limit=100) as log:
        for number in range(100):
            log.write(Stream.OUT, f"line {number}")
    kept = entries(tmp_path / "log")
    assert kept[-1][1:] == ["m", "output cut here: it is over 100 bytes"]
    assert [entry[1] for entry in kept].count("m") == 1
    assert log.tail.endswith("line 98\nline 99")


def test_the_tail_is_standard_output_only(tmp_path: Path) -> None:
    with log_of(tmp_path / "log") as log:
        log.write(Stream.OUT, "said")
        log.write(Stream.ERROR, "complained")
    assert log.tail == "said"


@given(lines=st.lists(st.text("ab", max_size=9), max_size=20))
def test_the_tail_is_the_end_of_all_lines(lines: Iterable[str]) -> None:
    tail = Tail(limit=10)
    lines = list(lines)
    for line in lines:
        tail.add(line)
    assert str(tail) == "\n".join(lines)[-10:]


def test_a_second_opening_goes_on_after_the_first(tmp_path: Path) -> None:
    for text in ("one", "two"):
        with log_of(tmp_path / "log") as log:
            log.write(Stream.OUT, text)
    assert [entry[2] for entry in entries(tmp_path / "log")] == ["one", "two"]


def test_a_link_in_the_logs_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "log").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic"):
        log_of(tmp_path / "log")


def test_a_full_disk_ends_the_log_and_nothing_else() -> None:
    with log_of(Path("/dev/full")) as log:
        log.write(Stream.OUT, "one")
        log.write(Stream.OUT, "two")
    assert log.size == 0
    assert log.tail == "one\ntwo"


def test_a_reader_goes_on_from_any_offset_it_was_given(tmp_path: Path) -> None:
    path = tmp_path / "log"
    assert read_log(path) == (b"", 0)
    with log_of(path) as log:
        log.write(Stream.OUT, "one")
        first, offset = read_log(path)
        assert read_log(path, offset) == (b"", offset)
        log.write(Stream.OUT, "two")
        second, end = read_log(path, offset)
    assert orjson.loads(first)[2] == "one"
    assert orjson.loads(second)[2] == "two"
    assert end == log.size


def test_a_reader_gets_whole_lines_and_at_least_one(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"[1]\n[22222]\n[3")
    assert read_log(path, 0, limit=2) == (b"[1]\n", 4)
    assert read_log(path, 4, limit=100) == (b"[22222]\n", 12)
    assert read_log(path, 12) == (b"", 12)
