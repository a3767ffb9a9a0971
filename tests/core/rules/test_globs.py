from __future__ import annotations

import pytest

from covend.core.rules.globs import compile_paths, compile_texts


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("main", "main", True),
        ("main", "Main", False),
        ("main", "mainly", False),
        ("*", "", True),
        ("*", "a/b\nc", True),
        ("feat*", "feat/x/y", True),
        ("*[bot]", "dependabot[bot]", True),
        ("*[bot]", "robot", False),
        ("a?c", "abc", True),
        ("a?c", "ac", False),
        ("*fix*", "a fix!", True),
        ("a*b*c", "a-b-b-c", True),
        ("a*b*c", "a-c-b", False),
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("*a*ab", "aab", True),
        ("**a**", "bab", True),
        ("a.c", "abc", False),
        ("\\!important", "!important", True),
        ("", "", True),
        ("", "a", False),
    ],
)
def test_a_text_is_matched_whole(pattern: str, text: str, expected: bool) -> None:
    assert compile_texts([pattern]).accepts([text]) is expected


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("*.md", "README.md", True),
        ("*.md", "docs/README.md", False),
        ("**.md", "docs/a/README.md", True),
        ("**/*.md", "README.md", True),
        ("**/*.md", "docs/README.md", True),
        ("src/**", "src/a", True),
        ("src/**", "src/a/b", True),
        ("src/**", "src", False),
        ("src/**", "srcs/a", False),
        ("src/*", "src/a/b", False),
        ("src/**.py", "src/a.py", True),
        ("src/**.py", "src/a/b.py", True),
        ("src/**.py", "src/a/b.pyc", False),
        ("src**", "src/a", True),
        ("src**", "srcs", True),
        ("**/test/**", "test/a", True),
        ("**/test/**", "a/test/b/c", True),
        ("**/test/**", "a/test", False),
        ("**/a/*/b", "a/x/a/y/b", True),
        ("a/**/b", "a/b", True),
        ("a/**/b", "a/x/y/b", True),
        ("a/**/b", "ab", False),
        ("a/**/**/b", "a/b", True),
        ("**", "a", True),
        ("**", "a/b/c", True),
        ("***", "a/b", True),
        ("a?b", "a/b", False),
        ("[id].ts", "[id].ts", True),
        ("[id].ts", "i.ts", False),
    ],
)
def test_a_star_stays_within_a_directory_and_two_cross(
    pattern: str, path: str, expected: bool
) -> None:
    assert compile_paths([pattern]).accepts([path]) is expected


@pytest.mark.parametrize(
    ("patterns", "values", "expected"),
    [
        (["bug", "ui"], ["ui", "x"], True),
        (["bug", "ui"], ["x"], False),
        (["bug"], [], False),
        (["bug", "!wip"], ["bug", "wip"], False),
        (["!wip"], ["bug"], True),
        (["!wip"], [], True),
        (["!wip"], ["WIP"], False),
        ([], ["bug"], False),
        ([], [], False),
    ],
)
def test_one_must_match_and_no_negated_one_may(
    patterns: list[str], values: list[str], expected: bool
) -> None:
    assert compile_texts(patterns, ignores_case=True).accepts(values) is expected


@pytest.mark.parametrize(
    ("patterns", "paths", "expected"),
    [
        (["src/**", "!src/docs/**"], ["src/docs/a", "src/b"], True),
        (["src/**", "!src/docs/**"], ["src/docs/a", "c"], False),
        (["!docs/**"], ["docs/a", "b"], True),
        (["!docs/**"], ["docs/a"], False),
        (["!docs/**"], [], False),
    ],
)
def test_each_path_is_asked_by_itself(
    patterns: list[str], paths: list[str], expected: bool
) -> None:
    assert compile_paths(patterns).accepts_one(paths) is expected


def test_more_crossings_than_can_be_spelt_out_are_an_error() -> None:
    with pytest.raises(ValueError, match="more than 4 times"):
        compile_paths(["a**b**c**d**e**f"])


@pytest.mark.timeout(20)
@pytest.mark.parametrize("pattern", ["*a*a*a*a*a*b", "?*?*?*?*!", "*a*b*a*b*a*b*c"])
def test_a_stranger_cannot_make_a_text_slow(pattern: str) -> None:
    assert not compile_texts([pattern]).accepts(["a" * 65_536])


@pytest.mark.timeout(20)
def test_a_stranger_cannot_make_a_path_slow() -> None:
    globs = compile_paths(["**/a/**/a/**/a/**/a/**/b", "*a*a*a*a*a*b/*"])
    assert not globs.accepts_one(["a/" * 2_000 + "c", "a" * 4_000 + "/c"])
