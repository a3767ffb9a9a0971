from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable
from urllib.parse import quote

import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from covend.core.redact import SECRET_MIN, Known, Redactor
from tests.core.secret_samples import KEY, LONG_TOKEN

SECRET = "correct+horse/battery?staple>42"
MARK = "[redacted]"


def in_base64(secret: str, lead: int, rest: str = "") -> str:
    return base64.b64encode(b"z" * lead + secret.encode() + rest.encode()).decode()


def in_lines(text: str, width: int = 76, end: str = "\n") -> str:
    return end.join(text[at : at + width] for at in range(0, len(text), width))


def partly_percent(text: str, chance: float, *, is_upper: bool) -> str:
    dice = random.Random(7)
    form = "%{:02X}" if is_upper else "%{:02x}"
    return "".join(
        form.format(byte) if byte > 127 or dice.random() < chance else chr(byte)
        for byte in text.encode()
    )


WRITTEN: dict[str, Callable[[str], str]] = {
    "plain": str,
    "in a word": lambda secret: f"a{secret}b",
    "in JSON": lambda secret: orjson.dumps([secret]).decode(),
    "in JSON of ASCII": lambda secret: json.dumps([f"é{secret}"]),
    "in JSON with slashes escaped": lambda secret: json.dumps(secret).replace("/", "\\/"),
    "in JSON in JSON": lambda secret: json.dumps(json.dumps([secret])),
    "in hex": lambda secret: secret.encode().hex(),
    "in capital hex": lambda secret: secret.encode().hex().upper(),
    "in lines of hex": lambda secret: in_lines((secret * 3).encode().hex(), 60),
    "in a URL": quote,
    "all percent": lambda secret: partly_percent(secret, 1, is_upper=True),
    "half percent": lambda secret: partly_percent(secret, 0.5, is_upper=False),
    "a few percent": lambda secret: f"100%{partly_percent(secret, 0.1, is_upper=True)}%",
    **{
        f"in base64 after {lead}": lambda secret, lead=lead: in_base64(secret, lead, "more")  # type: ignore[misc]
        for lead in range(4)
    },
    **{
        f"in lines of base64 after {lead}": lambda secret, lead=lead: in_lines(  # type: ignore[misc]
            in_base64(secret, lead, "more" * 30)
        )
        for lead in range(30, 60, 3)
    },
    "in lines of CRLF": lambda secret: in_lines(in_base64(secret, 40, "more" * 20), end="\r\n"),
    "in lines in JSON": lambda secret: json.dumps(in_lines(in_base64(secret, 40, "more" * 20))),
    "in base64 in a URL": lambda secret: quote(in_base64(secret, 1), safe=""),
}


def core_of(secret: str, lead: int) -> str:
    """The characters of base64 that are the same whatever stands around the secret."""
    one, other = ("z" * lead + secret + "aaa", "~" * lead + secret + "~~~")
    pairs = zip(in_base64(one, 0), in_base64(other, 0), strict=True)
    return "".join(a for a, b in pairs if a == b)


def shows(text: str, secret: str) -> bool:
    """Say whether the secret can be read, as it is or in base64."""
    squeezed = text.replace("\n", "").replace("\r", "").replace("\\n", "").replace("\\r", "")
    return secret in text or any(core_of(secret, lead) in squeezed for lead in range(3))


@pytest.mark.parametrize("write", WRITTEN.values(), ids=WRITTEN)
@pytest.mark.parametrize("secret", [SECRET, "s3cret", 'quo"ted\\one/two', "ünïcode-secret ~?>"])
def test_a_known_secret_goes_however_it_is_written(
    write: Callable[[str], str], secret: str
) -> None:
    written = write(secret)
    left = Redactor([secret]).text(f"before {written} after")
    assert MARK in left
    assert left.startswith("before ")
    assert left.endswith(" after")
    assert not shows(left, secret)


def test_the_url_safe_alphabet_is_known_too() -> None:
    secret = "~~~???>>>~~~???>>>"
    for lead in range(3):
        standard = in_base64(secret, lead)
        safe = base64.urlsafe_b64encode(base64.b64decode(standard)).decode()
        assert safe != standard
        assert len(Redactor([secret]).text(safe).replace(MARK, "")) <= 6


@given(
    secret=st.text(
        st.characters(codec="utf-8", exclude_characters="\r\n"), min_size=8, max_size=40
    ),
    lead=st.integers(0, 100),
    width=st.sampled_from([60, 64, 76, 1000]),
)
def test_no_place_in_base64_lets_a_secret_through(secret: str, lead: int, width: int) -> None:
    assume(len(secret.strip().encode()) >= 8 and len(secret.splitlines()) == 1)
    left = Redactor([secret]).text(in_lines(in_base64(secret.strip(), lead, "!" * 90), width))
    assert MARK in left


def test_a_secret_that_begins_as_a_pem_does_is_still_one() -> None:
    """It was taken for a PEM's first line, and shown."""
    assert Redactor(["-----000"]).text("<-----000>") == f"<{MARK}>"
    assert Redactor(["-----BEGIN KEY-----"]).text("-----BEGIN KEY-----") == "-----BEGIN KEY-----"


@pytest.mark.parametrize("size", [100, 200, 520, 3000])
def test_a_long_secret_goes_whole_and_in_part(size: int) -> None:
    secret = (LONG_TOKEN * 9)[:size]
    secret = "".join(chr(33 + (ord(each) * (at + 7)) % 90) for at, each in enumerate(secret))
    redactor = Redactor([secret])
    assert redactor.text(f"<{secret}>") == f"<{MARK}>"
    assert len(redactor.text(in_base64(secret, 1)).replace(MARK, "")) <= 6
    assert MARK in redactor.text(f"<{secret[: size // 2 + 70]}>")


def test_a_secret_of_many_lines_goes_line_by_line() -> None:
    redactor = Redactor([KEY])
    assert redactor.text(f"  {KEY.splitlines()[1]}  ") == f"  {MARK}  "
    assert redactor.text(KEY.splitlines()[0]) == KEY.splitlines()[0]


def test_what_is_shorter_than_the_least_is_not_taken_out() -> None:
    short = "x" * (SECRET_MIN - 1)
    assert Redactor([short]).text(f"{short} {short * 2}") == f"{short} {short * 2}"
    assert Redactor([short + "y"]).text(f"a{short}yb") == f"a{MARK}b"


def test_what_only_resembles_a_secret_stays() -> None:
    redactor = Redactor([SECRET])
    for text in (SECRET[:-1], SECRET[1:], SECRET.upper(), in_base64(SECRET, 0)[:-8]):
        assert redactor.text(text) == text


def test_a_secret_that_is_dropped_is_known_no_more() -> None:
    known = Known(["one secret-and-more", "another secret"])
    known.add("another secret")
    for secret in ("one secret-and-more", "another secret"):
        known.drop(secret)
    assert Redactor(known).text("one secret-and-more, another secret") == (
        f"one secret-and-more, {MARK}"
    )
    known.drop("another secret")
    assert not known.suspects(b"one secret-and-more, another secret")


def test_many_secrets_cost_little_more_than_one() -> None:
    """Each is looked up, not looked for."""
    dice = random.Random(1)
    many = [dice.randbytes(20).hex() for _ in range(300)]
    text = f"{many[7]} and {in_base64(many[299], 2)}"
    assert Redactor(many).text(text).count(MARK) == 2
