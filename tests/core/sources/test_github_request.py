from __future__ import annotations

import hashlib
from urllib.parse import quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from covend.core.model import Envelope
from covend.core.secret import Secret
from covend.core.sources import github
from covend.core.sources.request import BODY_MAX, Refused, fold
from covend.core.sources.slim import Whole
from tests.core.github_samples import DELIVERY, SECRET, headers, sign

BODY = b'{"action": "opened"}'
FORM = "application/x-www-form-urlencoded"


def refusal(answer: Envelope | Refused | None) -> tuple[int, str] | None:
    return (answer.status, answer.code) if isinstance(answer, Refused) else None


def test_the_signature_that_github_documents_is_good() -> None:
    documented = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    body = b"Hello, World!"
    request = headers(body, x_hub_signature_256=documented)
    assert refusal(github.verify(fold(request), body, [SECRET])) == (400, "bad_body")
    assert refusal(github.verify(fold(request), body + b"!", [SECRET])) == (401, "bad_signature")


def test_a_good_request_becomes_an_envelope() -> None:
    assert github.verify(fold(headers(BODY)), BODY, [SECRET]) == Envelope(
        source="github",
        delivery=DELIVERY,
        event="pull_request",
        body=BODY,
        body_sha256=hashlib.sha256(BODY).hexdigest(),
        headers={
            "x-github-event": "pull_request",
            "x-github-delivery": DELIVERY,
            "user-agent": "GitHub-Hookshot/044aadd",
            "content-type": "application/json",
        },
        payload={"action": "opened"},
        whole=Whole(BODY),
    )


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"content_type": None}, (415, "unsupported_type")),
        ({"content_type": ""}, (415, "unsupported_type")),
        ({"content_type": "text/plain"}, (415, "unsupported_type")),
        ({"content_type": "application/json, application/json"}, (415, "unsupported_type")),
        ({"content_encoding": "gzip"}, (415, "encoded_body")),
        ({"content_encoding": ""}, (415, "encoded_body")),
        ({"x_hub_signature_256": None}, (401, "bad_signature")),
        ({"x_hub_signature_256": ""}, (401, "bad_signature")),
        ({"x_hub_signature_256": "sha256="}, (401, "bad_signature")),
        ({"x_hub_signature_256": "sha256=" + "0" * 64}, (401, "bad_signature")),
        ({"x_hub_signature_256": sign(BODY).removeprefix("sha256=")}, (401, "bad_signature")),
        ({"x_hub_signature_256": sign(BODY) + " "}, (401, "bad_signature")),
        ({"x_hub_signature_256": "sha256=é"}, (401, "bad_signature")),
        ({"x_hub_signature_256": "sha256=\udce9"}, (401, "bad_signature")),
        ({"x_github_delivery": None}, (400, "bad_delivery_id")),
        ({"x_github_delivery": "1"}, (400, "bad_delivery_id")),
        ({"x_github_delivery": f"{DELIVERY}\n"}, (400, "bad_delivery_id")),
        ({"x_github_delivery": f"{{{DELIVERY}}}"}, (400, "bad_delivery_id")),
        ({"x_github_event": None}, (400, "bad_event_name")),
        ({"x_github_event": ""}, (400, "bad_event_name")),
        ({"x_github_event": "Push"}, (400, "bad_event_name")),
        ({"x_github_event": "push\n"}, (400, "bad_event_name")),
        ({"x_github_event": "push.created"}, (400, "bad_event_name")),
        ({"x_github_event": "command"}, (400, "bad_event_name")),
        ({"x_github_event": "e" * 65}, (400, "bad_event_name")),
    ],
)
def test_a_bad_header_is_refused(changed: dict[str, str | None], expected: tuple[int, str]) -> None:
    assert refusal(github.verify(fold(headers(BODY, **changed)), BODY, [SECRET])) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("X-Hub-Signature-256", (401, "bad_signature")),
        ("x-github-delivery", (400, "bad_delivery_id")),
        ("X-GITHUB-EVENT", (400, "bad_event_name")),
        ("Content-Type", (415, "unsupported_type")),
    ],
)
def test_a_doubled_header_is_refused_even_if_both_say_the_same(
    name: str, expected: tuple[int, str]
) -> None:
    request = headers(BODY)
    request += [(name, value) for key, value in request if key.lower() == name.lower()]
    assert refusal(github.verify(fold(request), BODY, [SECRET])) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", (400, "bad_body")),
        (b"[]", (400, "bad_body")),
        (b'"{}"', (400, "bad_body")),
        (b"null", (400, "bad_body")),
        (b"{", (400, "bad_body")),
        (b'{"a": NaN}', (400, "bad_body")),
        (b'{"a": "\\ud800"}', (400, "bad_body")),
        (b'{"a": "\xff"}', (400, "bad_body")),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", (400, "bad_body")),
        (b"{}", None),
        (b'{"a": 123456789012345678901234567890}', None),
        (b'{"a": "\\u0000"}', None),
    ],
)
def test_only_a_json_object_is_a_body(body: bytes, expected: tuple[int, str] | None) -> None:
    assert refusal(github.verify(fold(headers(body)), body, [SECRET])) == expected


def test_the_type_is_judged_first_then_the_signature_then_the_rest() -> None:
    body = b"no JSON"
    bad = {"x_github_delivery": None, "x_hub_signature_256": "sha256=0"}
    request = headers(body, content_type="text/plain", **bad)
    assert refusal(github.verify(fold(request), body, [SECRET])) == (415, "unsupported_type")
    assert refusal(github.verify(fold(headers(body, **bad)), body, [SECRET])) == (
        401,
        "bad_signature",
    )
    signed = headers(body, x_github_delivery=None)
    assert refusal(github.verify(fold(signed), body, [SECRET])) == (400, "bad_delivery_id")


def test_the_type_can_be_judged_before_the_body_is_there() -> None:
    assert github.check_head(fold(headers(b""))) is None
    assert refusal(github.check_head(fold(headers(b"", content_type="text/xml")))) == (
        415,
        "unsupported_type",
    )
    assert BODY_MAX == 25 * 1024 * 1024


@pytest.mark.parametrize(
    "changed",
    [
        {"content_type": "application/json; charset=utf-8"},
        {"content_type": "Application/JSON"},
        {"content_encoding": "identity"},
        {"x_github_delivery": DELIVERY.upper()},
    ],
)
def test_what_means_the_same_is_accepted(changed: dict[str, str | None]) -> None:
    opened = github.verify(fold(headers(BODY, **changed)), BODY, [SECRET])
    assert isinstance(opened, Envelope)
    assert opened.delivery == DELIVERY


def test_any_of_several_secrets_is_good_while_they_rotate() -> None:
    secrets = [Secret("tomorrow's"), SECRET]
    assert refusal(github.verify(fold(headers(BODY)), BODY, secrets)) is None
    assert refusal(github.verify(fold(headers(BODY)), BODY, secrets[:1])) == (401, "bad_signature")


def test_no_secret_and_an_empty_secret_accept_nothing() -> None:
    request = headers(BODY, x_hub_signature_256=sign(BODY, Secret("")))
    assert refusal(github.verify(fold(request), BODY, [Secret("")])) == (401, "bad_signature")
    assert refusal(github.verify(fold(request), BODY, [])) == (401, "bad_signature")


def test_a_form_is_read_and_its_signature_covers_the_raw_body() -> None:
    body = b"x=1&payload=" + quote_plus('{"title": "ä + b & c%"}').encode()
    opened = github.verify(
        fold(headers(body, content_type=f"{FORM}; charset=utf-8")), body, [SECRET]
    )
    assert isinstance(opened, Envelope)
    assert opened.payload == {"title": "ä + b & c%"}
    assert opened.body == body


@pytest.mark.parametrize("body", [b"", b"a=1", b"payload={}&payload={}", b"Payload={}"])
def test_a_form_without_exactly_one_payload_is_refused(body: bytes) -> None:
    request = headers(body, content_type=FORM)
    assert refusal(github.verify(fold(request), body, [SECRET])) == (400, "bad_form")


def test_a_signature_is_never_kept() -> None:
    request = [*headers(BODY), ("X-Hub-Signature", "sha1=0"), ("Authorization", "Basic 0")]
    opened = github.verify(fold(request), BODY, [SECRET])
    assert isinstance(opened, Envelope)
    assert not {"x-hub-signature", "x-hub-signature-256", "authorization"} & opened.headers.keys()


def test_a_stored_form_opens_again_as_it_was() -> None:
    body = b"payload=%7B%22a%22%3A1%7D"
    opened = github.verify(fold(headers(body, content_type=FORM)), body, [SECRET])
    assert isinstance(opened, Envelope)
    assert github.reopen(opened.headers, opened.body) == opened


NAMES = ["Content-Type", "content-encoding", "X-Hub-Signature-256", "X-GitHub-Event"]
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=80)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([*NAMES, "X-GitHub-Delivery"]) | ANY_TEXT, ANY_TEXT)),
    st.binary(max_size=200),
    st.booleans(),
)
def test_no_request_makes_it_stumble(
    extra: list[tuple[str, str]], body: bytes, is_good: bool
) -> None:
    request = [*(headers(body) if is_good else []), *extra]
    answer = github.verify(fold(request), body, [SECRET])
    assert isinstance(answer, Envelope) or answer.status in {400, 401, 415}
