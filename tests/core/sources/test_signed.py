"""Any HMAC in any header, by the examples of RFC 4231 and of GitHub's documentation."""

from __future__ import annotations

import base64
import hmac
from typing import Any

import pytest

from covend.core.outside import Source, SourceKind
from covend.core.secret import Secret
from covend.core.sources import signed
from tests.core.sources.foreign_samples import (
    JSON,
    NOW,
    PLAIN,
    SECONDS,
    SIGNED,
    accepted,
    dumped,
    hexed,
    read,
    refused,
    source,
)

JEFE = Secret("Jefe")
WANTED = b"what do ya want for nothing?"
SHA256 = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
SHA512 = (
    "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
    "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"
)
BODY = dumped({"done": True})


def them(*secrets: Secret, **more: Any) -> Source:
    return source(SourceKind.HMAC, *secrets, **{"header": "x-signature", **more})


def encoded(digest: str) -> str:
    return base64.b64encode(bytes.fromhex(digest)).decode()


@pytest.mark.parametrize(
    ("signature", "more"),
    [
        (SHA256, {}),
        (SHA256.upper(), {}),
        (f"sha256={SHA256}", {"prefix": "sha256="}),
        (encoded(SHA256), {"encoding": "base64"}),
        (SHA512, {"algorithm": "sha512"}),
        (
            f"HMAC {encoded(SHA512)}",
            {"algorithm": "sha512", "encoding": "base64", "prefix": "HMAC "},
        ),
    ],
)
def test_the_documented_examples_are_good_however_they_are_written(
    signature: str, more: dict[str, Any]
) -> None:
    sender = them(JEFE, **more)
    headers = {"x-signature": signature}
    assert signed.refuse(sender, headers, WANTED, NOW) is None
    assert signed.refuse(sender, headers, WANTED + b"!", NOW) == signed.BAD_SIGNATURE
    assert signed.refuse(them(PLAIN, **more), headers, WANTED, NOW) == signed.BAD_SIGNATURE


def test_the_example_of_githubs_documentation_is_good() -> None:
    headers = {
        "x-hub-signature-256": (
            "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
        )
    }
    sender = them(header="x-hub-signature-256", prefix="sha256=")
    assert signed.refuse(sender, headers, b"Hello, World!", NOW) is None


@pytest.mark.parametrize(
    "signature",
    [
        None,
        "",
        SHA256[:-1],
        f"{SHA256}0",
        f"sha256={SHA256}",
        f"{SHA256}, {SHA256}",  # two headers of one name
        SHA256.replace("5", "é"),
        encoded(SHA256),
        SHA512,
        hmac.digest(b"Jefe", WANTED, "sha1").hex(),
    ],
)
def test_no_other_form_is(signature: str | None) -> None:
    headers = {} if signature is None else {"x-signature": signature}
    assert signed.refuse(them(JEFE), headers, WANTED, NOW) == signed.BAD_SIGNATURE
    assert signed.check_head(them(JEFE), headers) == signed.BAD_SIGNATURE


def test_secrets_rotate_and_an_empty_one_is_none() -> None:
    headers = {"x-signature": SHA256}
    for secrets in ((JEFE, PLAIN), (PLAIN, JEFE), (Secret(""), JEFE)):
        assert signed.refuse(them(*secrets), headers, WANTED, NOW) is None
    by_nothing = {"x-signature": hmac.digest(b"", WANTED, "sha256").hex()}
    assert signed.refuse(them(Secret("")), by_nothing, WANTED, NOW) == signed.BAD_SIGNATURE


# --- the moment of signing ------------------------------------------------------------------------

TIMED = them(timestamp_header="x-timestamp", tolerance_s=60.0)


def timed(seconds: str = SECONDS, body: bytes = BODY) -> dict[str, str]:
    return {
        "content-type": JSON,
        "x-timestamp": seconds,
        "x-signature": hexed(f"{seconds}.".encode() + body),
    }


def test_with_a_header_for_the_moment_that_is_signed_too() -> None:
    accepted(read(TIMED, timed(), BODY))
    other = str(int(SECONDS) + 1)
    assert refused(read(TIMED, timed(), BODY, x_timestamp=other)) == (401, "bad_signature")
    unsigned = {**timed(), "x-signature": hexed(BODY)}
    assert refused(read(TIMED, unsigned, BODY)) == (401, "bad_signature")


def test_the_moment_must_be_near_before_and_after() -> None:
    for now in (NOW - 60_000, NOW + 60_000):
        accepted(read(TIMED, timed(), BODY, now))
    for now in (NOW - 60_001, NOW + 60_001):
        assert refused(read(TIMED, timed(), BODY, now)) == (401, "bad_timestamp")


@pytest.mark.parametrize("moment", [None, "", "soon", f"{SECONDS}, {SECONDS}", "1e9"])
def test_a_moment_that_is_none_is_refused_with_a_code_of_its_own(moment: str | None) -> None:
    assert refused(read(TIMED, timed(), BODY, x_timestamp=moment)) == (401, "bad_timestamp")


def test_without_such_a_header_it_does_not_matter_when() -> None:
    accepted(SIGNED.read(BODY, NOW * 2))


# --- what it is called ----------------------------------------------------------------------------


def test_headers_name_event_and_id_by_configuration() -> None:
    event = accepted(SIGNED.read(BODY)).event
    assert (event.name, event.action) == ("them:build", "done")
    for header, code in (("x_event", "bad_event_name"), ("x_request_id", "bad_delivery_id")):
        for wrong in (None, "", "a\tb", "x" * 300):
            assert refused(SIGNED.read(BODY, NOW, **{header: wrong})) == (400, code)
    assert refused(SIGNED.read(BODY, x_request_id="ü")) == (400, "bad_delivery_id")


def test_without_a_header_for_the_id_the_body_is_what_it_is_known_by() -> None:
    plain = them()
    one, again, other = (
        accepted(
            read(plain, {"content-type": JSON, "x-signature": hexed(body)}, body)
        ).envelope.delivery
        for body in (BODY, BODY, dumped({"done": False}))
    )
    assert one == again != other
