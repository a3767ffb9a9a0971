from __future__ import annotations

from itertools import pairwise

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from covend.core.redact import HELD_MAX, SECRET_MIN, Redactor, redact

TOKEN = "ghp_" + "a1B2" * 9
LONG_TOKEN = "ghs_123456_" + "eyJhbGciOi.JIUzI1-NiJ9_" * 20
KEY = "-----BEGIN RSA PRIVATE KEY-----\n{}-----END RSA PRIVATE KEY-----".format(
    "MIIEabcdefgh01234567\n" * 20
)


@pytest.mark.parametrize(
    "secret",
    [
        TOKEN,
        LONG_TOKEN,
        "gho_" + "x" * 36,
        "github_pat_11ABCDEFG0" + "z" * 60,
        "sk-ant-api03-" + "Ab_-" * 20,
        "sk-proj-" + "q" * 40,
    ],
)
@pytest.mark.parametrize("around", ["{}", "token={} more", '{{"a":"{}"}}', "https://x:{}@host/"])
def test_what_has_the_shape_of_a_token_is_taken_out_whole(secret: str, around: str) -> None:
    text = redact(around.format(secret))
    assert secret[-8:] not in text
    assert "[redacted]" in text


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Authorization: Bearer abcdef0123456789", "Authorization: Bearer [redacted]"),
        ("authorization: basic eHh4OnNlY3JldHNlY3JldA==", "authorization: basic [redacted]"),
        (f"a\n{KEY}\nb", "a\n-----BEGIN RSA PRIVATE KEY-----\n[redacted]"),
    ],
)
def test_headers_and_keys_keep_their_beginning_only(text: str, left: str) -> None:
    assert redact(text).startswith(left)
    assert "MIIE" not in redact(text)


@pytest.mark.parametrize(
    "text",
    ["ghp_short", "a task-skating-rink", "the bearer of news", "basic training", "sk-", "Ünïcode"],
)
def test_common_words_stay(text: str) -> None:
    assert redact(text) == text


def test_known_secrets_go_wherever_they_stand() -> None:
    redactor = Redactor(["hunter2hunter2", 'quo"ted\\one', "x" * (SECRET_MIN - 1)])
    assert redactor.text("ahunter2hunter2b") == "a[redacted]b"
    assert redactor.text('{"a": "quo\\"ted\\\\one"}') == '{"a": "[redacted]"}'
    assert redactor.text("xxxxx") == "xxxxx"


def test_a_secret_of_many_lines_goes_line_by_line() -> None:
    redactor = Redactor([KEY])
    assert "MIIE" not in redactor.text("  MIIEabcdefgh01234567  ")


def test_the_longer_of_two_secrets_goes_first() -> None:
    assert Redactor(["secret", "secret-and-more"]).text("secret-and-more") == "[redacted]"


SECRETS = ["hunter2hunter2", "abababac", "ababab"]


@given(
    parts=st.lists(st.sampled_from([*SECRETS, "hunter2", "abab", "\n", "-", " x "]), max_size=12),
    cuts=st.lists(st.integers(0, 150), max_size=12),
)
def test_no_cut_of_the_stream_lets_a_known_secret_through(
    parts: list[str], cuts: list[int]
) -> None:
    data = "".join(parts).encode()
    redactor = Redactor(SECRETS)
    places = [0, *sorted(cuts), len(data)]
    chunks = [data[a:b] for a, b in pairwise(places)]
    output = b"".join([*(redactor.feed(chunk) for chunk in chunks), redactor.finish()])
    assert not any(secret.encode() in output for secret in SECRETS)
    if not any(secret.encode() in data for secret in SECRETS):
        assert output == data


@pytest.mark.parametrize("seen", range(1, 12))
def test_a_known_secret_is_found_where_chunks_of_a_long_line_meet(seen: int) -> None:
    secret = "open! sesame"
    redactor = Redactor([secret])
    long = "x " * HELD_MAX
    output = redactor.feed((long + secret[:seen]).encode()) + redactor.feed(secret[seen:].encode())
    assert (output + redactor.finish()).decode() == long + "[redacted]"


@given(cuts=st.lists(st.integers(0, 700), max_size=6))
def test_no_cut_of_a_line_lets_a_token_through(cuts: list[int]) -> None:
    data = f"before {LONG_TOKEN} after\n{KEY}\nend".encode()
    redactor = Redactor()
    places = [0, *sorted(cuts), len(data)]
    output = b"".join(redactor.feed(data[a:b]) for a, b in pairwise(places))
    output += redactor.finish()
    assert output.startswith(b"before [redacted] after\n-----BEGIN")
    assert b"MIIE" not in output
    assert b"eyJ" not in output
    assert output.endswith(b"-----END RSA PRIVATE KEY-----\nend")


def test_whole_lines_leave_at_once() -> None:
    assert Redactor(SECRETS).feed(b"one\ntwo\nthr") == b"one\ntwo\n"


def test_a_line_without_end_does_not_pile_up() -> None:
    redactor = Redactor(SECRETS)
    given = 100 * (HELD_MAX - 1)
    left = sum(len(redactor.feed(b"x" * (HELD_MAX - 1))) for _ in range(100))
    assert given - left <= 2 * HELD_MAX


@pytest.mark.parametrize("of_many", [False, True])
def test_a_key_goes_also_where_json_writes_its_line_ends(of_many: bool) -> None:
    line = orjson.dumps({"stdout": KEY, "after": "kept"})
    redactor = Redactor()
    output = redactor.feed(line) + redactor.finish() if of_many else redactor.clean(line)
    assert b"MIIE" not in output
    assert orjson.loads(output)["after"] == "kept"


@pytest.mark.parametrize(
    "text",
    [
        "`-----BEGIN PRIVATE KEY-----` must not be committed.",
        '{"body": "-----BEGIN PRIVATE KEY-----", "line": 3}',
        "-----BEGIN PRIVATE KEY----- stands in the file",
        "-----BEGIN PRIVATE KEY-----\n\nIs the first line of a key.\n",
    ],
)
def test_who_only_speaks_of_a_key_is_not_silenced(text: str) -> None:
    assert redact(text) == text
