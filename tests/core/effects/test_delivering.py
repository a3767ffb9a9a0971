"""What becomes of a callback, by the receiver's answer and the tries made."""

from __future__ import annotations

import pytest

from covend.core.effects.delivering import (
    RETRY_AFTER_MAX_S,
    SCHEDULE_S,
    TRIES_MAX,
    Again,
    Code,
    Done,
    GivenUp,
    Heard,
    Reply,
    Try,
    Unheard,
    Verdict,
    judge,
    wait_ms,
    word_of,
)
from covend.core.safeguards.circuit import Word

NOW = 1_795_262_400_000
NO_ANSWER = Unheard(code=Code.NO_ANSWER, message="no answer")


def judged(reply: Reply, *, tries: int = 1, jitter: float = 0.5) -> Verdict:
    event = "task.completed"
    return judge(reply, Try(webhook_id="01abc", event=event, tries=tries, now=NOW, jitter=jitter))


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_done(status: int) -> None:
    assert judged(Heard(status=status)) == Done()


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (300, Code.REDIRECT),
        (301, Code.REDIRECT),
        (302, Code.REDIRECT),
        (304, Code.REDIRECT),
        (307, Code.REDIRECT),
        (308, Code.REDIRECT),
        (400, Code.REFUSED),
        (401, Code.REFUSED),
        (403, Code.REFUSED),
        (404, Code.REFUSED),
        (405, Code.REFUSED),
        (409, Code.CONFLICT),
        (410, Code.GONE),
        (413, Code.REFUSED),
        (422, Code.REFUSED),
        (499, Code.REFUSED),
        (102, Code.UNUSABLE),
    ],
)
def test_what_is_final_is_not_sent_again_and_counts_for_no_circuit(status: int, code: Code) -> None:
    verdict = judged(Heard(status=status))
    assert isinstance(verdict, GivenUp)
    assert (verdict.code, verdict.is_exhausted) == (code, False)
    assert str(status) in verdict.message
    assert word_of(Heard(status=status)) is Word.ANSWERED


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (408, Code.TIMEOUT),
        (425, Code.TOO_EARLY),
        (429, Code.RATE_LIMITED),
        (500, Code.SERVER_ERROR),
        (501, Code.SERVER_ERROR),
        (502, Code.SERVER_ERROR),
        (503, Code.SERVER_ERROR),
        (504, Code.SERVER_ERROR),
        (599, Code.SERVER_ERROR),
    ],
)
def test_what_passes_is_sent_again_and_counts_for_the_circuit(status: int, code: Code) -> None:
    verdict = judged(Heard(status=status))
    assert isinstance(verdict, Again)
    assert (verdict.code, verdict.at) == (code, NOW + 5_000)
    assert word_of(Heard(status=status)) is Word.FAILED


def test_no_answer_is_sent_again_and_a_refused_address_never() -> None:
    assert isinstance(judged(NO_ANSWER), Again)
    assert word_of(NO_ANSWER) is Word.FAILED
    refused = Unheard(code=Code.ADDRESS, message="private", is_final=True)
    assert judged(refused) == GivenUp(code=Code.ADDRESS, message="private")
    assert word_of(refused) is Word.NOTHING


def test_gone_says_what_to_do() -> None:
    verdict = judged(Heard(status=410))
    assert isinstance(verdict, GivenUp)
    assert "remove the callback" in verdict.message


@pytest.mark.parametrize(
    ("reply", "is_done"),
    [
        (Heard(status=409, is_replayed=True), True),
        (Heard(status=409, body=b'{"error": {"code": "duplicate", "message": "x"}}'), True),
        (Heard(status=409, body=b'{"id": "01abc"}'), True),
        (Heard(status=409, body=b'{"webhook_id": "01abc"}'), True),
        (Heard(status=409, body=b'{"id": "another"}'), False),
        (Heard(status=409, body=b'{"error": {"code": "conflict"}}'), False),
        (Heard(status=409, body=b'{"error": "duplicate"}'), False),
        (Heard(status=409, body=b'["01abc"]'), False),
        (Heard(status=409, body=b"duplicate"), False),
        (Heard(status=409, body=b"[" * 16_000), False),
        (Heard(status=404, is_replayed=True), False),
    ],
)
def test_a_conflict_is_done_where_the_receiver_says_that_it_has_it(
    reply: Heard, is_done: bool
) -> None:
    verdict = judged(reply)
    assert (verdict == Done(code=Code.DUPLICATE)) == is_done
    assert isinstance(verdict, Done) == is_done


def test_the_schedule_is_kept_and_spread_by_a_fifth() -> None:
    assert SCHEDULE_S == (5, 300, 1_800, 7_200, 18_000, 36_000, 36_000)
    for tries, seconds in enumerate(SCHEDULE_S, 1):
        for jitter, part in ((0.0, 0.8), (0.5, 1.0), (1.0, 1.2)):
            assert wait_ms(tries, jitter) == round(1000 * seconds * part)
            verdict = judged(Heard(status=500), tries=tries, jitter=jitter)
            assert isinstance(verdict, Again)
            assert verdict.at == NOW + round(1000 * seconds * part)


def test_after_the_last_try_it_is_given_up_as_exhausted() -> None:
    for event, tries in TRIES_MAX.items():
        assert tries == len(SCHEDULE_S) + 1
        made = Try(webhook_id="01abc", event=event, tries=tries, now=NOW)
        verdict = judge(NO_ANSWER, made)
        assert isinstance(verdict, GivenUp)
        assert verdict.is_exhausted
        assert f"after {tries} tries" in verdict.message


@pytest.mark.parametrize(
    ("status", "asked_s", "waited_s"),
    [
        (429, 60.0, 60),
        (503, 60.0, 60),
        (429, 1.0, 5),
        (429, None, 5),
        (429, 1e9, RETRY_AFTER_MAX_S),
        (500, 60.0, 5),
        (408, 60.0, 5),
    ],
)
def test_a_receiver_may_ask_to_wait_longer_but_not_for_ever(
    status: int, asked_s: float | None, waited_s: float
) -> None:
    verdict = judged(Heard(status=status, retry_after_s=asked_s))
    assert isinstance(verdict, Again)
    assert verdict.at == NOW + round(1000 * waited_s)


def test_a_receivers_words_are_kept_short_and_clean() -> None:
    verdict = judged(Heard(status=400, body=b"no\x00\x1b[31m\r\n" + "é".encode() * 5_000 + b"\xff"))
    assert isinstance(verdict, GivenUp)
    assert len(verdict.message) < 250
    assert verdict.message.isprintable()
