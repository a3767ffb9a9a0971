from __future__ import annotations

import pytest

from covend.core.redact import Redactor
from covend.services.known_secrets import HANDED_MAX, HANDED_S, Secrets

HANDED = "handed-out-for-an-hour-{:04}"


class Seconds:
    """A clock that only the test turns."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


def test_what_was_given_is_known_and_what_a_reload_adds_too() -> None:
    secrets = Secrets(["the old secret"])
    secrets.keep(["the new secret", "the old secret"])
    assert secrets.text("the old secret, the new secret") == "[redacted], [redacted]"


def test_a_token_is_known_for_its_time_after_it_was_handed_out() -> None:
    now = Seconds()
    secrets = Secrets(now=now)
    secrets.learn(HANDED.format(1))
    now.at = HANDED_S - 1
    secrets.learn(HANDED.format(2))
    assert secrets.text(HANDED.format(1)) == "[redacted]"
    now.at = HANDED_S
    secrets.learn(HANDED.format(3))
    assert secrets.text(HANDED.format(1)) == HANDED.format(1)
    assert secrets.text(HANDED.format(2)) == "[redacted]"


def test_a_token_that_is_handed_out_again_is_known_anew() -> None:
    now = Seconds()
    secrets = Secrets(now=now)
    secrets.learn(HANDED.format(1))
    now.at = HANDED_S - 1
    secrets.learn(HANDED.format(1))
    now.at = HANDED_S + 1
    secrets.learn(HANDED.format(2))
    assert secrets.text(HANDED.format(1)) == "[redacted]"


def test_of_too_many_tokens_the_oldest_gives_way() -> None:
    secrets = Secrets()
    for number in range(HANDED_MAX + 1):
        secrets.learn(HANDED.format(number))
    assert secrets.text(HANDED.format(0)) == HANDED.format(0)
    assert secrets.text(HANDED.format(1)) == "[redacted]"


def test_a_token_that_is_also_kept_outlives_its_time() -> None:
    now = Seconds()
    secrets = Secrets([HANDED.format(1)], now=now)
    secrets.learn(HANDED.format(1))
    now.at = HANDED_S
    secrets.learn(HANDED.format(2))
    assert secrets.text(HANDED.format(1)) == "[redacted]"


def test_a_stream_that_runs_hears_of_a_token_at_once() -> None:
    secrets = Secrets()
    stream = Redactor(secrets.known)
    stream.feed(b"one\n")
    secrets.learn(HANDED.format(1))
    assert stream.feed(HANDED.format(1).encode() + b"\n") == b"[redacted]\n"


@pytest.mark.parametrize("text", ["", "short", "   "])
def test_what_is_too_short_to_be_a_secret_takes_nothing_out(text: str) -> None:
    assert Secrets([text]).text("a short   text") == "a short   text"
