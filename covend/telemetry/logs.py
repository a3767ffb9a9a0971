"""Log lines as JSON, one object a line, with the delivery, task and attempt that they belong to.

Nothing is logged that came from outside unless it is a short, named field; every line passes the
redactor. covend's own lines are written straight to the stream, since there is one for every
delivery; what libraries log comes through `logging` and looks the same.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import IO

import orjson

_context: ContextVar[Mapping[str, object]] = ContextVar("covend_log", default=MappingProxyType({}))
Redact = Callable[[str], str]
_OPTIONS = orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z


class Lines:
    """Writes lines of at least `level` to a stream, as they come."""

    def __init__(self, stream: IO[str], level: int, redact: Redact) -> None:
        self.level = level
        self._stream = stream
        self._redact = redact

    def write(
        self,
        level: int,
        logger: str,
        message: str,
        fields: Mapping[str, object],
        error: BaseException | None = None,
    ) -> None:
        """Write one line: at, level, logger, message, then the fields; what JSON does not know is
        shown by `str`.
        """
        line = {
            "at": datetime.now(UTC),
            "level": logging.getLevelName(level).lower(),
            "logger": logger,
            "message": message,
            **_context.get(),
            **fields,
        }
        if error is not None:
            line["traceback"] = "".join(traceback.format_exception(error))
        # A full disk or a closed pipe costs a line, never what the line was to tell of.
        try:
            self._stream.write(self._redact(_encode(line)))
            self._stream.flush()
        except (OSError, ValueError):
            return


def _encode(line: dict[str, object]) -> str:
    try:
        return orjson.dumps(line, default=str, option=_OPTIONS).decode()
    except TypeError:
        # A lone surrogate, a number beyond 64 bits: no reason to lose the line, or to raise.
        return json.dumps(line, default=str, skipkeys=True) + "\n"


_lines = Lines(sys.stderr, logging.WARNING, lambda text: text)


class Log:
    """A logger that takes fields by keyword."""

    def __init__(self, name: str) -> None:
        """Log as `covend.NAME`."""
        self._name = f"covend.{name}"

    def debug(self, message: str, **fields: object) -> None:
        """For whoever searches a fault."""
        self._write(logging.DEBUG, message, fields)

    def info(self, message: str, **fields: object) -> None:
        """What happened, as expected."""
        self._write(logging.INFO, message, fields)

    def warning(self, message: str, **fields: object) -> None:
        """What somebody may want to look at."""
        self._write(logging.WARNING, message, fields)

    def error(self, message: str, **fields: object) -> None:
        """What somebody has to look at."""
        self._write(logging.ERROR, message, fields)

    def exception(self, message: str, **fields: object) -> None:
        """As `error`, with the traceback of the exception that is being handled."""
        self._write(logging.ERROR, message, fields, sys.exc_info()[1])

    def _write(
        self,
        level: int,
        message: str,
        fields: Mapping[str, object],
        error: BaseException | None = None,
    ) -> None:
        if level >= _lines.level:
            _lines.write(level, self._name, message, fields, error)


@contextmanager
def about(**fields: object) -> Iterator[None]:
    """Add fields to every line that is logged inside, also in tasks that are started there."""
    token = _context.set({**_context.get(), **fields})
    try:
        yield
    finally:
        _context.reset(token)


class LibraryHandler(logging.Handler):
    """Takes what libraries log into the same lines."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        error = record.exc_info[1] if record.exc_info else None
        _lines.write(record.levelno, record.name, record.getMessage(), {}, error)


def configure(
    *, level: str = "INFO", stream: IO[str] | None = None, redact: Redact = lambda text: text
) -> None:
    """Send all logs of this process to `stream` (default: standard error) as JSON lines."""
    global _lines  # noqa: PLW0603  a process has one log
    number = logging.getLevelNamesMapping()[level]
    _lines = Lines(stream or sys.stderr, number, redact)
    logging.basicConfig(level=number, handlers=[LibraryHandler()], force=True)
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    # What aiohttp tells there is what strangers send that is no HTTP: scanners would fill the log.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
