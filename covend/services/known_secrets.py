"""What must not be seen, wherever it turns up: the secrets that covend was given, those it makes,
and the tokens it is handed while it runs.

One list for the whole daemon, shared by everything that redacts: what is learned here is looked for
from then on in logs, in what agents say, and in what leaves for GitHub. Nothing given is forgotten
before the end, also where a new configuration names another; what was handed out is known for
`HANDED_S` longer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from threading import Lock
from time import monotonic

from covend.core.model import Json
from covend.core.redact import Known, Redactor

HANDED_S = 2 * 3600.0
"""Seconds; GitHub's tokens live for one hour, and are kept until shortly before."""
HANDED_MAX = 256
"""Tokens; the oldest gives way. Their shape is looked for all the same."""


class Secrets:
    """May be asked and told from any thread."""

    def __init__(self, given: Iterable[str] = (), *, now: Callable[[], float] = monotonic) -> None:
        """Know these for good; `now` gives seconds."""
        self.known = Known()
        self._now = now
        self._lock = Lock()
        self._kept: set[str] = set()
        self._handed: dict[str, float] = {}
        """Until when, in the order of that."""
        self._redactor = Redactor(self.known)
        self.keep(given)

    def keep(self, texts: Iterable[str]) -> None:
        """Know these for good, beside all that were known before."""
        with self._lock:
            for text in set(texts) - self._kept:
                self._kept.add(text)
                self.known.add(text)

    def learn(self, text: str) -> None:
        """Know a token that was made or handed out just now, also after it was revoked."""
        with self._lock:
            if self._handed.pop(text, None) is None:
                self.known.add(text)
            self._handed[text] = self._now() + HANDED_S
            self._drop_old()

    def text(self, text: str) -> str:
        """Give one text without any secret: of a log, of an error, on its way out."""
        return self._redactor.text(text)

    def values(self, value: Json) -> Json:
        """Give a JSON object without any secret in its texts."""
        cleaned: Json = self._redactor.values(value)
        return cleaned

    def _drop_old(self) -> None:
        now = self._now()
        for text, until in tuple(self._handed.items()):
            if until > now and len(self._handed) <= HANDED_MAX:
                break
            del self._handed[text]
            self.known.drop(text)
