"""The unit that is shipped: systemd understands every line of it, and it stays hardened."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

SHIPPED = Path(__file__).parents[2] / "systemd" / "covend.service"
EXPOSURE_MAX = 30  # of 100, as `systemd-analyze security` counts; agents need the cgroups


@pytest.fixture
def analyze(lacking: Callable[[str], NoReturn]) -> str:
    return shutil.which("systemd-analyze") or lacking("systemd-analyze")


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The shipped unit, with a program that exists here."""
    text, count = re.subn(r"(?m)^ExecStart=\S+", "ExecStart=/bin/true", SHIPPED.read_text("utf-8"))
    assert count == 1
    copy = tmp_path / SHIPPED.name
    copy.write_text(text, "utf-8")
    return copy


def ask(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, env={}, capture_output=True, text=True, check=False, timeout=60)


def verify(analyze: str, unit: Path) -> str:
    return ask(analyze, "verify", "--man=no", str(unit)).stderr


def test_systemd_understands_every_line_of_the_unit(analyze: str, unit: Path) -> None:
    assert verify(analyze, unit) == ""


def test_a_misspelt_line_would_be_seen(analyze: str, unit: Path) -> None:
    unit.write_text(unit.read_text("utf-8").replace("Delegate=", "Deligate="), "utf-8")
    assert "Deligate" in verify(analyze, unit)


def test_the_unit_stays_hardened(analyze: str, unit: Path) -> None:
    ended = ask(analyze, "security", "--offline=true", f"--threshold={EXPOSURE_MAX}", str(unit))
    assert ended.returncode == 0, ended.stdout + ended.stderr
