"""Answers that GitHub may confirm instead of sending them again: a 304 costs nothing of the hour.

In memory, and bounded in bytes. One scope's answer is never found under another.
https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api#use-conditional-requests-if-appropriate
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

KEPT_BYTES_MAX = 16 << 20
PAGE_BYTES_MAX = 1 << 20
"""What is larger is fetched whole each time."""
_ENTRY_BYTES = 1_024
"""What an entry costs beside its texts."""


class Key(NamedTuple):
    """Whose answer to what."""

    installation: int | None
    repository: str
    permissions: tuple[tuple[str, str], ...]
    address: str
    query: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """An answer as it came; it is read anew each time, so that nobody changes another's."""

    etag: str
    raw: bytes = field(repr=False)
    headers: Mapping[str, str]
    """Those that the answer is of use by; a 304 need not repeat them."""

    @property
    def size(self) -> int:
        """Bytes, about."""
        texts = sum(len(name) + len(text) for name, text in self.headers.items())
        return len(self.raw) + len(self.etag) + texts + _ENTRY_BYTES


class KeptPages:
    """What was asked lately; the one that was of no use for longest goes first."""

    def __init__(self, bytes_max: int = KEPT_BYTES_MAX) -> None:
        """Keep nothing yet."""
        self._bytes_max = bytes_max
        self._pages: OrderedDict[Key, Page] = OrderedDict()
        self._bytes = 0

    @property
    def size(self) -> int:
        """Bytes that are kept now, about."""
        return self._bytes

    def find(self, key: Key) -> Page | None:
        """Give what was kept, and let it stay for longer."""
        page = self._pages.get(key)
        if page is not None:
            self._pages.move_to_end(key)
        return page

    def keep(self, key: Key, page: Page) -> None:
        """Keep an answer instead of an older one, where it is small enough."""
        self._drop(key)
        if len(page.raw) > PAGE_BYTES_MAX or page.size > self._bytes_max:
            return
        self._pages[key] = page
        self._bytes += page.size
        while self._bytes > self._bytes_max:
            self._drop(next(iter(self._pages)))

    def _drop(self, key: Key) -> None:
        page = self._pages.pop(key, None)
        if page is not None:
            self._bytes -= page.size
