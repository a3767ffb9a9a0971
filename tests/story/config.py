"""The demonstration's configuration with what a story changes in it."""

from __future__ import annotations

from covend.demo.stage import CONFIG

TIMEOUT = 'timeout = "60s"'
AT_ONCE = 'retry = {{ attempts = 2, infrastructure = 3, base = "1ms", max = "1ms" }}'
"""No story waits for a back-off."""


def config(*, limits: str = "", agent: str = TIMEOUT) -> str:
    """Write the configuration, a template for `set_up`: braces are doubled."""
    assert TIMEOUT in CONFIG
    changed = CONFIG.replace(TIMEOUT, f"{agent}\n{AT_ONCE}")
    return f"{changed}\n[limits]\n{limits}\n"
