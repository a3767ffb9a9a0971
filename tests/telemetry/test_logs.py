from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from typing import NoReturn

import anyio
import anyio.lowlevel
import pytest

from covend.telemetry import logs
from covend.telemetry.logs import Log, about
from tests.telemetry.book import Book

SECRET = "s3cret-of-the-hook"


@pytest.fixture
def book(monkeypatch: pytest.MonkeyPatch) -> Book:
    return Book(monkeypatch, SECRET)


log = Log("test")


def test_a_line_is_one_object_with_its_fields(book: Book) -> None:
    log.warning("the\nhead moved", was="a\r\nb\u2028c", number=7, nothing=None)
    [line] = book.lines()
    assert book.text.count("\n") == 1
    assert line["at"].endswith("Z")
    assert {name: line[name] for name in ("level", "logger", "message")} == {
        "level": "warning",
        "logger": "covend.test",
        "message": "the\nhead moved",
    }
    assert (line["was"], line["number"], line["nothing"]) == ("a\r\nb\u2028c", 7, None)


def test_a_line_names_what_it_is_about(book: Book) -> None:
    with about(delivery="d"), about(task="t", attempt=1):
        log.info("inside", attempt=2)
    log.info("outside")
    inside, outside = book.lines()
    assert (inside["delivery"], inside["task"], inside["attempt"]) == ("d", "t", 2)
    assert not {"delivery", "task", "attempt"} & outside.keys()


async def test_what_two_tasks_are_about_is_not_mixed_up(book: Book) -> None:
    async def tell(name: str) -> None:
        with about(task=name):
            await anyio.lowlevel.checkpoint()
            log.info(name)

    async with anyio.create_task_group() as group:
        group.start_soon(tell, "a")
        group.start_soon(tell, "b")
    assert sorted((line["message"], line["task"]) for line in book.lines()) == [
        ("a", "a"),
        ("b", "b"),
    ]


def test_no_secret_gets_into_a_line(book: Book) -> None:
    try:
        raise ValueError(SECRET)  # noqa: TRY301 - its traceback is what is tested
    except ValueError:
        log.exception("refused", header=f"x={SECRET}")
    assert "ValueError" in book.lines()[0]["traceback"]
    assert SECRET not in book.text


@pytest.mark.parametrize("value", [object(), {1, 2}, b"\xff", 1 << 80, "\ud800", {("a",): 1}])
def test_no_value_keeps_a_line_from_being_written(book: Book, value: object) -> None:
    log.error("odd", value=value)
    assert book.lines()[0]["message"] == "odd"


def test_a_process_logs_from_its_level_on_and_no_more_than_that() -> None:
    program = (
        "from covend.telemetry import logs\n"
        "logs.configure(level='WARNING', redact=lambda text: text.replace('hush', '…'))\n"
        "logs.Log('x').info('not this')\n"
        "logs.Log('x').warning('hush this')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout == b""
    [line] = done.stderr.splitlines()
    assert json.loads(line)["message"] == "… this"


class FullDisk(io.StringIO):
    """A stream that takes nothing."""

    def write(self, _text: str) -> NoReturn:
        raise OSError(28, "No space left on device")


def test_a_log_that_cannot_be_written_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = logs.Lines(FullDisk(), logging.INFO, str)
    monkeypatch.setattr(logs, "_lines", lines)
    log.error("lost")


def test_what_a_library_logs_is_a_line_too(book: Book) -> None:
    record = logging.LogRecord("aiohttp.server", logging.ERROR, "", 1, "%s failed", ("it",), None)
    logs.LibraryHandler().emit(record)
    [line] = book.lines()
    assert (line["logger"], line["level"], line["message"]) == (
        "aiohttp.server",
        "error",
        "it failed",
    )
