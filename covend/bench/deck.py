"""What goes wrong with which write: a shuffled deck of which each write takes the next card when it
comes for the first time.

So every card falls on an effect of its own, and whatever is sent again goes through. Reads, tokens
and git are dealt none.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum

import orjson

from covend.demo.github.faults import Fault, Faults, Planned
from covend.demo.github.state import Request

SHORT_S = 1.0
"""How slow a slow answer is, by the clock that is hurried; a client waits 30 s."""
LATE_S = 40.0
"""Later than a client waits and than covend looks first, earlier than it looks last."""
RETRY_AFTER_S = 3.0
_NO_EFFECTS = ("/access_tokens", "/installation/token")
_SET = ("/statuses/", "/labels")
"""To set these again shows nothing more, and another task may set the same."""


class Card(StrEnum):
    """What happens to a write."""

    LOST = "applied, connection reset"
    LOST_500 = "applied, answered by 500"
    KILLED = "applied, covend killed"
    KILLED_EARLY = "applied after covend was killed"
    RESET = "not applied, connection reset"
    ERROR_500 = "not applied, answered by 500"
    LIMITED_429 = "refused by 429"
    LIMITED_403 = "refused by a secondary limit"
    SLOW = "slow"
    LATE = "applied after covend gave up waiting"


_FAULTS: Mapping[Card, tuple[Fault, float]] = {
    Card.LOST: (Fault.ANSWER_LOST, 0),
    Card.LOST_500: (Fault.ERROR_500_APPLIED, 0),
    Card.KILLED: (Fault.KEPT_BACK, 0),
    Card.KILLED_EARLY: (Fault.HELD, 0),
    Card.RESET: (Fault.RESET, 0),
    Card.ERROR_500: (Fault.ERROR_500, 0),
    Card.LIMITED_429: (Fault.RATE_LIMITED_429, RETRY_AFTER_S),
    Card.LIMITED_403: (Fault.SECONDARY_403, RETRY_AFTER_S),
    Card.SLOW: (Fault.SLOW, SHORT_S),
    Card.LATE: (Fault.SLOW, LATE_S),
}
LOST = frozenset({Card.LOST, Card.LOST_500})
KILLS = frozenset({Card.KILLED, Card.KILLED_EARLY})
_OTHERS = (
    Card.RESET,
    Card.ERROR_500,
    Card.LIMITED_429,
    Card.LIMITED_403,
    Card.SLOW,
    Card.LATE,
)
OTHER_EVERY = 60
"""So many lost answers bring one each of all else that goes wrong."""
LATE_KILL_EVERY = 5
"""Every so manieth kill comes before the write is applied, the others after it."""


def shuffled(effects: int, kills: int, seed: int) -> list[Card]:
    """Make a deck: so many lost answers and so many kills, and some of all else."""
    cards = [Card.LOST if number % 2 else Card.LOST_500 for number in range(effects)]
    cards += [
        Card.KILLED if (number + 1) % LATE_KILL_EVERY else Card.KILLED_EARLY
        for number in range(kills)
    ]
    cards += [*_OTHERS] * (1 + effects // OTHER_EVERY)
    random.Random(seed).shuffle(cards)  # noqa: S311  nothing depends on its being secret
    return cards


class Deck(Faults):
    """The faults of a stand-in; it is dealt while requests come in."""

    def __init__(self, cards: Sequence[Card], requests: Sequence[Request], speed: int) -> None:
        """Deal to `requests`, of which the stand-in notes each right before it asks for its fault;
        whatever takes time takes so many times less.
        """
        super().__init__()
        self.dealt: Counter[Card] = Counter()
        self.cues: asyncio.Queue[Planned] = asyncio.Queue()
        """Requests at which covend shall be killed, before they are let go on."""
        self.write_count = 0
        self.sent_again: Counter[Card] = Counter()
        """Writes that came once more, byte for byte, by the card of the first time."""
        self.set_again_count = 0
        """Commit statuses and labels that did, also because another effect is the same."""
        self._size = len(cards)
        self._rest: Iterator[Card] = iter(cards)
        self._requests = requests
        self._speed = speed
        self._seen: dict[bytes, Card | None] = {}

    @property
    def is_dealt(self) -> bool:
        """Say whether every card has fallen."""
        return self.dealt.total() == self._size

    def take(self, method: str, path: str) -> Planned | None:
        """Deal the next card to a write that comes for the first time."""
        if method == "GET" or ".git/" in path or path.endswith(_NO_EFFECTS):
            return None
        body = self._requests[-1].body
        if path == "/graphql" and not body["query"].startswith("mutation"):
            return None
        self.write_count += 1
        key = orjson.dumps([method, path, body])
        if key in self._seen:
            self._count_again(path, self._seen[key])
            return None
        card = self._seen[key] = next(self._rest, None)
        return None if card is None else self._deal(method, path, card)

    def _count_again(self, path: str, card: Card | None) -> None:
        if any(each in path for each in _SET):
            self.set_again_count += 1
        elif card is not None:
            self.sent_again[card] += 1

    def _deal(self, method: str, path: str, card: Card) -> Planned:
        self.dealt[card] += 1
        kind, seconds = _FAULTS[card]
        if kind is Fault.SLOW:
            seconds /= self._speed
        planned = self.add(method, path, kind, times=0, seconds=seconds)
        if card in KILLS:
            self.cues.put_nowait(planned)
        return planned
