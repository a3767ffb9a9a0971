"""One word for a store that cannot answer: whoever asks for work hears `store_unavailable`, and
never that the work is there already. A full queue is no such store, and says so itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from covend.core.errors import QueueFullError, StoreError


@contextmanager
def as_unavailable() -> Iterator[None]:
    """Raise what ails the store as a plain StoreError, whose cause says more."""
    try:
        yield
    except QueueFullError:
        raise
    except StoreError as error:
        raise StoreError(str(error)) from error
