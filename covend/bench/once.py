"""Shows the outbox's promise: answers are lost after GitHub has done what it was asked for, covend
is killed between sending and recording, and each effect is visible exactly once all the same.

`./run bench once` starts a stand-in of GitHub that outlives the kills, and covend as a process of
its own, for both of which time passes faster; no constant of the outbox is another than in
production. What counts is the stand-in's own record. It exits with 1 unless all is right.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from covend.bench.asking import CONFIG, Asking, write_agents
from covend.bench.deck import KILLS, LOST, Card, Deck, shuffled
from covend.bench.figures import machine, say
from covend.bench.hurry import Pace
from covend.bench.mortal import Mortal, living
from covend.bench.visible import as_json, compare, read_effects
from covend.demo.stage import free_port, set_up

SPEED = 20
WITHIN_S = 1_800.0
OPEN_MAX = 40
"""Tasks and effects that are open at once: then no more is asked for."""
LOOK_EVERY_S = 0.2
SAY_EVERY_S = 10.0
REQUESTS_PER_HOUR = 1_000_000
"""Limits are dealt by the deck; an hour of the hurried clock is soon over."""
_OPEN = {
    "tasks": ("received", "queued", "running"),
    "effects": ("pending", "sending", "unknown"),
}


def main(arguments: list[str]) -> int:
    """Play it once and print the counts; give 1 where anything is not as promised."""
    parser = argparse.ArgumentParser(prog="./run bench once", description=__doc__)
    parser.add_argument("--effects", type=int, default=500, help="whose answer is lost (500)")
    parser.add_argument(
        "--kills", type=int, default=100, help="between sending and recording (100)"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the order in which it happens (1)")
    parser.add_argument("--speed", type=int, default=SPEED, help=f"of time ({SPEED})")
    parser.add_argument("--within", type=float, default=WITHIN_S, help=f"seconds ({WITHIN_S:.0f})")
    parser.add_argument("--json", action="store_true", help="print a JSON object")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="covend-once-") as folder:
        playing = play(
            Path(folder),
            effects=given.effects,
            kills=given.kills,
            seed=given.seed,
            speed=given.speed,
            within_s=given.within,
        )
        report = asyncio.run(playing)
    print(json.dumps(report) if given.json else "\n".join(text_of(report)))  # noqa: T201  its output
    return 0 if report["right"] else 1


async def play(
    folder: Path,
    *,
    effects: int,
    kills: int,
    seed: int = 1,
    speed: int = SPEED,
    within_s: float = WITHIN_S,
) -> Mapping[str, Any]:
    """Play it in an empty folder, and give the report; what is not over in time is reported as it
    is then. Raises RuntimeError where covend does not come up.
    """
    begun, pace = time.monotonic(), Pace.begin(speed)
    write_agents(folder)
    ports = free_port(), free_port()
    async with set_up(folder, config=CONFIG, ports=ports) as stage:
        state = stage.github.state
        state.clock, state.requests_per_hour = pace.datetime, REQUESTS_PER_HOUR
        deck = Deck(shuffled(effects, kills, seed), stage.github.requests, speed)
        stage.github.faults = deck
        async with living(stage.config, pace) as mortal:
            open_count = await _play(mortal, deck, Asking(stage), within_s)
        seen = compare(await read_effects(folder / "state" / "covend.db"), state)
    return {
        "benchmark": "once",
        "right": seen.is_right and deck.is_dealt and open_count == 0,
        "answers_lost": sum(deck.dealt[card] for card in LOST),
        "kills": sum(deck.dealt[card] for card in KILLS),
        "faults": {
            card.value: {"effects": deck.dealt[card], "sent_again": deck.sent_again[card]}
            for card in Card
        },
        "set_again": deck.set_again_count,
        "writes": deck.write_count,
        "found_by_look_up": mortal.published["found"],
        **as_json(seen),
        "open_tasks_and_effects": open_count,
        "said": [] if seen.is_right else mortal.said,
        "seed": seed,
        "speed": speed,
        "seconds": round(time.monotonic() - begun, 1),
        **machine(),
    }


async def _play(mortal: Mortal, deck: Deck, asking: Asking, within_s: float) -> int:
    """Ask until the deck is dealt, wait until nothing is open, and say how much is all the same."""
    with suppress(TimeoutError):
        async with asyncio.timeout(within_s), asyncio.TaskGroup() as group:
            aside = [group.create_task(each) for each in (_kill_on_cue(mortal, deck), _say(deck))]
            while not deck.is_dealt:
                for body, headers in await asking.hooks():
                    await mortal.post(body, headers)
                await _until_open(mortal, OPEN_MAX, deck)
            await _until_open(mortal, 0)
            for each in aside:
                each.cancel()
    return await _open_count(mortal)


async def _until_open(mortal: Mortal, count_max: int, deck: Deck | None = None) -> None:
    """Wait until no more than so much is open, or until the deck is dealt."""
    while await _open_count(mortal) > count_max:
        if deck is not None and deck.is_dealt:
            return
        await asyncio.sleep(LOOK_EVERY_S)


async def _kill_on_cue(mortal: Mortal, deck: Deck) -> None:
    """Kill it while a write of its is held, let that go on, and start it again."""
    while True:
        held = await deck.cues.get()
        await held.reached.wait()
        await mortal.kill()
        held.release()
        await mortal.start()


async def _open_count(mortal: Mortal) -> int:
    stats = await mortal.stats()
    return sum(stats[noun][state] for noun, states in _OPEN.items() for state in states)


async def _say(deck: Deck) -> None:
    while True:
        await asyncio.sleep(SAY_EVERY_S)
        lost, kills = (sum(deck.dealt[card] for card in cards) for cards in (LOST, KILLS))
        say(f"{deck.write_count} writes, {lost} answers lost, {kills} kills")


def text_of(report: Mapping[str, Any]) -> Iterator[str]:
    """Write a report for people, line by line."""
    yield f"{report['answers_lost']:>6} effects whose answer was lost after they were applied"
    yield f"{report['kills']:>6} kill -9 between sending and recording"
    yield f"{report['writes']:>6} writes came; what befell an effect's first, and was sent again:"
    for card, counts in report["faults"].items():
        yield f"           {counts['effects']:>6} {card:<40} {counts['sent_again']:>6}"
    yield f"           {report['set_again']:>6} times a commit status or labels were set again"
    yield f"{report['found_by_look_up']:>6} found by a look-up"
    for state, count in report["effects"].items():
        yield f"{count:>6} effects {state}"
    yield f"{sum(report['visible_once'].values()):>6} things visible exactly once"
    for kind, count in report["visible_once"].items():
        yield f"           {count:>6} {kind}"
    yield f"{report['visible_twice']:>6} visible twice"
    yield f"{report['missing']:>6} missing"
    yield f"{report['unknown_to_the_store']:>6} unknown to the store"
    yield f"{report['open_tasks_and_effects']:>6} tasks and effects still open"
    yield from (f"       {each}" for each in (*report["wrong"], *report["said"]))
    yield f"{'right' if report['right'] else 'WRONG'}, in {report['seconds']} s"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
