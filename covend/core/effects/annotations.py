"""An agent's findings as annotations of a check run: on lines of the head, in batches that GitHub
takes.

A finding on a removed line, or on a path that no repository can have, gets none: it is listed in
the check's summary. No columns are ever given, because findings have none.
https://docs.github.com/en/rest/checks/runs#update-a-check-run
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from covend.core.effects.diff import RIGHT
from covend.core.effects.review import label_of
from covend.core.effects.texts import clean, cut_bytes, one_line
from covend.core.ending import Finding
from covend.core.model import Json

BATCH_MAX = 50
"""Annotations of one request."""
ANNOTATIONS_MAX = 500
"""Annotations of one check run; more than these nobody reads."""
MESSAGE_BYTES_MAX = 64 * 1024
TITLE_MAX = 255
PATH_MAX = 4096
LINE_MAX = 2**31 - 1

_LEVELS: Mapping[str, str] = {"error": "failure", "warning": "warning"}
_NOWHERE = frozenset({"", ".", ".."})


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotated:
    """Findings as annotations by request, those without a place, and how many were too many."""

    batches: tuple[tuple[dict[str, Any], ...], ...] = ()
    beside: tuple[Finding, ...] = ()
    surplus_count: int = 0


def annotate(findings: Sequence[Finding]) -> Annotated:
    """Give each finding its annotation; the first ones first."""
    placed = [finding for finding in findings if _has_place(finding)]
    shown = [_annotation(finding) for finding in placed[:ANNOTATIONS_MAX]]
    return Annotated(
        batches=tuple(
            tuple(shown[start : start + BATCH_MAX]) for start in range(0, len(shown), BATCH_MAX)
        ),
        beside=tuple(finding for finding in findings if not _has_place(finding)),
        surplus_count=len(placed) - len(shown),
    )


def lacks_part(request: Json, previous: Json) -> bool:
    """Say whether a request adds to a check run without the part before it, by what was published
    last: how many annotations there are then would not tell any more which parts have arrived.
    """
    if not request.get("is_added"):
        return False
    added = len(request["body"]["output"]["annotations"])
    return bool(previous.get("annotated", 0) != request["annotated"] - added)


def level_of(finding: Finding) -> str:
    """Give GitHub's word for a severity; an agent's own words are notices."""
    return _LEVELS.get(finding.severity.strip().lower(), "notice")


def _annotation(finding: Finding) -> dict[str, Any]:
    first, last = sorted((finding.start_line or finding.line, finding.line))
    annotation = {
        "path": finding.path,
        "start_line": first,
        "end_line": last,
        "annotation_level": level_of(finding),
        "title": one_line(label_of(finding), TITLE_MAX),
        "message": _text(finding.body) or label_of(finding),
    }
    if finding.suggestion is not None and (suggested := _text(finding.suggestion)):
        annotation["raw_details"] = cut_bytes(
            f"Suggested instead:\n\n{suggested}", MESSAGE_BYTES_MAX
        )
    return annotation


def _text(text: str) -> str:
    """Annotations are shown as they are written, not as Markdown."""
    return cut_bytes(clean(text).strip("\n"), MESSAGE_BYTES_MAX)


def _has_place(finding: Finding) -> bool:
    path, lines = finding.path, (finding.start_line or finding.line, finding.line)
    is_path = clean(path) == path and "\n" not in path and len(path) <= PATH_MAX
    is_inside = not _NOWHERE & set(path.split("/"))
    return (
        finding.side == RIGHT
        and is_path
        and is_inside
        and min(lines) >= 1
        and max(lines) <= LINE_MAX
    )
