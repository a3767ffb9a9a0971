"""Shell for agents of tests that say what they have found."""

from __future__ import annotations

import json
import shlex


def writing(**result: object) -> str:
    """Write a result file."""
    return f'printf %s {shlex.quote(json.dumps(result))} > "$COVEND_RESULT"'
