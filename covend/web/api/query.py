"""Reads the query of a list; what it does not know or cannot read it refuses."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TypeVar

from aiohttp import web

from covend.core.errors import UserError

State = TypeVar("State", bound=StrEnum)
LIMIT_DEFAULT = 50
LIMIT_MAX = 200
OFFSET_MAX = 10**18 - 1
_NUMBER = re.compile(r"[0-9]{1,18}")


class Query:
    """The parameters of one request; an empty one is as good as none."""

    def __init__(self, request: web.Request, *known: str) -> None:
        """Take a request that may have each of the `known` parameters once."""
        self._given = request.query
        for name in self._given:
            if name not in known:
                raise UserError(
                    f"There is no parameter {name!r} here: there are {', '.join(known)}.", name=name
                )
            if len(self._given.getall(name)) > 1:
                raise UserError(f"The parameter {name!r} may be there once only.", name=name)

    def text(self, name: str) -> str | None:
        """Give a parameter as it is."""
        return self._given.get(name) or None

    def state(self, kind: type[State]) -> State | None:
        """Give the state that is asked for."""
        given = self.text("state")
        try:
            return kind(given) if given else None
        except ValueError as error:
            raise UserError(f"state must be one of {', '.join(kind)}.", name="state") from error

    def limit(self) -> int:
        """Give how many items a page shall have."""
        return self._number("limit", LIMIT_DEFAULT, 1, LIMIT_MAX)

    def offset(self) -> int:
        """Give the byte to begin with."""
        return self._number("offset", 0, 0, OFFSET_MAX)

    def flag(self, name: str) -> bool:
        """Say whether something is asked for, by 1; by 0 it is not."""
        return self._number(name, 0, 0, 1) == 1

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
