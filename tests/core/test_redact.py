from __future__ import annotations

import base64
from collections.abc import Sequence
from itertools import pairwise
from time import process_time

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from covend.core.redact import HELD_MAX, Known, Redactor, redact
from tests.core.secret_samples import KEY, LONG_TOKEN, SHAPES, TOKEN

SECRETS = ["hunter2-hunter2-hunter2-hunter2", "abab" * 8, "short1", "q" * 300, 'quo"te\\d%41/é' * 3]
KNOWN = Known([*SECRETS, KEY])
PLAIN = SECRETS[0].encode()


def wrapped(lead: int, width: int, end: bytes = b"\n") -> bytes:
    """Some secrets in base64, in lines."""
    data = base64.b64encode(b"z" * lead + PLAIN * 5)
    return end.join(data[at : at + width] for at in range(0, len(data), width))


PARTS = [
    *(secret.encode() for secret in SECRETS),
    *(shape.encode() for shape in SHAPES),
    *(wrapped(lead, 76) for lead in range(3)),
    wrapped(50, 60, b"\r\n"),
    wrapped(1, 64, b"\\n"),
    b"".join(b"%%%02X" % byte for byte in PLAIN),
    b"".join(b"%%%02x" % byte if byte % 3 else bytes([byte]) for byte in PLAIN),
    PLAIN.hex().encode(),
    LONG_TOKEN.encode(),
    KEY.encode(),
    orjson.dumps(KEY),
    *b"-----BEGIN PRIVATE KEY-----|-----END|MIIE|://|@|:|Authorization: Basic |Bearer ".split(b"|"),
    *(
        b"\n",
        b"\n",
        b"\\n",
        b"\r\n",
        b" ",
        b"%",
        b"%4",
        b"_",
        b"-",
        b"ghp_",
        b"eyJ",
        b"12\t",
        b"ab\n",
    ),
    *(b"x" * HELD_MAX, b"T" * 60 + b"\n", b"a few words. ", b"\xff\x00", b"Version: 1\n"),
]


def streamed(data: bytes, cuts: Sequence[int], known: Known = KNOWN) -> bytes:
    """What comes out where the chunks end at these places."""
    redactor = Redactor(known)
    chunks = [data[a:b] for a, b in pairwise([0, *sorted(cuts), len(data)])]
    return b"".join([*(redactor.feed(chunk) for chunk in chunks), redactor.finish()])


@st.composite
def streams(draw: st.DrawFn) -> tuple[bytes, list[int]]:
    """Whole and broken secrets among other things, and where the chunks end."""
    shares = st.sampled_from([(0, 1), (0, 1), (0, 0.5), (0.3, 1)])
    chosen = draw(st.lists(st.tuples(st.sampled_from(PARTS), shares), max_size=10))
    data = b"".join(p[int(len(p) * share[0]) : int(len(p) * share[1])] for p, share in chosen)
    return data, draw(st.lists(st.integers(0, len(data)), max_size=12))


@given(stream=streams())
def test_what_comes_out_does_not_depend_on_where_chunks_end(
    stream: tuple[bytes, list[int]],
) -> None:
    data, cuts = stream
    whole = Redactor(KNOWN).clean(data)
    assert streamed(data, cuts) == whole
    assert not any(secret.encode() in whole for secret in SECRETS)


@pytest.mark.parametrize("of_line", ["x " * HELD_MAX, "word\n" * 10, ""])
@pytest.mark.parametrize("part", [*PARTS[:17], LONG_TOKEN.encode(), KEY.encode()])
def test_every_cut_through_a_secret_gives_the_same(of_line: str, part: bytes) -> None:
    data = of_line.encode() + part + b" after"
    whole = Redactor(KNOWN).clean(data)
    assert b"[redacted]" in whole
    begin = len(of_line)
    cuts = range(begin, min(begin + len(part) + 2, begin + 200))
    assert all(streamed(data, [cut]) == whole for cut in cuts)
    assert streamed(data, list(cuts)) == whole


@pytest.mark.parametrize("before", ["x", " ", "\\n", "\x1b[0m", "b" * 70 + "\\n"])
@pytest.mark.parametrize("part", [TOKEN, SECRETS[0]])
def test_what_stood_before_a_secret_counts_also_after_it_was_given(before: str, part: str) -> None:
    line = f"{'y' * 3 * HELD_MAX}{before}{part}{' z' * HELD_MAX}".encode()
    begin = 3 * HELD_MAX + len(before)
    whole = Redactor(KNOWN).clean(line)
    for cut in range(begin - 3, begin + 12):
        assert streamed(line, [cut + HELD_MAX]) == whole


def test_whole_lines_leave_at_once() -> None:
    assert Redactor(SECRETS).feed(b"one\ntwo\nthr") == b"one\ntwo\n"


def test_a_line_that_may_go_on_as_base64_waits_for_the_next() -> None:
    redactor = Redactor(SECRETS)
    first, rest = wrapped(0, 76).split(b"\n", 1)
    assert redactor.feed(b"here:\n" + first + b"\n") == b"here:\n"
    assert b"[redacted]" in redactor.feed(rest + b"\n.\n")


def test_a_line_without_end_does_not_pile_up() -> None:
    redactor = Redactor(SECRETS)
    given = 100 * (HELD_MAX - 1)
    left = sum(len(redactor.feed(b"x" * (HELD_MAX - 1))) for _ in range(100))
    assert given - left <= 2 * HELD_MAX


def test_a_token_without_end_does_not_pile_up_and_never_shows() -> None:
    redactor = Redactor()
    output = redactor.feed(b"a ghp_") + b"".join(redactor.feed(b"x" * 999) for _ in range(100))
    assert len(redactor.finish()) == 0
    assert output == b"a [redacted]"


def test_what_touches_has_one_mark() -> None:
    assert redact(f"{TOKEN}{TOKEN} {TOKEN}") == "[redacted] [redacted]"
    assert Redactor(["secret", "secret-and-more"]).text("secret-and-more") == "[redacted]"


def test_text_without_secrets_is_left_as_it_is() -> None:
    text = "Ünïcode \ud800? no:\r\n\ttabs, 100 %, %zz, a/b+c==\n"
    assert Redactor(SECRETS).text(text) == text
    assert Redactor(SECRETS).clean(b"\xff\xfe\r\n\0") == b"\xff\xfe\r\n\0"


@pytest.mark.parametrize("written", ['"\\u0067hp_{}"', '"{}"', '{{"{}": ["\\n{}"]}}', "no json {}"])
def test_a_json_text_shows_no_secret_however_it_is_escaped(written: str) -> None:
    token = TOKEN if "hp_" not in written else TOKEN[4:]
    data = Redactor().json(written.format(token, TOKEN).encode())
    assert b"a1B2a1B2" not in data
    assert b"[redacted]" in data


def test_values_keep_their_shape() -> None:
    value = {"n": [1, None, True, {"t": f"is {TOKEN}"}], TOKEN: 2.5}
    cleaned = {"n": [1, None, True, {"t": "is [redacted]"}], "[redacted]": 2.5}
    assert Redactor().values(value) == cleaned


def test_what_is_learned_later_is_taken_out_of_a_stream_that_runs() -> None:
    known = Known()
    redactor = Redactor(known)
    assert redactor.feed(b"tell-nobody-of-this\n") == b"tell-nobody-of-this\n"
    known.add("tell-nobody-of-this")
    assert redactor.feed(b"tell-nobody-of-this\n") == b"[redacted]\n"


NASTY = {
    "one letter": b"x",
    "newlines": b"\n",
    "rulers": b"-",
    "underlines": b"_",
    "tokens that never end": b"ghp_",
    "tokens that never begin": b"ghs_.",
    "dashed words": b"sk-a-",
    "web tokens": b"eyJ",
    "web tokens after escapes": b"\\neyJ0m",
    "long headers of web tokens": b"eyJ" + b"a" * 700 + b".",
    "URLs": b"://",
    "users": b"://a:",
    "names": b"Authorization: ",
    "bearers": b"Bearer a",
    "keys": b"-----BEGIN PRIVATE KEY-----\n",
    "lines of a key": b"-----BEGIN PRIVATE KEY-----" + b"MIIE" * 16 + b"\\n",
    "percent": b"%",
    "percent-encoded": b"%68%75",
    "base64": b"QUJD" * 19 + b"\n",
    "base64 in JSON": b"QUJD" * 19 + b"\\n",
    "half a secret": PLAIN[:-1],
    "a secret": PLAIN,
    "a repeating secret": b"ab",
    "binary": bytes(range(256)),
}


@pytest.mark.parametrize("unit", NASTY.values(), ids=NASTY)
def test_time_grows_with_the_text_and_no_faster(unit: bytes) -> None:
    """Eight times the text takes about eight times as long; the square would be sixty-four."""

    def cost(size: int) -> float:
        data = (unit * (size // len(unit) + 1))[:size]
        return min(_seconds(data) for _ in range(3))

    small = 1 << 15
    assert cost(8 * small) < 24 * cost(small)


def _seconds(data: bytes) -> float:
    begun = process_time()
    Redactor(KNOWN).clean(data)
    return process_time() - begun
