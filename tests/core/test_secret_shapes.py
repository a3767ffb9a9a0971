from __future__ import annotations

import pytest

from covend.core.redact import redact
from tests.core.secret_samples import JWT, LONG_TOKEN, SHAPES, TOKEN


@pytest.mark.parametrize("secret", SHAPES)
@pytest.mark.parametrize(
    "around",
    [
        "{}",
        "token={} more",
        '{{"a":"{}"}}',
        "https://x:{}@host/",
        "https://{}@host/",
        "{}\n",
        "({}).",
    ],
)
def test_what_has_the_shape_of_a_token_is_taken_out_whole(secret: str, around: str) -> None:
    text = redact(around.format(secret))
    assert secret[-8:] not in text
    assert secret[:8] not in text
    assert "[redacted]" in text


ESCAPES = ("\\n", "\\t", "\x1b[0m", "\x1b[1;32m", "\\u001b[m", "%0A", "\\u000a", ".", "é", "_", "-")


@pytest.mark.parametrize(
    ("before", "secret"),
    # What a web token is written in has these two among its letters.
    [(a, b) for a in ESCAPES for b in SHAPES if not (a in "_-" and b is JWT)],
)
def test_an_escape_before_a_token_is_no_part_of_it(before: str, secret: str) -> None:
    assert redact(f'"{before}{secret}"') == f'"{before}[redacted]"'


@pytest.mark.parametrize("size", [520, 5000, 50_000])
def test_a_token_is_taken_out_to_its_end_however_long_it_is(size: int) -> None:
    assert redact(f"x {LONG_TOKEN[:40]}{'a.b-' * (size // 4)} y") == "x [redacted] y"
    assert redact(f"x {JWT}{'c' * size} y") == "x [redacted] y"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Authorization: Bearer abcdef0123456789", "Authorization: Bearer [redacted]"),
        ("authorization: basic eHh4OnNlY3JldA==", "authorization: basic [redacted]"),
        ("AUTHORIZATION=token 0123456789abcdef!", "AUTHORIZATION=token [redacted]!"),
        ('"Authorization": "Basic eHg6c2Vj"}', '"Authorization": "Basic [redacted]"}'),
        (
            '\\"Authorization\\": \\"Bearer abcdefgh\\"',
            '\\"Authorization\\": \\"Bearer [redacted]\\"',
        ),
        ("Authorization: 0123456789abcdef", "Authorization: [redacted]"),
        ("curl -H 'Bearer abcdefghijklmnop0123'", "curl -H 'Bearer [redacted]'"),
        ("use Basic dXNlcjpwYXNzd29yZA==", "use Basic [redacted]"),
        ("https://user:pass@host/p", "https://user:[redacted]@host/p"),
        ("postgresql://u:p@ss:w@db:5432/x", "postgresql://u:[redacted]@db:5432/x"),
        (f"https://{'0a' * 20}@host", "https://[redacted]@host"),
        ("redis://:pass@host", "redis://:[redacted]@host"),
    ],
)
def test_credentials_go_and_what_they_were_for_stays(text: str, left: str) -> None:
    assert redact(text) == left
    assert redact(left) == left


@pytest.mark.parametrize(
    "text",
    [
        "ghp_short",
        "it weighs_more_than_anybody_could_think",
        "a task-skating-rink-in-the-middle-of-town",
        "sk-folding-cube-animation-wrapper-small",
        "npm_config_registry_that_has_a_long_name",
        "hf_hub_download_with_a_very_long_name_x",
        "pypi-publish-action-with-a-name-beyond-all-measure",
        "the bearer of news, Bearer authentication, bearer internationalization",
        "basic training, Basic authentication, basic src/covend/core/settings",
        "Authorization: required for administrators",
        "AKIA is a prefix, AKIAIOSFODNN7EXAMPLEANDMORE a word",
        "eyJust.a.name, eyJoyful-beginnings.html",
        "ssh://git@github.com/acme/till.git and http://host:8080/a@b",
        'see {"url": "http://host:80", "mail": "a@b.example"}',
        "sk-",
        "Ünïcode",
        f"x{TOKEN}",
    ],
)
def test_common_words_stay(text: str) -> None:
    assert redact(text) == text
