"""A review from an agent's findings: onto the lines that the diff shows, and all else into the
body.

One comment outside the diff makes GitHub refuse the whole review, so none is guessed.
https://docs.github.com/en/rest/pulls/reviews#create-a-review-for-a-pull-request
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from covend.core.effects.diff import RIGHT, ChangedFile, Places, places_by_path
from covend.core.effects.texts import (
    BODY_MAX,
    CUT_NOTE,
    clean,
    code,
    cut,
    fenced,
    one_line,
    seal,
    tame,
)
from covend.core.ending import Finding, Result

INLINE_MAX = 50
"""Inline comments of one review; more than these nobody reads, and GitHub gets slow."""
EVENTS = frozenset({"COMMENT", "APPROVE", "REQUEST_CHANGES"})

_LABELS: Mapping[str, str] = {"error": "Error", "warning": "Warning", "info": "Note"}
_LABEL_MAX = 24
_SUGGESTION_MAX = BODY_MAX // 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What stands around findings: the commit they are about, and the lines that end the body."""

    head_sha: str
    tail: tuple[str, ...]
    blob_url: str | None = None
    """Where the repository's files can be read at the head; None where that is not known."""
    note: str = CUT_NOTE
    """What stands where a text was cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arranged:
    """Findings with a place in the diff, as GitHub takes them, and those without."""

    inline: tuple[dict[str, Any], ...]
    beside: tuple[Finding, ...]


def review_request(
    result: Result, files: Sequence[ChangedFile] | None, frame: Frame
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Make the request's body, and the one to send where GitHub sees a line outside the diff.

    Without `files` nothing is known of the diff: all findings go into the body.
    """
    arranged = arrange(result.findings, files or (), frame.note)
    request = _request(result, frame, beside=arranged.beside)
    if not arranged.inline:
        return request, None
    request["comments"] = list(arranged.inline)
    return request, _request(result, frame, beside=result.findings)


def arrange(
    findings: Sequence[Finding], files: Sequence[ChangedFile], note: str = CUT_NOTE
) -> Arranged:
    """Give each finding its place; no more than `INLINE_MAX` inline, the first ones first."""
    shown = places_by_path(files)
    inline: list[dict[str, Any]] = []
    beside: list[Finding] = []
    for finding in findings:
        place = _place(finding, shown.get(finding.path, {}))
        if place is None or len(inline) == INLINE_MAX:
            beside.append(finding)
        else:
            inline.append({**place, "body": _inline_body(finding, place, note)})
    return Arranged(inline=tuple(inline), beside=tuple(beside))


def list_findings(findings: Sequence[Finding], blob_url: str | None, *, is_all: bool) -> str:
    """List findings that stand on no line, below a heading of their own; "" of none."""
    listed = "\n\n".join(_entry(finding, blob_url) for finding in findings)
    heading = "### Findings" if is_all else "### Further findings"
    return f"{heading}\n\n{listed}" if listed else ""


def event_of(result: Result) -> str:
    """Give GitHub's word for the review's verdict; COMMENT where the agent gave no known one."""
    event = (result.review_event or "").upper()
    return event if event in EVENTS else "COMMENT"


def count_of(findings: Sequence[Finding]) -> str:
    """Say how many there are of each severity, worst first; "" of none."""
    labels = [label_of(finding) for finding in findings]
    known = [label for label in _LABELS.values() if label in labels]
    others = sorted(set(labels) - set(known))
    counted = [(labels.count(label), label.lower()) for label in (*known, *others)]
    return ", ".join(f"{count} {label}{'s' * (count > 1)}" for count, label in counted)


def label_of(finding: Finding) -> str:
    """Give the severity as people read it; an agent's own words are kept to letters."""
    severity = "".join(letter for letter in finding.severity if letter.isalpha() or letter in " -")
    word = one_line(severity, _LABEL_MAX).lower()
    return _LABELS.get(word, word.capitalize() or "Note")


def _place(finding: Finding, shown: Places) -> dict[str, Any] | None:
    """Give the fields that say where; a range that is not within one hunk becomes its last line."""
    first, last = sorted((finding.start_line or finding.line, finding.line))
    hunk = shown.get((finding.side, last))
    if hunk is None:
        return None
    place = {"path": finding.path, "line": last, "side": finding.side}
    if first < last and shown.get((finding.side, first)) == hunk:
        place |= {"start_line": first, "start_side": finding.side}
    return place


def _inline_body(finding: Finding, place: Mapping[str, Any], note: str) -> str:
    suggestion = _suggestion(finding, place)
    head = f"**{label_of(finding)}**\n\n"
    room = BODY_MAX - len(head) - len(suggestion)
    return f"{head}{cut(tame(finding.body), room, note)}{suggestion}"


def _suggestion(finding: Finding, place: Mapping[str, Any] | None) -> str:
    """One that GitHub can apply, if it replaces just the lines it was made for; else a listing."""
    if finding.suggestion is None or len(finding.suggestion) > _SUGGESTION_MAX:
        return ""
    if place is not None and finding.side == RIGHT and _is_whole(finding, place):
        return f"\n\n{fenced(finding.suggestion, 'suggestion')}"
    listing = fenced(finding.suggestion) if finding.suggestion else "*(remove these lines)*"
    return f"\n\nSuggested instead:\n\n{listing}"


def _is_whole(finding: Finding, place: Mapping[str, Any]) -> bool:
    is_range = finding.start_line not in {None, finding.line}
    return is_range == ("start_line" in place)


def _request(result: Result, frame: Frame, *, beside: Sequence[Finding]) -> dict[str, Any]:
    parts = [
        tame(result.summary).strip() or _summary_of(result),
        list_findings(beside, frame.blob_url, is_all=len(beside) == len(result.findings)),
    ]
    body = seal("\n\n".join(part for part in parts if part), *frame.tail, note=frame.note)
    return {"commit_id": frame.head_sha, "event": event_of(result), "body": body}


def _summary_of(result: Result) -> str:
    return f"{count_of(result.findings).capitalize() or 'No findings'}."


def _entry(finding: Finding, blob_url: str | None) -> str:
    return f"**{label_of(finding)}** · {_where(finding, blob_url)}\n\n{tame(finding.body)}" + (
        _suggestion(finding, None)
    )


def _where(finding: Finding, blob_url: str | None) -> str:
    first, last = sorted((finding.start_line or finding.line, finding.line))
    lines = str(last) if first == last else f"{first}-{last}"
    shown = code(f"{finding.path}:{lines}")
    if blob_url is None or finding.side != RIGHT:
        return shown
    anchor = f"L{last}" if first == last else f"L{first}-L{last}"
    return f"[{shown}]({blob_url}/{quote(clean(finding.path))}#{anchor})"
