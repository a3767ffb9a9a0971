"""Reads what programs print for terminals: colours become names, everything else becomes harmless.

A line becomes pieces of plain text with class names of a fixed set; nothing in them moves a cursor,
sets a title, touches a clipboard, links anywhere or turns the reading direction. Never raises.
Sources: ECMA-48, and https://invisible-island.net/xterm/ctlseqs/ctlseqs.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple

_BODY = r"[^\x00-\x1f\x7f-\x9f]*+(?:\x07|\x1b\\|\x9c)"
_ESCAPE = re.compile(
    r"(?:\x1b\[|\x9b)(?P<parameters>[0-?]*+)(?P<between>[ -/]*+)(?P<final>[@-~])?"
    # A title, a link, a clipboard, what only one terminal knows: gone with its text, where it ends.
    rf"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])(?:{_BODY})?"
    r"|\x1b[ -/]*+[0-~]?"
)
_HARMFUL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
"""C0 but tab and newline, C1, DEL, lone surrogates, and what turns the reading direction."""
_PICTURES, _DELETE_PICTURE, _DELETE = 0x2400, "\u2421", 0x7F
_C0_END, _BYTE_MAX = 0x20, 0xFF
_NUMBER = re.compile(r"[0-9]{1,3}", re.ASCII)
_PALETTE = (
    (0, 0, 0), (205, 0, 0), (0, 205, 0), (205, 205, 0),
    (0, 0, 238), (205, 0, 205), (0, 205, 205), (229, 229, 229),
    (127, 127, 127), (255, 0, 0), (0, 255, 0), (255, 255, 0),
    (92, 92, 255), (255, 0, 255), (0, 255, 255), (255, 255, 255),
)  # fmt: skip
"""The sixteen colours that there are classes for, as xterm shows them."""
_CUBE = (0, 95, 135, 175, 215, 255)
_CUBE_BEGINS, _GREYS_BEGIN = 16, 232
_BY_NUMBER, _BY_RGB = 5, 2
_FOREGROUND, _BACKGROUND = 38, 48
Rgb = tuple[int, int, int]


_BLACK, _WHITE = 0, 7
"""What a terminal has where nothing was chosen."""


class Segment(NamedTuple):
    """A piece of a line."""

    text: str
    classes: str
    """Names parted by spaces, such as `bold f1`; "" for plain text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How text looks from here on."""

    foreground: int | None = None
    """A place in the palette of sixteen."""
    background: int | None = None
    marks: frozenset[str] = frozenset()

    @property
    def classes(self) -> str:
        """Name it."""
        front, back = self.foreground, self.background
        if "inverse" in self.marks:
            front, back = _or(back, _BLACK), _or(front, _WHITE)
        names = [*sorted(self.marks - {"inverse"})]
        names += [] if front is None else [f"f{front}"]
        names += [] if back is None else [f"b{back}"]
        return " ".join(names)


PLAIN = Look()
_ON = {1: "bold", 2: "dim", 3: "italic", 4: "underline", 7: "inverse", 9: "strike"}
"""Blinking disturbs, and what is concealed is worth a look: there is nothing for either."""
_OFF = {22: {"bold", "dim"}, 23: {"italic"}, 24: {"underline"}, 27: {"inverse"}, 29: {"strike"}}


def harmless(text: str) -> str:
    """Show what is no text as a sign for it; newlines and tabs stay, CR LF is a newline."""
    return _HARMFUL.sub(_sign, text.replace("\r\n", "\n"))


def read_line(line: str, look: Look = PLAIN) -> tuple[tuple[Segment, ...], Look]:
    """Take a line apart, beginning with the look that the one before it has left; give also the one
    that it leaves.
    """
    pieces: list[Segment] = []
    at = 0
    for found in _ESCAPE.finditer(line):
        _add(pieces, line[at : found.start()], look)
        at = found.end()
        if found["final"] == "m" and not found["between"]:
            look = _turn(look, found["parameters"])
    _add(pieces, line[at:], look)
    return tuple(pieces), look


def read_lines(lines: Sequence[str]) -> Iterator[tuple[Segment, ...]]:
    """Take lines apart that follow each other."""
    look = PLAIN
    for line in lines:
        segments, look = read_line(line, look)
        yield segments


def _or(colour: int | None, default: int) -> int:
    return default if colour is None else colour


def _add(pieces: list[Segment], text: str, look: Look) -> None:
    if not text:
        return
    shown, classes = harmless(text), look.classes
    if pieces and pieces[-1].classes == classes:
        pieces[-1] = Segment(pieces[-1].text + shown, classes)
    else:
        pieces.append(Segment(shown, classes))


def _sign(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < _C0_END:
        return chr(_PICTURES + code)
    if code == _DELETE:
        return _DELETE_PICTURE
    return f"\\x{code:02x}" if code <= _BYTE_MAX else f"\\u{code:04x}"


def _turn(look: Look, parameters: str) -> Look:
    """Follow "select graphic rendition"; what is unknown in it changes nothing."""
    rest = iter(_numbers(parameters))
    for group in rest:
        first = group[0]
        if first in (_FOREGROUND, _BACKGROUND):
            colour = _colour(group[1:]) if len(group) > 1 else _colour_of(rest)
            if colour is not None:
                look = _paint(look, colour, is_behind=first == _BACKGROUND)
        elif group == (4, 0):
            look = replace(look, marks=look.marks - {"underline"})
        else:
            look = _simple(look, first)
    return look


def _simple(look: Look, code: int) -> Look:
    if code == 0:
        return PLAIN
    if code in _ON:
        return replace(look, marks=look.marks | {_ON[code]})
    if code in _OFF:
        return replace(look, marks=look.marks - _OFF[code])
    if code in (39, 49):
        return _paint(look, None, is_behind=code == 49)  # noqa: PLR2004 - the codes themselves
    for begins, offset in ((30, 0), (40, 0), (90, 8), (100, 8)):
        if begins <= code < begins + 8:
            return _paint(look, code - begins + offset, is_behind=begins in (40, 100))
    return look


def _paint(look: Look, colour: int | None, *, is_behind: bool) -> Look:
    return replace(look, background=colour) if is_behind else replace(look, foreground=colour)


def _numbers(parameters: str) -> list[tuple[int, ...]]:
    """Read `1;38:5:3`; what is missing is 0, and what is no number of three digits is -1."""
    groups = (group.split(":") for group in parameters.split(";"))
    return [tuple(_number(one) for one in group) for group in groups]


def _number(text: str) -> int:
    if not text:
        return 0
    return int(text) if _NUMBER.fullmatch(text) else -1


def _colour_of(rest: Iterator[tuple[int, ...]]) -> int | None:
    """Read the colour that follows as further parameters, and take them off."""
    kind = next(rest, (-1,))[0]
    count = {_BY_NUMBER: 1, _BY_RGB: 3}.get(kind, 0)
    return _colour((kind, *(next(rest, (-1,))[0] for _ in range(count))))


def _colour(numbers: tuple[int, ...]) -> int | None:
    """Give the place in the palette of `5, number` or `2, (space,) red, green, blue`."""
    kind, *values = numbers
    if any(not 0 <= value <= _BYTE_MAX for value in values):
        return None
    if kind == _BY_NUMBER and values:
        return _of_number(values[0])
    if kind == _BY_RGB and len(values) >= 3:  # noqa: PLR2004 - red, green, blue
        red, green, blue = values[-3:] if len(values) <= 4 else values[1:4]  # noqa: PLR2004
        return _nearest((red, green, blue))
    return None


def _of_number(number: int) -> int:
    if number < _CUBE_BEGINS:
        return number
    if number >= _GREYS_BEGIN:
        grey = 8 + 10 * (number - _GREYS_BEGIN)
        return _nearest((grey, grey, grey))
    place = number - _CUBE_BEGINS
    return _nearest((_CUBE[place // 36], _CUBE[place // 6 % 6], _CUBE[place % 6]))


@cache
def _near(red: int, green: int, blue: int) -> int:
    def distance(place: int) -> int:
        other = _PALETTE[place]
        return (other[0] - red) ** 2 + (other[1] - green) ** 2 + (other[2] - blue) ** 2

    return min(range(len(_PALETTE)), key=distance)


def _nearest(colour: Rgb) -> int:
    """Give the nearest colour of the palette; sixteen steps of each part are told apart."""
    return _near(*(part & 0xF0 | part >> 4 for part in colour))
