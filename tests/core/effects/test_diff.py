from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from covend.core.effects.diff import LEFT, RIGHT, ChangedFile, places, places_by_path

CONTEXT = 3
LINES = st.one_of(
    st.sampled_from(["", " ", "a", "b", "}", "-- a", "++ b", "@@ -1 +1 @@", "\\ No", "x\ry", "\f"]),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\n"), max_size=3),
)
TEXTS = st.builds(
    lambda lines, end: "\n".join(lines) + end,
    st.lists(LINES, max_size=30),
    st.sampled_from(["", "\n"]),
)


def diff(old: str, new: str, context: int) -> str:
    """What git prints from the first hunk on; "" where nothing differs."""
    with TemporaryDirectory() as folder:
        paths = [Path(folder, name) for name in ("old", "new")]
        for path, text in zip(paths, (old, new), strict=True):
            path.write_bytes(text.encode())
        options = ["--no-index", "--text", "--no-ext-diff", f"-U{context}"]
        command = ["git", "diff", *options, "--", *(str(path) for path in paths)]
        run = subprocess.run(command, capture_output=True, check=False, cwd=folder)
    assert run.returncode in {0, 1}, run.stderr
    printed = run.stdout.decode()
    start = printed.find("\n@@ ")
    return "" if start < 0 else printed[start + 1 :]


def expected(whole: str) -> Iterator[tuple[tuple[str, int], bool]]:
    """Walk a diff that shows the whole file; say of each place whether a change is close enough."""
    body = [line for line in whole.split("\n")[1:-1] if not line.startswith("\\")]
    changes = [at for at, line in enumerate(body) if line[0] != " "]
    left = right = 0
    for at, line in enumerate(body):
        is_shown = any(_context_between(body, at, change) <= CONTEXT for change in changes)
        if line[0] != "+":
            left += 1
            yield (LEFT, left), is_shown
        if line[0] != "-":
            right += 1
            yield (RIGHT, right), is_shown


def _context_between(body: list[str], at: int, change: int) -> int:
    first, last = sorted((at, change))
    return sum(line[0] == " " for line in body[first : last + 1])


@settings(max_examples=80, deadline=None)
@given(old=TEXTS, new=TEXTS)
def test_the_places_are_those_that_git_shows(old: str, new: str) -> None:
    whole = diff(old, new, 1_000_000)
    assert set(places(diff(old, new, CONTEXT))) == {at for at, shown in expected(whole) if shown}


@settings(max_examples=40, deadline=None)
@given(edits=st.sets(st.integers(1, 60), min_size=1, max_size=6))
def test_lines_are_of_one_hunk_where_no_gap_lies_between(edits: set[int]) -> None:
    old = "".join(f"line {number}\n" for number in range(1, 61))
    new = "".join(f"line {number}{'!' * (number in edits)}\n" for number in range(1, 61))
    right = {
        line: hunk
        for (side, line), hunk in places(diff(old, new, CONTEXT)).items()
        if side == RIGHT
    }
    for line, hunk in right.items():
        if line + 1 in right:
            assert right[line + 1] == hunk
        else:
            assert all(after > hunk for later, after in right.items() if later > line)


REAL = """@@ -1,4 +1,5 @@ def scan():
 first
-second
+2nd
+2nd and a half
 third
 fourth
@@ -20 +21 @@
-old
\\ No newline at end of file
+new
\\ No newline at end of file"""


@pytest.mark.parametrize(
    ("place", "hunk"),
    [
        ((LEFT, 2), 1),
        ((RIGHT, 2), 1),
        ((RIGHT, 5), 1),
        ((LEFT, 4), 1),
        ((LEFT, 20), 2),
        ((RIGHT, 21), 2),
        ((RIGHT, 6), None),
        ((LEFT, 5), None),
        ((RIGHT, 20), None),
    ],
)
def test_a_line_is_a_place_only_where_its_hunk_shows_it(
    place: tuple[str, int], hunk: int | None
) -> None:
    assert places(REAL).get(place) == hunk


@pytest.mark.parametrize("patch", ["", "Binary files differ", "@@ -0,0 +1 @@"])
def test_what_is_no_patch_has_no_places(patch: str) -> None:
    assert places(patch) == {}


def test_a_line_that_looks_like_a_header_is_a_line() -> None:
    assert set(places("@@ -0,0 +1,2 @@\n+@@ -9 +9 @@\n+x")) == {(RIGHT, 1), (RIGHT, 2)}


def test_a_file_without_a_patch_has_no_places() -> None:
    files = [ChangedFile(path="a.png"), ChangedFile(path="a.py", patch=REAL)]
    assert set(places_by_path(files)) == {"a.py"}
