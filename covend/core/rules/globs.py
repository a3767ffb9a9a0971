r"""Matches names and paths against lists of globs; no text, however odd, makes it slow.

`*` is any run of characters, `?` any one character, a leading `!` negates, and everything else
stands for itself: `[` too, since logins end in `[bot]`. A text that begins with `!` is asked for as
`\!…`.

In paths and repositories neither `*` nor `?` crosses a `/`; `**` does. A word `**` is any number of
directories (`**/test/*.py` finds `test/a.py`), and inside a word it may cross (`src/**.py`). At the
end of a path `**` wants at least one more name: `src/**` is what lies in `src`, never `src` itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

CROSSINGS_MAX = 4
"""How often one path may have `**` inside a word: each doubles the ways in which it can be read."""

Test = Callable[[str], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Globs:
    """A compiled list: with `!` globs only it accepts all the rest, empty it accepts nothing."""

    wanted: tuple[Test, ...]
    unwanted: tuple[Test, ...]
    ignores_case: bool

    def accepts(self, values: Sequence[str]) -> bool:
        """Say whether one of the values is wanted and not one is unwanted."""
        if self.ignores_case:
            values = [value.casefold() for value in values]
        if _finds(self.unwanted, values):
            return False
        return _finds(self.wanted, values) if self.wanted else bool(self.unwanted)

    def accepts_one(self, values: Sequence[str]) -> bool:
        """Say whether one of the values, by itself, is wanted and not unwanted."""
        return any(self.accepts((value,)) for value in values)


def _finds(tests: Sequence[Test], values: Sequence[str]) -> bool:
    # Plain loops: a generator costs more than most of the tests, and every delivery comes by here.
    for test in tests:
        for value in values:
            if test(value):
                return True
    return False


def compile_texts(patterns: Iterable[str], *, ignores_case: bool = False) -> Globs:
    """Compile globs in which `*` is any text, a `/` or a new line included."""
    return _compile(patterns, _compile_text, ignores_case=ignores_case)


def compile_paths(patterns: Iterable[str], *, ignores_case: bool = False) -> Globs:
    """Compile globs in which `*` stays within one directory; ValueError beyond `CROSSINGS_MAX`."""
    return _compile(patterns, _compile_path, ignores_case=ignores_case)


def _compile(patterns: Iterable[str], make: Callable[[str], Test], *, ignores_case: bool) -> Globs:
    known = [pattern.casefold() if ignores_case else pattern for pattern in patterns]
    return Globs(
        wanted=tuple(make(_plain(one)) for one in known if not one.startswith("!")),
        unwanted=tuple(make(one[1:]) for one in known if one.startswith("!")),
        ignores_case=ignores_case,
    )


def _plain(pattern: str) -> str:
    return pattern[1:] if pattern.startswith("\\!") else pattern


def _compile_text(pattern: str) -> Test:
    if not set("*?") & set(pattern):
        return pattern.__eq__
    first, *rest = (_compile_run(run) for run in re.split(r"\*+", pattern))
    if not rest:
        return re.compile(first, re.DOTALL).fullmatch
    # The leftmost place is good enough for every run but the last: atomic groups keep the engine
    # from trying all the others, which would take a stranger's text to the power of the stars.
    middle = "".join(f"(?>.*?{run})" for run in rest[:-1])
    return re.compile(f"{first}{middle}.*{rest[-1]}", re.DOTALL).fullmatch


def _compile_run(run: str) -> str:
    return ".".join(re.escape(part) for part in run.split("?"))


def _compile_path(pattern: str) -> Test:
    readings = [_compile_words(one) for one in _spell_out(_merge_stars(pattern), CROSSINGS_MAX)]
    if len(readings) == 1:
        return partial(_walk, readings[0])
    return lambda path: any(_walk(words, path) for words in readings)


def _merge_stars(pattern: str) -> str:
    return re.sub(r"\*{3,}", "**", pattern)


def _spell_out(pattern: str, crossings: int) -> list[str]:
    """Read `a**b` as what it means with whole words only: `a*b` and `a*/**/*b`."""
    crossing = re.search(r"(?<=[^/])\*\*|\*\*(?=[^/])", pattern)
    if crossing is None:
        return [pattern]
    if not crossings:
        message = f"more than {CROSSINGS_MAX} times ** inside a word"
        raise ValueError(message)
    before, after = pattern[: crossing.start()], pattern[crossing.end() :]
    ways = (f"{before}*{after}", f"{before}*/**/*{after}")
    return [one for way in ways for one in _spell_out(way, crossings - 1)]


def _compile_words(pattern: str) -> tuple[Test | None, ...]:
    """Give a test per name of the path, None for `**`."""
    words = pattern.split("/")
    if words[-1] == "**":
        words.append("*")
    return tuple(None if word == "**" else _compile_text(word) for word in words)


def _walk(words: tuple[Test | None, ...], path: str) -> bool:
    """Match words to names one by one; on a miss, let the last `**` take one name more."""
    names = path.split("/")
    word = name = 0
    star, resume = -1, 0
    while name < len(names):
        test = words[word] if word < len(words) else _never
        if test is None:
            star, resume = word, name
            word += 1
        elif test(names[name]):
            word, name = word + 1, name + 1
        elif star >= 0:
            resume += 1
            word, name = star + 1, resume
        else:
            return False
    return all(test is None for test in words[word:])


def _never(_: str) -> bool:
    return False
