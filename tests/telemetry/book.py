"""Reads what covend logs during a test, as it would be written."""

from __future__ import annotations

import io
import json
import logging
from typing import Any

import pytest

from covend.core.redact import Redactor
from covend.telemetry import logs


class Book:
    """Takes every line of the process, down to debug."""

    def __init__(self, patch: pytest.MonkeyPatch, *secrets: str) -> None:
        """Open it until `patch` is undone; `secrets` are not to be in it."""
        self._stream = io.StringIO()
        lines = logs.Lines(self._stream, logging.DEBUG, Redactor(secrets).text)
        patch.setattr(logs, "_lines", lines)

    @property
    def text(self) -> str:
        return self._stream.getvalue()

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.split("\n") if line]
