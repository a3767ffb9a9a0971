"""Reads the query of a list; what it does not know or cannot read it refuses."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TypeVar

from aiohttp import web

from covend.core.errors import UserError
from covend.core.model import Moment

State = TypeVar("State", bound=StrEnum)
LIMIT_DEFAULT = 50
LIMIT_MAX = 200
OFFSET_MAX = 10**18 - 1
PHRASE_MAX = 200
"""Characters of what is searched for."""
SUBJECT = r"([A-Za-z0-9_.-]{1,100}/[A-Za-z0-9_.-]{1,100})#([0-9]{1,15})"
_SUBJECT = re.compile(SUBJECT, re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Query:
    """The parameters of one request; an empty one is as good as none."""

    def __init__(self, request: web.Request, *known: str) -> None:
        """Take a request that may have each of the `known` parameters once."""
        self._given = request.query
        for name in self._given:
            if name not in known:
                there = f"there are {', '.join(known)}" if known else "there is none"
                raise UserError(f"There is no parameter {name!r} here: {there}.", name=name)
            if len(self._given.getall(name)) > 1:
                raise UserError(f"The parameter {name!r} may be there once only.", name=name)

    def text(self, name: str) -> str | None:
        """Give a parameter as it is."""
        return self._given.get(name) or None

    def state(self, kind: type[State]) -> State | None:
        """Give the state that is asked for."""
        return self.name_of("state", kind)

    def name_of(self, name: str, kind: type[State]) -> State | None:
        """Give one of a fixed set of names."""
        given = self.text(name)
        try:
            return kind(given) if given else None
        except ValueError as error:
            raise UserError(f"{name} must be one of {', '.join(kind)}.", name=name) from error

    def names_of(self, name: str, known: Collection[str]) -> frozenset[str]:
        """Give some of a fixed set of names, as they are told with commas between them; all of them
        where none is told.
        """
        given = frozenset((self.text(name) or ",".join(known)).split(","))
        if not given <= set(known):
            raise UserError(f"{name} must be some of {', '.join(known)}.", name=name)
        return given

    def phrase(self, name: str) -> str | None:
        """Give what is searched for: a text of bounded length."""
        given = self.text(name)
        if given is not None and len(given) > PHRASE_MAX:
            raise UserError(f"{name} must have {PHRASE_MAX} characters at most.", name=name)
        return given

    def moment(self, name: str) -> Moment | None:
        """Give a moment, as RFC 3339 writes it."""
        given = self.text(name)
        if given is None:
            return None
        try:
            at = datetime.fromisoformat(given.upper()) if _MOMENT.fullmatch(given) else None
        except ValueError:
            at = None
        if at is None:
            form = "a moment such as 2026-01-31T09:30:00Z"
            raise UserError(f"{name} must be {form}.", name=name)
        return (at - _EPOCH) // timedelta(milliseconds=1)

    def subject(self, name: str) -> tuple[str, int] | None:
        """Give a pull request or an issue that is written as O/R#N."""
        given = self.text(name)
        if given is None:
            return None
        found = _SUBJECT.fullmatch(given)
        if found is None:
            raise UserError(f"{name} must be OWNER/REPOSITORY#NUMBER.", name=name)
        return found[1], int(found[2])

    def limit(self) -> int:
        """Give how many items a page shall have."""
        return self._number("limit", LIMIT_DEFAULT, 1, LIMIT_MAX)

    def offset(self) -> int:
        """Give the byte to begin with."""
        return self._number("offset", 0, 0, OFFSET_MAX)

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Say whether something is asked for, by 1; by 0 it is not."""
        return self._number(name, int(default), 0, 1) == 1

    def cursor(self, form: re.Pattern[str]) -> str | None:
        """Give where the page begins; only what a list has given as `next_cursor` has that form."""
        given = self.text("cursor")
        if given and not form.fullmatch(given):
            raise UserError("cursor must be a next_cursor of this list.", name="cursor")
        return given

    def _number(self, name: str, default: int, least: int, most: int) -> int:
        given = self.text(name)
        if given is None:
            return default
        if not _NUMBER.fullmatch(given) or not least <= int(given) <= most:
            raise UserError(f"{name} must be a number from {least} to {most}.", name=name)
        return int(given)


ID_CURSOR = re.compile(r"[0-9a-z]{1,32}")
NUMBER_CURSOR = _NUMBER
