"""The parts of `./run bench once`: hurried time, the deck, and the eye that counts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from covend.bench.deck import KILLS, Card, Deck, shuffled
from covend.bench.hurry import HurriedClock, HurriedLoop, Pace
from covend.bench.visible import compare
from covend.core.model import Effect, EffectId, EffectKind
from covend.core.states import EffectState
from covend.demo.github import StandInGitHub
from covend.demo.github.auth import ANONYMOUS
from covend.demo.github.faults import Fault
from covend.demo.github.state import Request, State
from covend.demo.payloads import COVEND, MAINTAINER
from covend.demo.records import IssueComment

SPEED = 50
LINE = "<!-- covend:v1 slot=comment/review/1/pull/7 task=t.1 sig=" + "0" * 64 + " -->"


# --- time -----------------------------------------------------------------------------------------


def test_a_hurried_loop_wakes_so_many_times_as_soon() -> None:
    async def wait(seconds: float) -> float:
        loop, over = asyncio.get_running_loop(), asyncio.Event()
        begun = loop.time()
        loop.call_later(seconds, over.set)
        await over.wait()
        return loop.time() - begun

    begun = time.monotonic()
    with asyncio.Runner(loop_factory=lambda: HurriedLoop(SPEED)) as runner:
        passed = runner.run(wait(30.0))
    assert passed >= 30.0
    assert time.monotonic() - begun < 30.0 / 2


def test_who_is_told_the_pace_has_the_same_time() -> None:
    pace = Pace.begin(SPEED)
    told = Pace.parse(str(pace))
    assert told == pace
    assert abs(told.moment() - int(pace.datetime().timestamp() * 1000)) < 60_000


def test_a_hurried_clock_begins_no_earlier_than_the_store_knows() -> None:
    pace = Pace.begin(SPEED)
    later = pace.moment() + 3_600_000
    clock = HurriedClock(pace, later)
    assert clock.started_at == later
    assert clock.now() >= later


# --- the deck -------------------------------------------------------------------------------------


def asked(requests: list[Request], deck: Deck, method: str, path: str, body: object) -> Any:
    """Let a request come in, and take its fault."""
    requests.append(
        Request(
            index=len(requests),
            method=method,
            path=path,
            query={},
            body=body,
            headers={},
            credential=ANONYMOUS,
        )
    )
    return deck.take(method, path)


def test_a_deck_has_what_was_asked_for_and_some_of_all_else() -> None:
    cards = shuffled(500, 100, 1)
    assert sum(card in {Card.LOST, Card.LOST_500} for card in cards) == 500
    assert sum(card in KILLS for card in cards) == 100
    assert set(cards) == set(Card)
    assert cards == shuffled(500, 100, 1)
    assert cards != shuffled(500, 100, 2)


def test_what_is_sent_again_goes_through() -> None:
    requests: list[Request] = []
    deck = Deck([Card.RESET], requests, SPEED)
    write = ("POST", "/repos/acme/till/issues/7/comments", {"body": "Fine."})
    assert asked(requests, deck, *write).kind is Fault.RESET
    assert deck.is_dealt
    assert asked(requests, deck, *write) is None
    assert (deck.write_count, deck.sent_again[Card.RESET]) == (2, 1)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/repos/acme/till/issues/7/comments", None),
        ("POST", "/app/installations/1/access_tokens", {}),
        ("DELETE", "/installation/token", None),
        ("POST", "/acme/till.git/git-receive-pack", b"pack"),
        ("POST", "/graphql", {"query": "query ReviewIsMinimized { node }"}),
    ],
)
def test_what_shows_nothing_is_dealt_no_card(method: str, path: str, body: object) -> None:
    requests: list[Request] = []
    deck = Deck([Card.LOST], requests, SPEED)
    assert asked(requests, deck, method, path, body) is None
    assert not deck.is_dealt


# --- the eye --------------------------------------------------------------------------------------


def effect(state: EffectState = EffectState.DONE, **changes: object) -> Effect:
    request: Mapping[str, Any] = {"number": 7, "marker": LINE, "body": {"body": LINE}}
    made = Effect(
        id=EffectId("e"),
        task=None,
        kind=EffectKind.COMMENT,
        slot="comment/review/1/pull/7",
        subject="1/pull/7",
        target="acme/till#7",
        installation_id=1,
        repository="acme/till",
        request={"repository": "acme/till", **request},
        state=state,
        tries=1,
        not_before_at=0,
        remote_id="1",
        remote_url=None,
        error=None,
        created_at=0,
        sent_at=0,
        done_at=0,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def stand_in(*texts: str) -> State:
    """A stand-in on which covend has commented."""
    state = StandInGitHub().state
    state.comments += [
        IssueComment(id=at, repository="acme/till", number=7, author=COVEND.bot, body=text)
        for at, text in enumerate(texts)
    ]
    return state


def test_what_is_there_once_is_right() -> None:
    state = stand_in(f"Fine.\n{LINE}")
    state.comments.append(replace(state.comments[0], author=MAINTAINER, body="Thanks."))
    seen = compare([effect()], state)
    assert (seen.once[EffectKind.COMMENT], seen.is_right) == (1, True)


def test_what_is_there_twice_is_seen() -> None:
    seen = compare([effect()], stand_in(LINE, LINE))
    assert (seen.twice.total(), seen.is_right) == (1, False)


@pytest.mark.parametrize("text", ["", LINE.replace("task=t.1", "task=t.0")])
def test_what_is_missing_or_an_old_version_is_seen(text: str) -> None:
    seen = compare([effect()], stand_in(*([text] if text else [])))
    assert (seen.missing.total(), seen.is_right) == (1, False)


def test_what_the_store_does_not_know_is_seen() -> None:
    seen = compare([effect()], stand_in(LINE, "Who wrote this?"))
    assert (seen.strays, seen.is_right) == (1, False)


@pytest.mark.parametrize("state", [EffectState.PENDING, EffectState.UNKNOWN, EffectState.FAILED])
def test_what_is_open_or_given_up_is_not_right(state: EffectState) -> None:
    other = effect(state, slot="comment/other/1/pull/7")
    assert not compare([effect(), other], stand_in(LINE)).is_right


def test_nothing_at_all_is_not_right() -> None:
    assert not compare([], stand_in()).is_right
