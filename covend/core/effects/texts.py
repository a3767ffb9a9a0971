"""Text on its way to GitHub: made harmless, made to fit, put into Markdown without breaking what
follows.

What an agent wrote is never trusted to close what it opens. https://github.github.com/gfm/
"""

from __future__ import annotations

import re

from covend.core.effects.marker import OPENING

BODY_MAX = 65_536
"""Characters that GitHub takes in a comment or review."""
CUT_NOTE = "*The rest was cut: GitHub takes no longer text.*"
BYTES_NOTE = "(The rest was cut.)"

_DROPPED = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters
    r"\ud800-\udfff"  # halves of pairs, which UTF-8 cannot write
    r"\u202a-\u202e\u2066-\u2069]"  # turn the direction of writing: https://trojansource.codes
)
_FENCE = re.compile(r"( {0,3})(`{3,100}|~{3,100})(.*)")
_TICKS = re.compile("`+")
_MARKUP = re.compile(r"[\\*_\[\]<>&~]")
_FENCE_ROOM = 128


def clean(text: str) -> str:
    """Drop what nobody can see or send: control characters other than line feeds and tabs."""
    unified = text.replace("\r\n", "\n").replace("\r", "\n")
    return _DROPPED.sub("", unified)


def tame(markdown: str) -> str:
    """Clean an agent's Markdown: its fences are closed, it opens no HTML comment and forges no
    marker.
    """
    lines: list[str] = []
    fence: str | None = None
    for line in clean(markdown).strip("\n").split("\n"):
        lines.append(_without_comment(line, in_code=fence is not None))
        fence = _fence_after(line, fence)
    return "\n".join([*lines, fence] if fence else lines)


def cut(markdown: str, limit: int, note: str = CUT_NOTE) -> str:
    """Fit text into `limit` characters (at least 512): whole lines, and a note where there was
    more.
    """
    if len(markdown) <= limit:
        return markdown
    room = limit - len(note) - _FENCE_ROOM
    kept = markdown[:room]
    whole = kept.rpartition("\n")[0] or kept
    fence = _open_fence(whole)
    return "\n".join([whole, *([fence] if fence else []), "", note])


def cut_note(task: str) -> str:
    """Say below a text that was cut where all of it can be read."""
    return f"*The rest was cut: GitHub takes no longer text. See {code(f'covend show {task}')}.*"


def cut_bytes(text: str, limit: int) -> str:
    """Fit text that is no Markdown into `limit` bytes (at least 64): whole lines where it has some,
    and a note.
    """
    if len(text.encode()) <= limit:
        return text
    room = limit - len(BYTES_NOTE) - 1
    kept = text.encode()[:room].decode(errors="ignore")
    whole = kept.rpartition("\n")[0] or kept
    return f"{whole}\n{BYTES_NOTE}"


def shorten(sealed: str, limit: int, note: str = CUT_NOTE) -> str:
    """Fit a sealed text into fewer characters; what it was sealed with stays."""
    text, _, end = sealed.rpartition("\n\n")
    return f"{cut(text, limit - len(end) - 2, note)}\n\n{end}"


def paragraphs(*parts: str) -> str:
    """Put those that say something below each other."""
    return "\n\n".join(part for part in parts if part)


def one_line(text: str, limit: int) -> str:
    """Make one line of at most `limit` characters."""
    line = " ".join(clean(text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def code(text: str) -> str:
    """Write a piece of text as inline code, whatever backticks are in it."""
    line = one_line(text, BODY_MAX // 4)
    ticks = "`" * (_longest_ticks(line) + 1)
    space = " " if line[:1] == "`" or line[-1:] == "`" else ""
    return f"{ticks}{space}{line}{space}{ticks}" if line else ""


def plain(text: str) -> str:
    """Write a sentence on one line: what stands between backticks is code, all else is no markup
    and calls nobody.
    """
    *pairs, rest = one_line(text, BODY_MAX // 4).split("`")
    parts = [code(part) if at % 2 else _unmarked(part) for at, part in enumerate(pairs)]
    # Of an odd number of backticks the last one opens nothing.
    opened = "\\`" if len(pairs) % 2 else ""
    return f"{''.join(parts)}{opened}{_unmarked(rest)}"


def fenced(text: str, language: str = "") -> str:
    """Write lines as a block of code, within a fence longer than any in it."""
    fence = "`" * max(3, _longest_ticks(text) + 1)
    content = clean(text).removesuffix("\n").replace(OPENING, "<!-- (covend):")
    return "\n".join([f"{fence}{language}", *([content] if text else []), fence])


def seal(markdown: str, *tail: str, note: str = CUT_NOTE) -> str:
    """Put lines that must stay (the footer, the marker) below a text that may be cut for them."""
    end = "\n".join(tail)
    return f"{cut(markdown, BODY_MAX - len(end) - 2, note)}\n\n{end}"


def _unmarked(text: str) -> str:
    """A zero-width space keeps `@name` from being a call, which no backslash does."""
    return _MARKUP.sub(r"\\\g<0>", text).replace("@", "@\u200b")


def _without_comment(line: str, *, in_code: bool) -> str:
    unforged = line.replace(OPENING, "<!-- (covend):")
    return unforged if in_code else unforged.replace("<!--", "&lt;!--")


def _fence_after(line: str, fence: str | None) -> str | None:
    """Give the line that would close the fence that is open after `line`, if one is."""
    found = _FENCE.fullmatch(line)
    if found is None:
        return fence
    indent, marks, rest = found.groups()
    if fence is None:
        return None if marks[0] == "`" and "`" in rest else indent + marks
    opened = fence.lstrip()
    closes = marks[0] == opened[0] and len(marks) >= len(opened) and not rest.strip()
    return None if closes else fence


def _open_fence(markdown: str) -> str | None:
    fence: str | None = None
    for line in markdown.split("\n"):
        fence = _fence_after(line, fence)
    return fence


def _longest_ticks(text: str) -> int:
    return max((len(run) for run in _TICKS.findall(text)), default=0)
