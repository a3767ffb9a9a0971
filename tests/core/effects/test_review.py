from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from covend.core.effects.diff import ChangedFile, places
from covend.core.effects.review import (
    INLINE_MAX,
    Frame,
    arrange,
    count_of,
    event_of,
    label_of,
    review_request,
)
from covend.core.effects.texts import BODY_MAX, CUT_NOTE
from covend.core.ending import Finding, Result
from tests.core.effects.effect_samples import FINDING, SHA

PATCH = """\
@@ -1,3 +1,4 @@
 import os
+def scan(codes, into=[]):
+    return into
-old
 end
@@ -30,2 +31,2 @@ class Basket:
 first
-gone
+here"""
FILES = (ChangedFile(path=FINDING.path, patch=PATCH), ChangedFile(path="logo.png", patch=None))
FRAME = Frame(
    head_sha=SHA, tail=("footer", "marker"), blob_url="https://github.com/acme/till/blob/x"
)


def found(**changed: Any) -> Finding:
    return replace(FINDING, **changed)


def inline(finding: Finding) -> dict[str, Any] | None:
    arranged = arrange([finding], FILES)
    return arranged.inline[0] if arranged.inline else None


@pytest.mark.parametrize(
    ("changed", "place"),
    [
        ({"line": 3}, {"line": 3, "side": "RIGHT"}),
        ({"line": 2, "side": "LEFT"}, {"line": 2, "side": "LEFT"}),
        (
            {"line": 3, "start_line": 2},
            {"line": 3, "side": "RIGHT", "start_line": 2, "start_side": "RIGHT"},
        ),
        (
            {"line": 2, "start_line": 3},
            {"line": 3, "side": "RIGHT", "start_line": 2, "start_side": "RIGHT"},
        ),
        ({"line": 3, "start_line": 3}, {"line": 3, "side": "RIGHT"}),
        ({"line": 32, "start_line": 3}, {"line": 32, "side": "RIGHT"}),
        ({"line": 32, "start_line": 20}, {"line": 32, "side": "RIGHT"}),
        (
            {"line": 31, "side": "LEFT", "start_line": 30},
            {"line": 31, "side": "LEFT", "start_line": 30, "start_side": "LEFT"},
        ),
    ],
)
def test_a_finding_in_the_diff_stands_on_its_lines(
    changed: dict[str, Any], place: dict[str, Any]
) -> None:
    comment = inline(found(**changed))
    assert comment is not None
    body = comment.pop("body")
    assert comment == {"path": FINDING.path, **place}
    assert body == "**Error**\n\nThe default is shared."


@pytest.mark.parametrize(
    "changed",
    [
        {"line": 5},
        {"line": 999},
        {"line": 4, "side": "LEFT"},
        {"line": 20, "start_line": 3},
        {"path": "src/other.py"},
        {"path": "logo.png"},
    ],
)
def test_a_finding_outside_the_diff_goes_into_the_body(changed: dict[str, Any]) -> None:
    finding = found(**changed)
    assert inline(finding) is None
    body, fallback = review_request(Result(findings=(finding,)), FILES, FRAME)
    assert "comments" not in body
    assert fallback is None
    assert f"{finding.path}:" in body["body"]
    assert finding.body in body["body"]


@settings(max_examples=200)
@given(
    findings=st.lists(
        st.builds(
            Finding,
            path=st.sampled_from([FINDING.path, "logo.png", "x"]),
            line=st.integers(1, 40),
            start_line=st.none() | st.integers(1, 40),
            side=st.sampled_from(["LEFT", "RIGHT"]),
            body=st.just("b"),
        ),
        max_size=80,
    )
)
def test_no_finding_is_lost_and_none_is_sent_outside_a_hunk(findings: list[Finding]) -> None:
    arranged = arrange(findings, FILES)
    shown = places(PATCH)
    assert len(arranged.inline) + len(arranged.beside) == len(findings)
    assert len(arranged.inline) <= INLINE_MAX
    for comment in arranged.inline:
        hunk = shown[comment["side"], comment["line"]]
        assert shown[comment["side"], comment.get("start_line", comment["line"])] == hunk


def test_more_findings_than_anyone_reads_inline_go_on_in_the_body() -> None:
    findings = tuple(found(line=3, body=f"number {n}") for n in range(INLINE_MAX + 2))
    body, fallback = review_request(Result(findings=findings), FILES, FRAME)
    assert [each["body"][-9:] for each in body["comments"]][-1] == "number 49"
    assert "number 50" in body["body"]
    assert "number 51" in body["body"]
    assert "number 49" not in body["body"]
    assert fallback is not None
    assert "number 0" in fallback["body"]
    assert "comments" not in fallback


def test_without_the_diff_every_finding_goes_into_the_body() -> None:
    body, fallback = review_request(Result(findings=(FINDING,)), None, FRAME)
    assert "comments" not in body
    assert fallback is None


READS = """\
Two things.

### Further findings

**Warning** · [`src/till/a b.py:7-9`](https://github.com/acme/till/blob/x/src/till/a%20b.py#L7-L9)

The default is shared.

Suggested instead:

```
x = 1
```

footer
marker"""


def test_a_review_reads_like_this() -> None:
    elsewhere = found(
        path="src/till/a b.py", line=9, start_line=7, severity="warning", suggestion="x = 1\n"
    )
    result = Result(
        summary="Two things.\n", findings=(FINDING, elsewhere), review_event="request_changes"
    )
    body, _ = review_request(result, FILES, FRAME)
    assert body == {
        "commit_id": SHA,
        "event": "REQUEST_CHANGES",
        "body": READS,
        "comments": [
            {
                "path": FINDING.path,
                "line": 3,
                "side": "RIGHT",
                "body": "**Error**\n\nThe default is shared.",
            }
        ],
    }


@pytest.mark.parametrize(
    ("changed", "suggested"),
    [
        ({"line": 3, "suggestion": "x\n"}, "```suggestion\nx\n```"),
        ({"line": 3, "suggestion": ""}, "```suggestion\n```"),
        ({"line": 3, "start_line": 2, "suggestion": "x\ny"}, "```suggestion\nx\ny\n```"),
        ({"line": 3, "suggestion": "```\nx\n```"}, "````suggestion\n```\nx\n```\n````"),
        ({"line": 2, "side": "LEFT", "suggestion": "x"}, "Suggested instead:\n\n```\nx\n```"),
        ({"line": 32, "start_line": 3, "suggestion": "x"}, "Suggested instead:\n\n```\nx\n```"),
        (
            {"line": 2, "side": "LEFT", "suggestion": ""},
            "Suggested instead:\n\n*(remove these lines)*",
        ),
    ],
)
def test_a_suggestion_can_be_applied_only_to_just_the_lines_it_replaces(
    changed: dict[str, Any], suggested: str
) -> None:
    comment = inline(found(**changed))
    assert comment is not None
    assert comment["body"] == f"**Error**\n\nThe default is shared.\n\n{suggested}"


def test_an_open_fence_in_a_finding_does_not_swallow_its_suggestion() -> None:
    comment = inline(found(line=3, body="Look:\n```py\nx", suggestion="y"))
    assert comment is not None
    assert comment["body"].endswith("```py\nx\n```\n\n```suggestion\ny\n```")


def test_an_endless_finding_is_cut_and_keeps_its_suggestion() -> None:
    comment = inline(found(line=3, body="word\n" * BODY_MAX, suggestion="x" * 100))
    assert comment is not None
    assert len(comment["body"]) <= BODY_MAX
    assert f"{CUT_NOTE}\n\n```suggestion\n{'x' * 100}\n```" in comment["body"]


def test_an_endless_review_is_cut_and_keeps_its_marker() -> None:
    findings = tuple(found(path="elsewhere.py", body="word\n" * 5000) for _ in range(20))
    body, _ = review_request(Result(summary="s", findings=findings), FILES, FRAME)
    assert len(body["body"]) <= BODY_MAX
    assert body["body"].endswith(f"{CUT_NOTE}\n\nfooter\nmarker")


@pytest.mark.parametrize(
    ("event", "sent"),
    [
        (None, "COMMENT"),
        ("comment", "COMMENT"),
        ("approve", "APPROVE"),
        ("request_changes", "REQUEST_CHANGES"),
        ("APPROVE", "APPROVE"),
        ("dismiss", "COMMENT"),
    ],
)
def test_a_review_comments_unless_the_agent_said_otherwise(event: str | None, sent: str) -> None:
    assert event_of(Result(review_event=event)) == sent


@pytest.mark.parametrize(
    ("severity", "label"),
    [
        ("error", "Error"),
        ("WARNING", "Warning"),
        ("info", "Note"),
        ("nit", "Nit"),
        ("**x**](http://e)", "Xhttpe"),
        ("\n", "Note"),
        ("", "Note"),
    ],
)
def test_a_severity_is_shown_as_plain_letters(severity: str, label: str) -> None:
    assert label_of(found(severity=severity)) == label


def test_findings_are_counted_worst_first() -> None:
    severities = ["info", "nit", "error", "warning", "error"]
    assert (
        count_of([found(severity=each) for each in severities])
        == "2 errors, 1 warning, 1 note, 1 nit"
    )
    assert count_of([]) == ""
