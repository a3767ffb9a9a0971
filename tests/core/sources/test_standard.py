"""Standard Webhooks, by the example that its own libraries are tested with."""

from __future__ import annotations

import pytest

from covend.core.outside import SourceKind
from covend.core.secret import Secret
from covend.core.sources.standard import keys_of
from tests.core.sources.foreign_samples import (
    ENCODED,
    KEY,
    NOW,
    STANDARD,
    WHSEC,
    accepted,
    dumped,
    read,
    refused,
    source,
    standard_headers,
)

BODY = b'{"test": 2432232314}'
GOOD = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
WRONG = "Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc="
EXAMPLE = {
    "content-type": "application/json",
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": GOOD,
}
TOLERANCE_MS = 300_000


def test_the_documented_example_is_good() -> None:
    event = accepted(read(STANDARD.source, EXAMPLE, BODY)).event
    assert (event.name, event.action, event.source) == ("them:webhook", None, "them")


@pytest.mark.parametrize("secret", [f"whsec_{ENCODED}", ENCODED])
def test_a_secret_is_known_with_its_beginning_and_without(secret: str) -> None:
    accepted(read(source(SourceKind.STANDARD_WEBHOOKS, Secret(secret)), EXAMPLE, BODY))


def test_a_secret_that_is_no_base64_is_the_key_itself() -> None:
    them = source(SourceKind.STANDARD_WEBHOOKS, Secret("not base64 at all!"))
    headers = standard_headers(BODY, key=b"not base64 at all!")
    accepted(read(them, headers, BODY))
    assert keys_of(Secret("short")) == (b"short",)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_not base64!"])
def test_a_secret_that_is_none_verifies_nothing(secret: str) -> None:
    assert keys_of(Secret(secret)) == ()
    them = source(SourceKind.STANDARD_WEBHOOKS, Secret(secret))
    for key in (b"", secret.encode(), b"whsec_"):
        headers = standard_headers(BODY, key=key)
        assert refused(read(them, headers, BODY)) == (401, "bad_signature")


def test_one_good_signature_among_others_is_enough() -> None:
    several = f"v1,{WRONG} v2,{WRONG} v1a,{WRONG} {GOOD} v1,{WRONG}"
    accepted(read(STANDARD.source, EXAMPLE, BODY, webhook_signature=several))


def test_secrets_rotate() -> None:
    new = Secret("whsec_" + "A" * 32)
    for secrets in ((new, WHSEC), (WHSEC, new)):
        accepted(read(source(SourceKind.STANDARD_WEBHOOKS, *secrets), EXAMPLE, BODY))
    them = source(SourceKind.STANDARD_WEBHOOKS, new)
    assert refused(read(them, EXAMPLE, BODY)) == (401, "bad_signature")


@pytest.mark.parametrize(
    "signature",
    [
        None,
        "",
        "v1,",
        GOOD.removeprefix("v1,"),
        GOOD.replace("v1", "v2"),
        GOOD.replace("E=", "A="),
        f"{GOOD}, {GOOD}",  # two headers of one name
        f"{GOOD},{GOOD}",
        f"{GOOD} ",
        f" {GOOD}",
        f"{GOOD}  {GOOD}",
        f"v1,{'é' * 44}",
        " ".join([f"v1,{WRONG}"] * 21 + [GOOD]),
    ],
)
def test_no_other_signature_is(signature: str | None) -> None:
    answer = read(STANDARD.source, EXAMPLE, BODY, webhook_signature=signature)
    assert refused(answer) == (401, "bad_signature")


@pytest.mark.parametrize(
    "changed",
    [
        {"webhook_id": "msg_another"},
        {"webhook_id": None},
        {"webhook_id": "msg_é"},
        {"webhook_timestamp": "1614265331"},
    ],
)
def test_the_id_and_the_moment_are_signed_too(changed: dict[str, str | None]) -> None:
    assert refused(read(STANDARD.source, EXAMPLE, BODY, **changed)) == (401, "bad_signature")
    assert refused(read(STANDARD.source, EXAMPLE, BODY + b" ")) == (401, "bad_signature")


@pytest.mark.parametrize("moment", [None, "", "hello", "-1", "1614265330.0", "1, 1", "٣", "1" * 13])
def test_a_moment_that_is_none_is_refused_with_a_code_of_its_own(moment: str | None) -> None:
    answer = read(STANDARD.source, EXAMPLE, BODY, webhook_timestamp=moment)
    assert refused(answer) == (401, "bad_timestamp")


def test_a_moment_must_be_near_before_and_after() -> None:
    for now in (NOW - TOLERANCE_MS, NOW + TOLERANCE_MS):
        accepted(read(STANDARD.source, EXAMPLE, BODY, now))
        beyond = now + (1 if now > NOW else -1)
        answer = read(STANDARD.source, EXAMPLE, BODY, beyond)
        assert refused(answer) == (401, "bad_timestamp")


def test_how_near_says_the_configuration() -> None:
    strict = source(SourceKind.STANDARD_WEBHOOKS, WHSEC, tolerance_s=1.0)
    accepted(read(strict, EXAMPLE, BODY, NOW + 1_000))
    assert refused(read(strict, EXAMPLE, BODY, NOW + 1_001)) == (401, "bad_timestamp")


def test_whoever_has_not_signed_learns_nothing_of_moments() -> None:
    headers = standard_headers(BODY, seconds="1", key=KEY[::-1])
    assert refused(read(STANDARD.source, headers, BODY)) == (401, "bad_signature")


@pytest.mark.parametrize(
    ("payload", "name", "action"),
    [
        ({"type": "contact.created"}, "them:contact", "created"),
        ({"type": "invoice.paid.late"}, "them:invoice", "paid.late"),
        ({"type": "ping"}, "them:ping", None),
        ({"type": "user", "action": "created"}, "them:user", "created"),
        ({"event": "deployed"}, "them:deployed", None),
        ({"type": ".odd"}, "them:webhook", None),
        ({"type": ["list"]}, "them:webhook", None),
        ({"type": "x" * 129}, "them:webhook", None),
        ({"type": "line\nbreak"}, "them:webhook", None),
    ],
)
def test_the_type_in_the_body_names_the_event(
    payload: dict[str, object], name: str, action: str | None
) -> None:
    event = accepted(STANDARD.read(dumped(payload))).event
    assert (event.name, event.action) == (name, action)
    assert event.payload == payload


def test_a_header_names_the_event_where_one_is_configured() -> None:
    them = source(SourceKind.STANDARD_WEBHOOKS, WHSEC, event_header="x-event")
    headers = standard_headers(BODY)
    assert accepted(read(them, headers, BODY, x_event="a.b")).event.full_name == "them:a.b"
    assert refused(read(them, headers, BODY)) == (400, "bad_event_name")
