"""Reads the templates of the rules' prompts, and says what is wrong with one before it is needed at
work.
"""

from __future__ import annotations

import stat
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from covend.config.problems import Finding
from covend.config.tables import table, tables_in
from covend.core.contract.prompt import check_template
from covend.core.contract.prompts import BUILTIN

PROMPT_FILE_BYTES_MAX = 256 * 1024


class _UnreadableError(Exception):
    """Why a prompt cannot be read."""


def read_all(
    tables: Mapping[str, Any], directory: Path
) -> tuple[Mapping[int, str], tuple[Finding, ...]]:
    """Give each rule's template by the rule's position, and what is wrong; files are relative to
    `directory`.
    """
    templates: dict[int, str] = {}
    findings: list[Finding] = []
    check = cache(check_template)  # many rules have the same one
    for index, rule in tables_in(tables.get("rules")):
        for kind, name in table(rule.get("prompt")).items():
            path = ("rules", index, "prompt", kind)
            try:
                template = _template(kind, name, directory)
            except _UnreadableError as error:
                findings.append(Finding(path=path, message=str(error)))
                continue
            if template is not None:
                templates[index] = template
                complaint = check(template)
                findings += [Finding(path=path, message=complaint)] if complaint else []
    return templates, tuple(findings)


def _template(kind: str, name: Any, directory: Path) -> str | None:
    """Give the text; None for what the schema refuses anyhow."""
    if not isinstance(name, str) or not name:
        return None
    if kind == "file":
        return _read(directory / name)
    return {"text": name, "builtin": BUILTIN.get(name)}.get(kind)


def _read(file: Path) -> str:
    try:
        if not stat.S_ISREG(file.stat().st_mode):
            raise _UnreadableError(f"cannot be read: {file} is no ordinary file")
        with file.open("rb") as opened:
            data = opened.read(PROMPT_FILE_BYTES_MAX + 1)
        text = data.decode()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise _UnreadableError(f"cannot be read from {file}: {reason}") from error
    except UnicodeDecodeError as error:
        raise _UnreadableError(f"cannot be read: {file} is no UTF-8 text") from error
    if len(data) > PROMPT_FILE_BYTES_MAX:
        raise _UnreadableError(f"cannot be read: {file} is larger than 256KiB")
    if not text.strip():
        raise _UnreadableError(f"is read from {file}, which is empty")
    return text
