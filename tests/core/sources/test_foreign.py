"""What holds of every sender beside GitHub: the order of refusals, that nothing unsigned comes in,
that no shape of a payload breaks anything, and that what is kept is read again as it was.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from covend.core.intake import Accepted, Refused, check_foreign_head, fold, reopen
from covend.core.model import Trust
from covend.core.secret import Secret
from tests.core.sources.foreign_samples import (
    GITEA,
    GITEA_PULL,
    GITEA_PUSH,
    GITLAB,
    GITLAB_MERGE,
    GITLAB_PUSH,
    KINDS,
    NOW,
    STANDARD,
    Kind,
    accepted,
    dumped,
    gitea_headers,
    read,
    refused,
)

BODY = dumped({"action": "opened", "type": "thing.happened", "object_kind": "thing"})
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


@every_kind
def test_a_good_request_comes_in_under_the_name_of_its_sender(kind: Kind) -> None:
    answer = accepted(kind.read(BODY))
    assert answer.envelope.source == answer.event.source == "them"
    assert answer.event.name == answer.envelope.event
    assert answer.event.name.startswith("them:")
    assert answer.event.trust is kind.source.trust
    assert not any("signature" in name or "token" in name for name in answer.envelope.headers)


@every_kind
def test_checks_run_in_the_order_that_is_promised(kind: Kind) -> None:
    """Type, then signature, then headers and body."""
    broken = {"x_gitea_event": "", "x_event": "", "content_type": "text/plain"}
    nothing = dict.fromkeys(
        ("webhook_signature", "x_signature", "x_gitea_signature", "x_gitlab_token"), "nonsense"
    )
    wrong = {**nothing, **broken}
    assert refused(kind.read(b"[", **wrong)) == (415, "unsupported_type")
    encoded = kind.read(b"[", content_encoding="gzip", **nothing)
    assert refused(encoded) == (415, "encoded_body")
    wrong["content_type"] = "application/json"
    status, code = refused(kind.read(b"[", **wrong))
    assert (status, code) == (401, "bad_signature")
    assert refused(kind.read(b"[")) == (400, "bad_body")
    assert refused(kind.read(b"[1]")) == (400, "bad_body")


@every_kind
def test_what_cannot_be_signed_is_refused_by_its_head_alone(kind: Kind) -> None:
    assert check_foreign_head(kind.source, kind.headers(BODY)) is None
    for headers, status in (({"content-type": "application/json"}, 401), ({}, 415)):
        found = check_foreign_head(kind.source, headers)
        assert found is not None
        assert found.status == status


@every_kind
def test_a_form_is_githubs_and_giteas_alone(kind: Kind) -> None:
    answer = kind.read(BODY, content_type="application/x-www-form-urlencoded")
    assert refused(answer)[0] == (401 if kind is GITEA else 415)


@every_kind
def test_without_a_secret_nothing_comes_in(kind: Kind) -> None:
    nobody = replace(kind.source, secrets=())
    assert refused(read(nobody, kind.headers(BODY), BODY)) == (401, "bad_signature")


# --- nothing unsigned -----------------------------------------------------------------------------

HEADERS = sorted({name for kind in KINDS.values() for name in kind.headers(BODY)})
VALUES = st.text(max_size=80) | st.sampled_from(
    [
        *("v1,", "v1,=", "0" * 64, "sha256=" + "0" * 64, "", "true", "null", "1614265330"),
        *("application/json", "whsec_", "v1,AAAA v1,AAAA", "é" * 64),
    ]
)


@every_kind
@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(HEADERS), VALUES), st.binary(max_size=40))
def test_nothing_comes_in_that_was_not_signed(
    kind: Kind, headers: dict[str, str], body: bytes
) -> None:
    answer = read(kind.source, headers, body, NOW)
    assert isinstance(answer, Refused)
    assert answer.status in {401, 415}


@every_kind
@settings(max_examples=100, deadline=None)
@given(st.text(min_size=1, max_size=40).filter(lambda text: bool(text.strip())))
def test_nothing_comes_in_by_another_secret(kind: Kind, text: str) -> None:
    others = tuple(Secret(text + each.reveal()) for each in kind.source.secrets)
    sender = replace(kind.source, secrets=others)
    assert refused(read(sender, kind.headers(BODY), BODY)) == (401, "bad_signature")


@pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, id=name) for name, kind in KINDS.items() if name != "gitlab"],
)
@settings(max_examples=100, deadline=None)
@given(st.integers(0, len(BODY) - 1), st.integers(1, 255))
def test_nothing_comes_in_that_was_changed(kind: Kind, place: int, other: int) -> None:
    changed = BODY[:place] + bytes([BODY[place] ^ other]) + BODY[place + 1 :]
    answer = read(kind.source, kind.headers(BODY), changed)
    assert refused(answer) == (401, "bad_signature")


# --- whose it is ----------------------------------------------------------------------------------


@every_kind
def test_ids_of_two_senders_never_meet(kind: Kind) -> None:
    ours, theirs = (
        accepted(read(replace(kind.source, name=name), kind.headers(BODY), BODY)).envelope.delivery
        for name in ("ours", "theirs")
    )
    assert ours != theirs


def test_an_id_that_is_written_like_a_body_is_no_body() -> None:
    kind = KINDS["hmac"]
    by_body = replace(kind.source, id_header=None)
    derived = accepted(read(by_body, kind.headers(BODY), BODY)).envelope
    for alike in (derived.body_sha256, f"body:{derived.body_sha256}"):
        assert accepted(kind.read(BODY, x_request_id=alike)).envelope.delivery != derived.delivery


# --- what is kept ---------------------------------------------------------------------------------


@every_kind
@pytest.mark.parametrize("trust", [Trust.NONE, Trust.WRITE])
def test_what_was_kept_is_read_again_as_it_was(kind: Kind, trust: Trust) -> None:
    first = accepted(read(replace(kind.source, trust=trust), kind.headers(BODY), BODY))
    kept = fold(first.envelope.headers.items())
    assert reopen(kept, first.envelope.body, "covend", source="them") == first
    assert first.event.trust is trust


@pytest.mark.parametrize(
    "changed",
    [
        {"x-covend-kind": "github"},
        {"x-covend-kind": None},
        {"x-covend-trust": "owner"},
        {"x-covend-trust": None},
        {"x-covend-event": ""},
        {"x-covend-event": ".x"},
        {"x-covend-delivery": ""},
        {"x-covend-delivery": None},
    ],
)
def test_what_covend_has_not_kept_is_not_read(changed: dict[str, str | None]) -> None:
    kept = {**accepted(GITEA.read(BODY)).envelope.headers, **changed}
    headers = {name: value for name, value in kept.items() if value is not None}
    answer = reopen(headers, BODY, None, source="them")
    assert isinstance(answer, Refused)
    assert answer.code == "bad_record"
    unreadable = reopen(accepted(GITEA.read(BODY)).envelope.headers, b"[", None, source="them")
    assert isinstance(unreadable, Refused)


def test_a_sender_cannot_write_covends_own_headers() -> None:
    envelope = accepted(
        GITEA.read(BODY, x_covend_trust="admin", x_covend_kind="hmac", x_covend_event="task")
    ).envelope
    assert envelope.headers["x-covend-trust"] == "none"
    assert envelope.headers["x-covend-kind"] == "gitea"
    assert envelope.headers["x-covend-event"] == "pull_request"


# --- no shape of a payload may break anything -----------------------------------------------------

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-1, 1 << 70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", "\0", "a/b", "a" * 40, "2026-11-21 12:00:00 UTC", "note"])
    | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
ORIGINALS: list[tuple[Kind, str, Any]] = [
    (GITEA, "pull_request", GITEA_PULL),
    (GITEA, "push", GITEA_PUSH),
    (GITEA, "issue_comment", {**GITEA_PULL, "issue": {"number": 1}, "comment": {"id": 2}}),
    (GITEA, "pull_request_approved", {**GITEA_PULL, "review": {"content": "x"}}),
    (GITLAB, "", GITLAB_MERGE),
    (GITLAB, "", GITLAB_PUSH),
    (GITLAB, "", {**GITLAB_MERGE, "object_kind": "note", "merge_request": {"iid": 1}}),
    (GITLAB, "", {**GITLAB_MERGE, "object_kind": "pipeline"}),
    (STANDARD, "", {"type": "a.b", "action": "c"}),
]


def places(value: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    listed: dict[Any, Any] = dict(enumerate(value)) if isinstance(value, list) else {}
    for key, one in (value if isinstance(value, dict) else listed).items():
        yield (*path, key)
        yield from places(one, (*path, key))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_mutation_of_a_payload_raises(data: st.DataObject) -> None:
    kind, event, original = data.draw(st.sampled_from(ORIGINALS))
    payload = copy.deepcopy(original)
    path = data.draw(st.sampled_from(list(places(payload))))
    holder: Any = payload
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = data.draw(JSON)
    body = dumped(payload)
    headers = gitea_headers(body, event=event) if kind is GITEA else kind.headers(body)
    answer = read(kind.source, headers, body)
    assert isinstance(answer, Accepted)
    for told in (answer.event.repository, answer.event.title, answer.event.body, answer.event.ref):
        assert told is None or "\0" not in told
    kept = reopen(answer.envelope.headers, body, None, source="them")
    assert kept == answer
