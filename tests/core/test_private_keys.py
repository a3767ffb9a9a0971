from __future__ import annotations

import orjson
import pytest

from covend.core.redact import Redactor, redact
from tests.core.secret_samples import KEY

LINES = KEY.splitlines()
PGP = (
    "-----BEGIN PGP PRIVATE KEY BLOCK-----\nVersion: X 1\nComment: none\n\n"
    + "\n".join(LINES[1:])
    + "\n=aBcD\n-----END PGP PRIVATE KEY BLOCK-----"
)
ENCRYPTED = KEY.replace("\n", "\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0F0F\n\n", 1)


def test_a_key_keeps_its_first_and_last_line_only() -> None:
    assert redact(f"a\n{KEY}\nb").splitlines() == [
        "a",
        LINES[0],
        *["[redacted]"] * 21,
        LINES[-1],
        "b",
    ]


@pytest.mark.parametrize(
    "text",
    [
        KEY,
        KEY.replace("\n", "\r\n"),
        KEY.replace("\n", "\n  "),
        KEY.replace("\n", "\n> "),
        "".join(f"{number:6}\t{line}\n" for number, line in enumerate(LINES, 1)),
        "".join(f"{number:6}\u2192{line}\n" for number, line in enumerate(LINES, 1)),
        "".join(f"key.pem:{line}\n" if line[0] == "-" else f"{line}\n" for line in LINES),
        KEY.replace("\n", "\\n"),
        KEY.replace("\n", "\\\\n"),
        "".join(LINES),
        KEY[: KEY.index("4Q==")],
        KEY[:300],
        KEY.rpartition("\n")[0],
        ENCRYPTED,
        PGP,
        KEY.replace("RSA ", "OPENSSH "),
        orjson.dumps({"content": f"1\u2192{KEY}"}).decode(),
    ],
)
def test_a_key_goes_however_it_is_printed(text: str) -> None:
    left = redact(f"{text}\nand after.")
    assert "MIIE" not in left
    assert "4Q==" not in left
    assert left.endswith("and after.")
    assert left.count("BEGIN") == text.count("BEGIN")


def test_a_key_goes_also_where_json_writes_its_line_ends() -> None:
    line = orjson.dumps({"stdout": KEY, "after": "kept"})
    redactor = Redactor()
    output = redactor.feed(line) + redactor.finish()
    assert b"MIIE" not in output
    assert orjson.loads(output)["after"] == "kept"


@pytest.mark.parametrize(
    "text",
    [
        "`-----BEGIN PRIVATE KEY-----` must not be committed.",
        '{"body": "-----BEGIN PRIVATE KEY-----", "line": 3}',
        "-----BEGIN PRIVATE KEY----- stands in the file",
        "-----BEGIN PRIVATE KEY-----\n\nIs the first line of a key.\n",
        "-----BEGIN PRIVATE KEY-----\nyes\nno\n",
        "-----BEGIN PUBLIC KEY-----\nMIIEabcdefgh01234567\n-----END PUBLIC KEY-----",
    ],
)
def test_who_only_speaks_of_a_key_is_not_silenced(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize("size", [1024, 1030, 4099, 20_000])
def test_a_key_on_one_endless_line_goes_to_its_last_letter(size: int) -> None:
    begin = "-----BEGIN PRIVATE KEY-----"
    assert redact(f'{begin}\\n{("MIIE" * size)[:size]}", "x"') == f'{begin}\\n[redacted]", "x"'


def test_a_key_that_breaks_off_goes_to_its_last_letter() -> None:
    assert redact(KEY[: KEY.index("4Q==") + 2]).endswith("[redacted]\n[redacted]")


def test_text_goes_on_after_a_key() -> None:
    assert redact(f"{KEY}\nabcdefghijklmnopqrstuvwxyz\n").endswith("\nabcdefghijklmnopqrstuvwxyz\n")
