"""Durations and sizes as people say them: "4 min 3 s", "1.5 MiB". What programs read, and people
write in a configuration, is `units`' business.
"""

from __future__ import annotations

_UNITS = ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"), (60, "min", 1, "s"))
_SIZES = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


def duration(seconds: float) -> str:
    """Say a duration (not negative) in its two largest units; tenths and thousandths of a second
    only below a minute.
    """
    for large, name, small, below in _UNITS:
        if seconds >= large:
            whole, rest = divmod(int(seconds), large)
            return f"{whole} {name} {rest // small} {below}"
    return f"{seconds:.1f} s" if seconds >= 1 else f"{round(seconds * 1000)} ms"


def whole_duration(seconds: int) -> str:
    """As `duration`, of whole seconds."""
    return duration(seconds) if seconds >= _UNITS[-1][0] else f"{seconds} s"


def roughly(seconds: float) -> str:
    """Say a duration (not negative) by its largest unit alone."""
    for large, name, _, _ in _UNITS:
        if seconds >= large:
            return f"{int(seconds // large)} {name}"
    return f"{int(seconds)} s"


def size(count: int) -> str:
    """Say a number of bytes."""
    for unit, name in _SIZES:
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count} B"
