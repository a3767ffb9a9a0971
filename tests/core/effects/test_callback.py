"""A callback's body is rendered once, and signed by every secret there is."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

import pytest

from covend.core.effects.callback import (
    PROSE_MAX,
    BadSecretError,
    headers_of,
    key_of,
    plan_callbacks,
)
from covend.core.model import Conclusion, EffectDraft, EffectId, EffectKind, Json, Task, Usage
from covend.core.outside import Callback
from covend.core.secret import Secret
from covend.core.states import Outcome, TaskState
from tests.core.effects.effect_samples import NOON, SHA, ending, task

ID = EffectId("msg_p5jXN8AQM9LWM0D4loKWxJek")
SECRET = Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
COMPLETED, FAILED = "task.completed", "task.failed"


def callback(name: str = "bridge", *events: str) -> Callback:
    return Callback(
        name=name, url="https://h.example", secrets=(SECRET,), events=events or (COMPLETED, FAILED)
    )


def plan(
    *callbacks: Callback,
    target: TaskState = TaskState.COMPLETED,
    of: Task | None = None,
    outcome: Outcome = Outcome.SUCCEEDED,
    now: int = NOON,
    **changes: Any,
) -> tuple[EffectDraft, ...]:
    return plan_callbacks(
        of or task(),
        ending(outcome, **changes),
        target=target,
        callbacks=callbacks or (callback(),),
        redact=lambda told: told,
        now=now,
    )


def told(draft: EffectDraft) -> Mapping[str, Any]:
    body: Mapping[str, Any] = json.loads(draft.request["body"])
    return body


def test_the_body_tells_the_task_by_the_names_of_the_api() -> None:
    (draft,) = plan(summary="Fine.", usage=Usage(input_tokens=5, output_tokens=7, cost_usd=0.25))
    assert (draft.kind, draft.target) == (EffectKind.CALLBACK, "bridge")
    assert draft.request["callback"] == "bridge"
    body = told(draft)
    assert (body["type"], body["timestamp"]) == (COMPLETED, "2026-11-21T12:00:00.000Z")
    data = body["data"]
    assert data["id"] == task().id
    assert (data["state"], data["conclusion"], data["summary"]) == ("completed", "success", "Fine.")
    assert data["subject"] == {
        "type": "pull_request",
        "number": 7,
        "title": "Scan codes",
        "url": "https://github.com/acme/till/pull/7",
        "author": "mara",
        "head_sha": SHA,
        "base_sha": "b" * 40,
    }
    assert data["usage"] == {"input_tokens": 5, "output_tokens": 7, "cost_usd": 0.25}
    assert (data["cost_usd"], data["error"], data["repository"]) == (0.25, None, "acme/till")


def test_the_whole_cost_of_a_task_is_told_and_that_of_its_last_attempt() -> None:
    (draft,) = plan(of=task(cost_usd=1.5), usage=Usage(cost_usd=0.25))
    data = told(draft)["data"]
    assert (data["cost_usd"], data["usage"]["cost_usd"]) == (1.75, 0.25)


def test_a_task_that_failed_has_no_verdict_of_success_to_show() -> None:
    (draft,) = plan(
        target=TaskState.FAILED,
        outcome=Outcome.FAILED,
        conclusion=Conclusion.SUCCESS,
        error_code="agent_error",
        error_message="It fell over.",
    )
    body = told(draft)
    assert (body["type"], body["data"]["conclusion"]) == (FAILED, "failure")
    assert body["data"]["error"] == {"code": "agent_error", "message": "It fell over."}


@pytest.mark.parametrize(
    "target", [each for each in TaskState if each not in (TaskState.COMPLETED, TaskState.FAILED)]
)
def test_only_a_final_end_is_told(target: TaskState) -> None:
    assert plan(target=target) == ()


def test_each_receiver_hears_the_events_it_wants() -> None:
    receivers = (callback("both"), callback("good", COMPLETED), callback("bad", FAILED))
    assert [each.target for each in plan(*receivers)] == ["both", "good"]
    failed = plan(*receivers, target=TaskState.FAILED)
    assert [each.target for each in failed] == ["both", "bad"]


def test_no_receivers_address_is_kept() -> None:
    (draft,) = plan()
    assert "h.example" not in json.dumps(draft.request)


def test_a_secret_is_taken_out_before_the_body_is_rendered_for_good() -> None:
    def redact(values: Json) -> Json:
        cleaned: Json = json.loads(json.dumps(values).replace("s3cret", "[redacted]"))
        return cleaned

    (draft,) = plan_callbacks(
        task(),
        ending(summary="The key is s3cret."),
        target=TaskState.COMPLETED,
        callbacks=[callback()],
        redact=redact,
        now=NOON,
    )
    assert told(draft)["data"]["summary"] == "The key is [redacted]."


def test_a_long_summary_is_cut() -> None:
    (draft,) = plan(summary="é\n" * PROSE_MAX)
    summary = told(draft)["data"]["summary"]
    assert len(summary.encode()) <= PROSE_MAX
    assert summary.startswith("é\n")


def test_another_generation_is_another_callback() -> None:
    (first,), (second,) = plan(), plan(of=task(generation=2))
    assert first.slot != second.slot
    assert first.subject != second.subject


def test_the_signature_is_that_of_the_specifications_own_example() -> None:
    """The vector that the libraries of https://www.standardwebhooks.com are tested with."""
    headers = headers_of(ID, '{"test": 2432232314}', [SECRET], 1614265330_999)
    assert headers == {
        "webhook-id": ID,
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_while_they_rotate_every_secret_signs() -> None:
    raw = Secret("an-older-secret-of-24-bytes-or-more")
    headers = headers_of(ID, "{}", [SECRET, raw], 1614265330_000)
    first, second = headers["webhook-signature"].split(" ")
    signed = f"{ID}.1614265330.{{}}".encode()
    for signature, key in ((first, base64.b64decode(SECRET.reveal()[6:])), (second, b"an-older")):
        whole = raw.reveal().encode() if key == b"an-older" else key
        digest = hmac.new(whole, signed, hashlib.sha256).digest()
        assert signature == f"v1,{base64.b64encode(digest).decode()}"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("whsec_not base64!", "no base64"),
        ("whsec_" + "A" * 7, "no base64"),
        ("whsec_" + base64.b64encode(b"x" * 23).decode(), "23 bytes"),
        ("whsec_" + base64.b64encode(b"x" * 65).decode(), "65 bytes"),
        ("whsk_" + "A" * 44, "key pair"),
        ("whpk_" + "A" * 44, "key pair"),
    ],
)
def test_a_secret_that_only_looks_like_one_is_refused(text: str, words: str) -> None:
    with pytest.raises(BadSecretError, match=words) as raised:
        key_of(Secret(text))
    assert text[6:] not in str(raised.value)
