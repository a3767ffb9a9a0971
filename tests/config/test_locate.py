"""Where keys stand: whatever `tomllib` can read, each value is found where it is written."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from covend.config.locate import KeyPath, locate, nearest

EXAMPLE = '''\
top = 1001

[server]                      # "not" a [key]
listen = "127.0.0.1:1002"
  public_url = 'https://1003'

[a."quoted # key".b]
x.y.z = 1004
x.y.w = 1005

[[rules]]
name = "1006"
on = [
  "1007",  # ] a comment with "brackets" [
  '1008',
]
when = { draft = 1009, "paths" = ["1010", "1011\\""], deep = { er = 1012 } }
prompt = { text = """
  1013 with "quotes", \\""" escaped ones, and two at the end: """"" }
[[rules.steps]]
n = 1014
[[rules.steps]]
n = 1015
[[rules]]
name = \'\'\'1016
''two quotes\'\'\'
[[rules.steps]]
n = 1017
[rules.when]
at = 1979-05-27 07:32:00
far = [[1018], [{ a = 1019 }, 1020]]
'''


def leaves(value: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from leaves(inner, (*path, index))
    else:
        yield path, value


def written_at(text: str, line: int, column: int) -> str:
    return "".join(text.splitlines(keepends=True)[line - 1 :])[column - 1 :]


def assert_each_leaf_is_found(text: str) -> None:
    places = locate(text)
    for path, value in leaves(tomllib.loads(text)):
        written = written_at(text, *places[path].value)
        assert written.lstrip("\"'\n ").startswith(str(value).strip()[:4]), (path, written[:40])


def test_every_value_of_the_example_is_found() -> None:
    assert_each_leaf_is_found(EXAMPLE)


@pytest.mark.parametrize(
    ("path", "line", "column"),
    [
        (("top",), 1, 1),
        (("server",), 3, 1),
        (("server", "public_url"), 5, 3),
        (("a",), 7, 1),
        (("a", "quoted # key", "b", "x", "y", "w"), 9, 5),
        (("rules",), 11, 1),
        (("rules", 0), 11, 1),
        (("rules", 0, "on"), 13, 1),
        (("rules", 0, "on", 1), 15, 3),
        (("rules", 0, "when", "deep", "er"), 17, 63),
        (("rules", 0, "steps", 1, "n"), 23, 1),
        (("rules", 1), 24, 1),
        (("rules", 1, "steps", 0, "n"), 28, 1),
        (("rules", 1, "when", "far", 1, 0, "a"), 31, 19),
    ],
)
def test_a_key_is_found_at_its_line_and_column(path: KeyPath, line: int, column: int) -> None:
    places = locate(EXAMPLE)
    assert places[path].key == (line, column)


def test_a_missing_key_is_placed_where_it_would_stand() -> None:
    places = locate('[server]\nlisten = "x"\n')
    found = nearest(places, ("server", "port"))
    assert found is not None
    assert found.key == (1, 1)
    assert nearest(places, ("admin", "port")) is None


KEYS = st.sampled_from(["a", "b-1", "c_", "7", '"d e"', "'f.g'", '"h # \\" i"', '"\\u00e4"', '""'])
GAPS = st.sampled_from(["", " ", "\t ", "  "])
BREAKS = st.sampled_from(["", "\n", " # ] } \" ' = \n", "\n\n  "])
QUOTES = st.sampled_from(
    [
        '"{}"',
        "'{}'",
        '"""{}"""',
        "'''{}'''",
        '"""\n{} " "" \\" \\\n  x"""""',
        "'''{} ' ''''''",
        '"{} \\" # ]"',
    ]
)


@st.composite
def documents(draw: st.DrawFn) -> str:
    """Write a TOML text in which no two values are the same."""
    numbers = iter(range(1000, 9999))
    return draw(st.lists(sections(numbers), max_size=6).map("".join))


@st.composite
def sections(draw: st.DrawFn, numbers: Iterator[int]) -> str:
    """Write a header, or none, and some pairs below it."""
    unique = next(numbers)
    pairs = "".join(draw(st.lists(pairs_of(numbers), max_size=3)))
    header = draw(
        st.sampled_from(["[[list]]", "[[list.inner]]", f"[t{unique}]", f"[ t{unique} . 'x y' ]"])
    )
    return f"{draw(GAPS)}{header}{draw(GAPS)}{draw(st.sampled_from(['', '# [no]']))}\n{pairs}"


@st.composite
def pairs_of(draw: st.DrawFn, numbers: Iterator[int]) -> str:
    """Write one `key = value` on a line of its own."""
    return f"{draw(GAPS)}{draw(one_pair(numbers))}{draw(st.sampled_from(['', ' # x = 1']))}\n"


@st.composite
def one_pair(draw: st.DrawFn, numbers: Iterator[int]) -> str:
    """Write `key.key = value`, with a first key that is not used twice."""
    rest = draw(st.lists(KEYS, max_size=2))
    key = f"{draw(GAPS)}.{draw(GAPS)}".join([f"k{next(numbers)}", *rest])
    return f"{key}{draw(GAPS)}={draw(GAPS)}{draw(values(numbers, 3))}"


@st.composite
def values(draw: st.DrawFn, numbers: Iterator[int], depth: int) -> str:
    """Write a text, a number, a list or an inline table."""
    kind = draw(
        st.sampled_from(["text", "number", "list", "table"] if depth else ["text", "number"])
    )
    if kind == "text":
        return draw(QUOTES).format(next(numbers))
    if kind == "number":
        return str(next(numbers))
    if kind == "list":
        inner = draw(st.lists(values(numbers, depth - 1), max_size=3))
        parts = [f"{draw(BREAKS)}{value}{draw(BREAKS)}" for value in inner]
        comma = draw(st.sampled_from(["", ","])) if parts else ""
        return f"[{','.join(parts)}{comma}{draw(BREAKS)}]"
    pairs = draw(st.lists(one_pair(numbers), max_size=2))
    return "{" + ", ".join(pairs) + draw(GAPS) + "}"


def is_toml(text: str) -> bool:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    return True


@given(documents().filter(is_toml))
@settings(deadline=None)
def test_whatever_tomllib_reads_each_value_is_found_where_it_is_written(text: str) -> None:
    assert_each_leaf_is_found(text)
