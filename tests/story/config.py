"""The demonstration's configuration with what a story changes in it."""

from __future__ import annotations

from covend.demo.stage import CONFIG

TIMEOUT = 'timeout = "60s"'
AT_ONCE = 'retry = {{ attempts = 2, infrastructure = 3, base = "1ms", max = "1ms" }}'
"""No story waits for a back-off."""
ONCE = AT_ONCE.replace("attempts = 2", "attempts = 1")
SECRETS = '{{ file = "webhook.secret" }}'
CHECKOUT = 'checkout = "head"\npublish = ["check", "comment", "review"]'
"""Of the rule for pull requests."""
ALONE = 'checkout = "none"\npublish = []'
"""Nothing but the agent: no git, and no word to GitHub, which has a pace of its own."""


def config(
    *,
    limits: str = "",
    agent: str = TIMEOUT,
    retry: str = AT_ONCE,
    secrets: str = SECRETS,
    rule: str = CHECKOUT,
) -> str:
    """Write the configuration, a template for `set_up`: braces are doubled."""
    changed = CONFIG
    changes = ((TIMEOUT, f"{agent}\n{retry}"), (SECRETS, secrets), (CHECKOUT, rule))
    for before, after in changes:
        assert changed.count(before) == 1
        changed = changed.replace(before, after)
    return f"{changed}\n[limits]\n{limits}\n"
