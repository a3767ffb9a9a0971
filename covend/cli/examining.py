"""Looks at the real world from within the daemon, for the dashboard's page of findings: as `covend
doctor` does, but for what the daemon knows of itself.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from covend.config.load import Inspection, inspect
from covend.config.problems import ConfigErrors
from covend.doctor.examine import FROM_WITHIN, examine
from covend.doctor.finding import Case, Finding, failed, good, warning
from covend.web.findings import Examine


def examiner(started: Inspection, environ: Mapping[str, str]) -> Examine:
    """Make what looks; it reads the configuration anew, since its file may have changed."""

    def look(notes: Mapping[str, str]) -> Sequence[Finding]:
        try:
            read = inspect(started.path, environ)
        except ConfigErrors as errors:
            fix = "mend it before the next reload or start"
            about, settings = failed("config", str(errors), fix), None
        else:
            about, settings = about_config(read), read.settings
        settings = settings or started.settings
        assert settings is not None
        case = Case(
            settings=settings,
            environ=environ,
            ask=lambda path: notes if path == "/readyz" else "not asked",
            is_root=os.geteuid() == 0,
        )
        return [about, *examine(case, FROM_WITHIN)]

    return look


def about_config(inspection: Inspection) -> Finding:
    """Say how many mistakes and warnings a configuration has."""
    mistakes, warnings = len(inspection.errors), len(inspection.warnings)
    if mistakes:
        count = "1 mistake" if mistakes == 1 else f"{mistakes} mistakes"
        what = f"{inspection.path} has {count}; what was read before stays in force"
        return failed("config", what, "covend check shows them")
    if not warnings:
        return good("config", f"{inspection.path} is good")
    count = "1 warning" if warnings == 1 else f"{warnings} warnings"
    return warning("config", f"{inspection.path} has {count}", "covend check shows them")
