from __future__ import annotations

from collections.abc import Iterable
from itertools import count, pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import anyio.lowlevel
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from covend.edges.agents.output import (
    BATCH_MAX,
    CUT_LINE,
    Lines,
    Log,
    Stream,
    Tail,
    read_lines,
    read_log,
)


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


async def test_lines_of_one_turn_of_the_loop_are_written_together(tmp_path: Path) -> None:
    """Each line was a system call, a hundred thousand of them a second held everything up."""
    rings: list[int] = []
    path = tmp_path / "log"
    with Log(path, limit=1 << 20, clock=lambda: 1, on_written=lambda: rings.append(1)) as log:
        for number in range(100):
            log.write(Stream.OUT, str(number))
        assert path.stat().st_size == 0
        assert log.size > 0
        await anyio.lowlevel.checkpoint()
        assert path.stat().st_size == log.size
        assert rings == [1]
        log.write(Stream.OUT, "last")
    assert [entry[2] for entry in entries(path)] == [*map(str, range(100)), "last"]
    assert rings == [1, 1]


async def test_what_waits_to_be_written_is_bounded(tmp_path: Path) -> None:
    with Log(tmp_path / "log", limit=1 << 30, clock=lambda: 1) as log:
        for _ in range(10):
            log.write(Stream.OUT, "x" * BATCH_MAX)
            assert log.size - (tmp_path / "log").stat().st_size < BATCH_MAX


async def test_a_log_that_is_closed_before_its_turn_has_lost_nothing(tmp_path: Path) -> None:
    with Log(tmp_path / "log", limit=1000, clock=lambda: 1) as log:
        log.write(Stream.OUT, "one")
    await anyio.lowlevel.checkpoint()
    assert len(entries(tmp_path / "log")) == 1


@given(st.lists(st.text(st.characters(exclude_categories=[])), max_size=5))
def test_any_text_is_one_line_of_the_log(said: list[str]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "log"
        with Log(path, limit=1 << 20, clock=lambda: 1) as log:
            for text in said:
                log.write(Stream.OUT, text)
        lines, following = read_lines(path)
        assert following == log.size
        assert [line.text for line in lines] == [
            text.encode("utf-8", "replace").decode() for text in said
        ]


def test_a_line_that_a_crash_broke_off_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b'[1,"o","one"]\n[2,"o","tw')
    assert [line.text for line in read_lines(path)[0]] == ["one"]
    with log_of(path) as log:
        log.write(Stream.OUT, "three")
    lines, following = read_lines(path)
    assert [line.text for line in lines] == ["one", "three"]
    assert following == lines[-1].next_offset == path.stat().st_size


@pytest.mark.parametrize(
    "broken",
    [b"null\n", b"[]\n", b"[1]\n", b'["x","o","y"]\n', b'[1,"q","y"]\n', b"\xff\0\n", b"\n"],
)
def test_what_is_no_line_is_passed_over(tmp_path: Path, broken: bytes) -> None:
    path = tmp_path / "log"
    path.write_bytes(b'[1,"o","one"]\n' + broken + b'[2,"e","two"]\n')
    lines, following = read_lines(path)
    assert [(line.stream, line.text) for line in lines] == [("o", "one"), ("e", "two")]
    assert following == path.stat().st_size


def test_every_offset_that_a_line_gives_leads_to_the_next(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with log_of(path) as log:
        for number in range(5):
            log.write(Stream.OUT, f"{number} é\0")
    lines, _ = read_lines(path)
    for place, line in enumerate(lines):
        assert read_lines(path, line.next_offset)[0] == lines[place + 1 :]
