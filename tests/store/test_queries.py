"""A `.sql` file that breaks the rules is refused; those of the project keep them."""

from __future__ import annotations

from importlib.resources import files

import pytest

from covend.store.queries import QueryFileError, for_rows, load_queries, parse

FOLDER = files("covend.store.sqlite") / "queries"


def test_every_query_of_the_project_keeps_the_rules() -> None:
    queries = load_queries(FOLDER)
    assert queries["claim_task"].moves == (("queued", "running"),)
    assert queries["settle_task"].moves == (("running", "completed"), ("running", "failed"))


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("-- name: a\nSELECT 1;", "why"),
        ("-- name: a\n-- Why.\nUPDATE tasks SET state = 'queued' WHERE id = :id;", "moves"),
        (
            """-- name: a\n-- moves: completed -> running\n-- Why.
UPDATE tasks SET state = 'running' WHERE state = 'completed';""",
            "not in the table",
        ),
        (
            """-- name: a\n-- moves: queued -> running\n-- Why.
UPDATE tasks SET state = 'running' WHERE id = :id;""",
            "must name the state",
        ),
    ],
)
def test_a_query_that_breaks_a_rule_is_refused(text: str, wrong: str) -> None:
    with pytest.raises(QueryFileError, match=wrong):
        list(parse(text))


def test_a_statement_over_many_rows_grows_with_them() -> None:
    (query,) = parse("-- name: a\n-- Why.\nINSERT INTO t (x, y) VALUES :each;")
    assert for_rows(query, 2) == "INSERT INTO t (x, y) VALUES (?, ?), (?, ?)"
