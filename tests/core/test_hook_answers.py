"""Each way in which a webhook fails to arrive has its cause and its mend."""

from __future__ import annotations

import pytest

from covend.core.hook_answers import cause_of, is_good


@pytest.mark.parametrize(("status", "good"), [(200, True), (202, True), (302, True), (400, False)])
def test_github_counts_redirects_as_arrived(status: int, good: bool) -> None:
    assert is_good(status) is good


@pytest.mark.parametrize(
    ("status", "why", "fix"),
    [
        (401, "signature", "github.webhook_secrets"),
        (404, "nothing is there", "/webhooks/github"),
        (502, "reached nobody", "tunnel"),
        (0, "reached nobody", "proxy"),
        (503, "not ready", "covend doctor"),
        (418, "answered 418", "log"),
    ],
)
def test_a_status_tells_what_to_do(status: int, why: str, fix: str) -> None:
    cause = cause_of(status)
    assert why in cause.why
    assert fix in cause.fix
