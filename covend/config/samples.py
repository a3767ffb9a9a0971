"""Reads the payloads of `[[tests]]`, and says what is wrong with them before any test is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from covend.config.problems import Finding
from covend.config.schema import SampleTable
from covend.config.tables import table, tables_in
from covend.core.expected import Expected, Sample
from covend.core.sources.request import BODY_MAX, Refused, parse_object

Bodies = Mapping[int, bytes]


def read_all(tables: Mapping[str, Any], directory: Path) -> tuple[Bodies, tuple[Finding, ...]]:
    """Give each test's payload by its position, and what is wrong; files are relative to
    `directory`.
    """
    bodies: dict[int, bytes] = {}
    findings: list[Finding] = []
    for index, sample in tables_in(tables.get("tests")):
        findings += _expect(index, table(sample.get("expect")))
        name = sample.get("payload")
        if not isinstance(name, str) or not name:
            continue  # the schema says so
        body = _read(directory / name)
        if isinstance(body, str):
            findings.append(Finding(path=("tests", index, "payload"), message=body))
        else:
            bodies[index] = body
    return bodies, tuple(findings)


def samples_of(samples: Sequence[SampleTable], bodies: Bodies) -> tuple[Sample, ...]:
    """Make the tests of a file without errors."""
    return tuple(
        Sample(
            payload=sample.payload,
            event=sample.event,
            expected=Expected(**sample.expect.model_dump()),
            body=bodies[index],
        )
        for index, sample in enumerate(samples)
    )


def _expect(index: int, expect: Mapping[str, Any]) -> list[Finding]:
    path = ("tests", index, "expect")
    is_nothing = expect.get("nothing") is True or expect.get("tasks") == 0
    if not expect.keys() & {"rule", "nothing", "tasks", "reason"}:
        message = "expects nothing in particular: name a rule, or nothing = true"
        return [Finding(path=path, message=message, is_about_key=True)]
    late = [key for key in ("key", "held") if key in expect]
    if late and (is_nothing or "rule" not in expect):
        message = "is of a rule that starts: name the rule, and not that nothing starts"
        return [Finding(path=(*path, late[0]), message=message, is_about_key=True)]
    return []


def _read(file: Path) -> bytes | str:
    """Give the payload, or what is wrong with it."""
    try:
        with file.open("rb") as opened:
            data = opened.read(BODY_MAX + 1)
    except OSError as error:
        return f"cannot be read from {file}: {(error.strerror or str(error)).lower()}"
    if len(data) > BODY_MAX:
        return f"cannot be read: {file} is larger than GitHub sends"
    if isinstance(parse_object(data), Refused):
        return f"cannot be read: {file} holds no JSON object"
    return data
