"""covend clones from the forge that it was told of, and from nowhere else."""

from __future__ import annotations

import pytest

from covend.core.clone_url import is_own

GITHUB = "https://api.github.com"
ENTERPRISE = "https://ghe.example.org/api/v3"
LOOPBACK = "http://127.0.0.1:4567"


@pytest.mark.parametrize(
    ("clone_url", "api_url", "expected"),
    [
        ("https://github.com/acme/till.git", GITHUB, True),
        ("https://GitHub.com/acme/till.git", GITHUB, True),
        ("https://ghe.example.org/acme/till.git", ENTERPRISE, True),
        ("https://acme.ghe.com/acme/till.git", "https://api.acme.ghe.com", True),
        ("http://127.0.0.1:9999/acme/till.git", LOOPBACK, True),
        ("http://localhost:9999/acme/till.git", LOOPBACK, True),
        ("http://[::1]:9999/acme/till.git", LOOPBACK, True),
        ("http://github.com/acme/till.git", GITHUB, False),
        ("https://github.com.evil.example/acme/till.git", GITHUB, False),
        ("https://evil.example/github.com/till.git", GITHUB, False),
        ("https://github.com:8443/acme/till.git", GITHUB, False),
        ("https://user:password@github.com/acme/till.git", GITHUB, False),
        ("https://github.com@evil.example/acme/till.git", GITHUB, False),
        ("https://github.com/acme/till.git", ENTERPRISE, False),
        ("http://127.0.0.1/acme/till.git", GITHUB, False),
        ("http://10.0.0.1/acme/till.git", LOOPBACK, False),
        ("ssh://git@github.com/acme/till.git", GITHUB, False),
        ("file:///etc", GITHUB, False),
        ("ext::sh -c id", GITHUB, False),
        ("", GITHUB, False),
    ],
)
def test_a_clone_url_is_the_forges_own_or_refused(
    clone_url: str,
    api_url: str,
    expected: bool,
) -> None:
    assert is_own(clone_url, api_url) is expected
