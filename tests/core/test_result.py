from __future__ import annotations

from typing import Any

import orjson
import pytest

from covend.core.contract.result import (
    COMMENTS_MAX,
    RESULT_BYTES_MAX,
    parse_result,
    result_in,
    result_schema,
    result_schema_text,
)
from covend.core.ending import Finding, Result
from covend.core.errors import InvalidResultError
from covend.core.model import Conclusion, Usage

WHOLE = {
    "conclusion": "failure",
    "summary": "Two bugs.",
    "review": {
        "event": "REQUEST_CHANGES",
        "comments": [
            {"path": "./src/a.py", "line": 7, "body": "off by one", "severity": "error"},
            {
                "path": "b.py",
                "line": 9,
                "start_line": 8,
                "side": "left",
                "body": "gone",
                "suggestion": "x = 1",
            },
        ],
    },
    "pull_request": {"title": "Fix", "body": "text", "draft": False},
    "labels": ["bug"],
    "outputs": {"a": [1, {"b": None}]},
    "session": "s1",
    "usage": {"input_tokens": 10, "output_tokens": 2, "cost_usd": 1},
    "error": {"code": "tired", "message": "later", "retryable": True},
}


def parse(value: Any) -> Result:
    return parse_result(orjson.dumps(value))


def comments(*values: Any) -> dict[str, Any]:
    return {"review": {"comments": list(values)}}


def test_a_whole_result_is_read_field_by_field() -> None:
    assert parse(WHOLE) == Result(
        conclusion=Conclusion.FAILURE,
        summary="Two bugs.",
        review_event="request_changes",
        findings=(
            Finding(path="src/a.py", line=7, body="off by one", severity="error"),
            Finding(
                path="b.py", line=9, start_line=8, side="LEFT", body="gone", suggestion="x = 1"
            ),
        ),
        pull_request={"title": "Fix", "body": "text", "draft": False},
        labels=("bug",),
        outputs={"a": [1, {"b": None}]},
        session="s1",
        usage=Usage(input_tokens=10, output_tokens=2, cost_usd=1.0),
        error_code="tired",
        error_message="later",
        retryable=True,
    )


@pytest.mark.parametrize("data", [b"{}", b"\xef\xbb\xbf{}", b'{"of_tomorrow": 1}', b" {}\n"])
def test_an_empty_result_is_a_success(data: bytes) -> None:
    assert parse_result(data) == Result()


def test_null_stands_for_absent_everywhere() -> None:
    empty = dict.fromkeys(WHOLE)
    assert parse(empty) == Result()
    comment = {"path": "a", "line": 1, "body": "b", "start_line": None, "side": None}
    assert parse(comments(comment)).findings == (Finding(path="a", line=1, body="b"),)


WRONG = {
    "conclusion": ({"conclusion": "great"}, "conclusion:"),
    "summary": ({"summary": 3}, "summary:"),
    "a line as text": (comments({"path": "a", "line": "12", "body": "b"}), "comments[0].line:"),
    "a line as true": (comments({"path": "a", "line": True, "body": "b"}), "comments[0].line:"),
    "line zero": (comments({"path": "a", "line": 0, "body": "b"}), "comments[0].line:"),
    "no body": (comments({"path": "a", "line": 1}), "comments[0].body:"),
    "no path": (comments({"path": "", "line": 1, "body": "b"}), "comments[0].path:"),
    "a comment as text": (comments("odd"), "comments[0]:"),
    "comments as object": ({"review": {"comments": {}}}, "review.comments:"),
    "another event": ({"review": {"event": "merge"}}, "review.event:"),
    "labels as text": ({"labels": "bug"}, "labels:"),
    "outputs as list": ({"outputs": []}, "outputs:"),
    "tokens below zero": ({"usage": {"input_tokens": -1}}, "usage.input_tokens:"),
    "tokens as text": ({"usage": {"output_tokens": "9"}}, "usage.output_tokens:"),
    "an error without code": ({"error": {"message": "m"}}, "error.code:"),
    "retryable as text": ({"error": {"code": "c", "retryable": "yes"}}, "error.retryable:"),
    "a pull request without title": ({"pull_request": {}}, "pull_request.title:"),
    "too many comments": (
        comments(*[{"path": "a", "line": 1, "body": "b"}] * (COMMENTS_MAX + 1)),
        "review.comments:",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_type_is_refused_with_its_path(name: str) -> None:
    value, path = WRONG[name]
    with pytest.raises(InvalidResultError) as caught:
        parse(value)
    assert path in str(caught.value)
    assert caught.value.code == "invalid_result"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no JSON"),
        (b"{", "no JSON"),
        (b'{"summary": "\xff"}', "no JSON"),
        (b'{"usage": {"cost_usd": NaN}}', "no JSON"),
        (b"[]", "no JSON object"),
        (b"null", "no JSON object"),
        (b"[" * 100_000, "no JSON"),
        (b'{"outputs": {"a": ' + b"[" * 500 + b"]" * 500 + b"}}", "cannot be kept"),
        (b'{"usage": {"input_tokens": 1' + b"0" * 400 + b"}}", "no JSON"),
        (b" " * (RESULT_BYTES_MAX + 1), "larger than"),
    ],
)
def test_what_is_no_result_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(InvalidResultError, match=why):
        parse_result(data)


def test_many_faults_are_counted_and_few_are_shown() -> None:
    with pytest.raises(InvalidResultError) as caught:
        parse(comments(*[{"line": "x" * 500}] * 50))
    assert "and 145 more" in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_a_message_that_ends_in_a_fenced_result_is_that_result() -> None:
    message = 'All read.\n\n```json\n{"conclusion": "neutral", "labels": ["x"]}\n```\n'
    assert result_in(message) == Result(
        conclusion=Conclusion.NEUTRAL, summary="All read.", labels=("x",)
    )


@pytest.mark.parametrize(
    "message",
    [
        "no fence",
        "```json\n{}\n```",
        '```json\n{"some": "listing"}\n```',
        '```json\n{"conclusion": "great"}\n```',
        '```json\n{"conclusion": "neutral"}\n```\nand more text',
        '```python\n{"conclusion": "neutral"}\n```',
        '{"conclusion": "neutral"}\n```',
        "```json\n[\n```",
    ],
)
def test_a_message_that_only_resembles_a_result_is_none(message: str) -> None:
    assert result_in(message) is None


def test_the_schema_has_every_field_of_the_contract_and_no_references() -> None:
    fields = result_schema()["properties"]
    assert set(fields) == set(WHOLE)
    assert set(fields["pull_request"]["properties"]) == {"title", "body", "draft"}
    assert set(fields["review"]["properties"]["comments"]["items"]["properties"]) == {
        *("path", "line", "start_line", "side", "severity", "body", "suggestion"),
    }
    assert "$ref" not in result_schema_text()
    assert "\n" not in result_schema_text()
    assert len(result_schema_text()) < 2500
