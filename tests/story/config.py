"""The demonstration's configuration with what a story changes in it."""

from __future__ import annotations

from covend.demo.stage import CONFIG

TIMEOUT = 'timeout = "60s"'
PRESET = 'preset = "command"'
AT_ONCE = 'retry = {{ attempts = 2, infrastructure = 3, base = "1ms", max = "1ms" }}'
"""No story waits for a back-off."""
ONCE = AT_ONCE.replace("attempts = 2", "attempts = 1")
SECRETS = '{{ file = "webhook.secret" }}'
CHECKOUT = 'checkout = "head"\npublish = ["check", "comment", "review"]'
"""Of the rule for pull requests."""
ALONE = 'checkout = "none"\npublish = []\nsupersede = false'
"""Nothing but the agent: no git, and no word to GitHub, which has a pace of its own; heads of one
pull request are done side by side.
"""


def config(
    *,
    limits: str = "",
    agent: str = TIMEOUT,
    preset: str = PRESET,
    retry: str = AT_ONCE,
    secrets: str = SECRETS,
    rule: str = CHECKOUT,
    more: str = "",
) -> str:
    """Write the configuration, a template for `set_up`: braces are doubled. `more` are tables that
    it lacks.
    """
    changed = CONFIG
    changes = (
        (TIMEOUT, f"{agent}\n{retry}"),
        (PRESET, preset),
        (SECRETS, secrets),
        (CHECKOUT, rule),
    )
    for before, after in changes:
        assert changed.count(before) == 1
        changed = changed.replace(before, after)
    return f"{changed}\n[limits]\n{limits}\n{more}\n"
