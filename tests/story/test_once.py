"""Answers are lost, covend is killed between sending and recording, and what it publishes is there
once all the same: the play of `./run bench once`, on a small scale.
"""

from __future__ import annotations

from pathlib import Path

from covend.bench import once
from covend.bench.deck import Card
from covend.core.model import EffectKind

LOST, KILLS = 40, 8
APPLIED = (Card.LOST, Card.LOST_500, Card.KILLED)
"""After these a look-up finds what is there; nothing is sent again but statuses and labels."""
WITHIN_S = 120.0
"""Far longer than it takes: what goes wrong shall be told by the counts."""


async def test_each_effect_is_visible_exactly_once(tmp_path: Path) -> None:
    report = await once.play(tmp_path, effects=LOST, kills=KILLS, within_s=WITHIN_S)
    told = "\n".join(once.text_of(report))
    assert (report["visible_twice"], report["missing"], report["unknown_to_the_store"]) == (0, 0, 0)
    assert report["right"], told
    assert (report["answers_lost"], report["kills"]) == (LOST, KILLS), told
    again = {card: report["faults"][card]["sent_again"] for card in APPLIED}
    assert again == dict.fromkeys(APPLIED, 0), told
    assert set(report["effects"]) <= {"done", "withheld"}, told
    assert report["found_by_look_up"] >= LOST // 2, told
    assert set(report["visible_once"]) >= {
        *(EffectKind.CHECK, EffectKind.STATUS, EffectKind.COMMENT, EffectKind.REVIEW),
        *(EffectKind.PULL_REQUEST, EffectKind.REACTION, EffectKind.LABELS),
    }, told
