"""Reads `@mention verb text` or `/covend verb text` off the first words of a comment; casual talk
is none.

Only the very beginning counts: a mention in a sentence, a quoted line (`> @covend fix`) or a code
block commands nothing. The verb is `[a-z][a-z0-9-]*` of at most 32 characters; like the mention it
may be typed in capitals, as telephones do. All that follows, on any number of lines, is the
command's text.
"""

from __future__ import annotations

import re
from functools import lru_cache

TEXT_MAX = 16 << 10
"""Bytes of UTF-8 that a command's text may have; the rest is cut off."""

PREFIX = "command."
"""A command answers to `on = ["command.VERB"]`."""

_SLASH = "/covend"
_BLANK = " \t\r\n"
_INDENT_MAX = 3
"""From four spaces on, Markdown shows a code block."""


def read_command(body: str | None, mention: str | None) -> tuple[str, str] | None:
    """Give verb and text of the command that a body begins with; `mention` None: only `/covend`."""
    start = (body or "").lstrip(_BLANK)
    if not body or start[:1] not in {"@", "/"} or _is_code(body[: len(body) - len(start)]):
        return None
    found = _pattern(mention).match(start)
    if found is None:
        return None
    return found[1].lower(), _cut(start[found.end() :].strip())


def says_something_new(body: str | None, former: str | None, mention: str | None) -> bool:
    """Say whether an edited body has a verb that it had not; a changed text is not enough."""
    now, before = read_command(body, mention), read_command(former, mention)
    return now is not None and (before is None or before[0] != now[0])


def _is_code(blank: str) -> bool:
    indent = blank.rpartition("\n")[2]
    return len(indent) > _INDENT_MAX or "\t" in indent


@lru_cache(maxsize=8)
def _pattern(mention: str | None) -> re.Pattern[str]:
    names = _SLASH if mention is None else f"{_SLASH}|@{re.escape(mention)}"
    return re.compile(
        rf"(?:{names})[ \t]+([a-z][a-z0-9-]{{0,31}})(?=\s|\Z)", re.IGNORECASE | re.ASCII
    )


def _cut(text: str) -> str:
    return text.encode()[:TEXT_MAX].decode(errors="ignore")
