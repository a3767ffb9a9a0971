"""What real tools printed, read line by line: nothing of it is guessed."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from covend.core.model import TaskId, Usage
from covend.core.presets import PRESETS
from covend.core.presets.stream import StreamReport, Tool
from covend.core.sessions import Session, own_part
from covend.core.settings import Agent, Preset

HELLO = "Hello from the fake model."
NOTHING = (0, 0, 0.0)
UNTOLD = (None, None, None)


class Told(NamedTuple):
    """What a recording tells: the session's first letters, tokens in and out, USD, class of
    failure, turns, items.
    """

    session: str
    used: tuple[int | None, int | None, float | None]
    failure: str | None
    turns: int
    items: int


RECORDINGS = {
    "claude-success": Told("9d82aa2b", (1000, 20, 0.0055), None, 1, 1),
    "claude-resume": Told("9d82aa2b", (1000, 20, 0.0055), None, 1, 1),
    "claude-resume-unknown": Told("11111111", NOTHING, "session_unknown", 0, 0),
    "claude-tool": Told("04f61207", (2000, 40, 0.011), None, 2, 3),
    "claude-denied": Told("2b135cca", (2000, 40, 0.011), None, 2, 3),
    "claude-api-error": Told("28663de9", NOTHING, "api_error", 0, 0),
    "claude-auth-error": Told("b8506992", NOTHING, "authentication", 0, 0),
    "claude-rate-limited": Told("7bd4bf31", NOTHING, "rate_limited", 0, 0),
    "claude-unknown-model": Told("4c1e0e12", NOTHING, "model_unknown", 0, 0),
    "claude-max-turns": Told("457f7f91", (3000, 60, 0.0165), "max_turns", 3, 6),
    "claude-max-budget": Told("d26ffc92", (4000, 80, 0.022), "budget", 4, 7),
    "claude-slash": Told("3fcadbb2", NOTHING, "no_model_call", 0, 0),
    "claude-sigint": Told("7e0491e0", (1000, 20, 0.0055), "interrupted", 1, 3),
    # Without a result line: what its answers began with is what is known.
    "claude-sigterm": Told("8dc1c814", (1000, 1, None), "incomplete", 1, 1),
    "codex-success": Told("01a1fe1f-31ba", (1000, 20, None), None, 1, 1),
    "codex-resume": Told("01a1fe1f-31ba", (2000, 40, None), None, 1, 1),
    "codex-tool": Told("01a1fe2a", (2000, 40, None), None, 1, 3),
    "codex-tool-failed": Told("01a1fe22", (2000, 40, None), None, 1, 3),
    "codex-api-error": Told("01a1fe1f-ca85", UNTOLD, "overloaded", 1, 0),
    "codex-auth-error": Told("01a1fe29", UNTOLD, "authentication", 1, 0),
    "codex-rate-limited": Told("01a1fe1f-cb20", UNTOLD, "rate_limited", 1, 0),
    "codex-unknown-model": Told("01a1fe1f-caf7", UNTOLD, "model_unknown", 1, 0),
    "codex-refused": Told("01a1fe1f-cb4c", UNTOLD, "network", 1, 0),
    "codex-sigterm": Told("01a1fe20", UNTOLD, "incomplete", 1, 1),
}


def tool(name: str) -> Tool:
    return PRESETS[Preset(name.partition("-")[0])]


def recorded(shared: Path, name: str) -> list[str]:
    return (shared / "agents" / f"{name}.jsonl").read_text().splitlines()


def read(name: str, lines: list[str]) -> tuple[StreamReport, list[bool]]:
    """Give the report, and for each line whether it was progress."""
    reader = tool(name).reader()
    steps = [reader.feed(line) for line in lines]
    report = reader.report()
    assert report is not None
    return report, steps


@pytest.mark.parametrize("name", RECORDINGS)
def test_a_recording_tells_session_usage_turns_and_why_it_failed(shared: Path, name: str) -> None:
    told = RECORDINGS[name]
    report, _ = read(name, recorded(shared, name))
    used = Usage(input_tokens=told.used[0], output_tokens=told.used[1], cost_usd=told.used[2])
    assert (report.session or "").startswith(told.session)
    assert report.usage == used
    assert report.error_code == told.failure
    assert (report.turn_count, report.item_count) == (told.turns, told.items)
    assert report.final_text == (None if told.failure else HELLO)
    assert bool(report.error_message) == bool(told.failure)


def test_every_recording_is_in_the_table(shared: Path) -> None:
    assert {path.stem for path in (shared / "agents").glob("*.jsonl")} == set(RECORDINGS)


@pytest.mark.parametrize(
    ("name", "progress"),
    [
        # codex: its turn alone, and none of the reconnections after it
        ("codex-refused", [False, False, True, *[False] * 10]),
        ("codex-api-error", [False, False, True, *[False] * 7]),
        ("codex-tool", [False, False, True, True, True, True, True]),
        # claude: neither its beginning, nor its retries, nor the error in the model's name
        ("claude-api-error", [False, False, False, False, True]),
        ("claude-tool", [False, True, True, True, True]),
    ],
)
def test_a_tool_gets_on_by_its_own_turns_and_items_alone(
    shared: Path, name: str, progress: list[bool]
) -> None:
    _, steps = read(name, recorded(shared, name))
    assert steps == progress


@pytest.mark.parametrize("name", RECORDINGS)
def test_a_stream_can_be_asked_after_any_line_and_never_loses_what_it_told(
    shared: Path, name: str
) -> None:
    reader = tool(name).reader()
    former = 0
    for line in recorded(shared, name):
        reader.feed(line)
        report = reader.report()
        assert report is not None
        assert (report.session or "").startswith(RECORDINGS[name].session)
        assert (report.usage.input_tokens or 0) >= former
        former = report.usage.input_tokens or 0


@pytest.mark.parametrize("name", RECORDINGS)
def test_a_stream_that_breaks_off_anywhere_is_no_success(shared: Path, name: str) -> None:
    lines = recorded(shared, name)
    for end in range(1, len(lines)):
        cut = lines[end][: len(lines[end]) // 2]
        report, _ = read(name, [*lines[:end], cut])
        assert report.error_code is not None


@pytest.mark.parametrize("name", ["claude-tool", "codex-tool"])
def test_events_of_tomorrow_and_plain_lines_change_nothing(shared: Path, name: str) -> None:
    lines = recorded(shared, name)
    noise = ["", "plain", "{broken", "[]", "null", '{"type": "of.tomorrow"}', '{"type": 7}', "{}"]
    noisy = [lines[0], *(part for line in lines[1:] for part in (*noise, line))]
    report, steps = read(name, noisy)
    plain, plain_steps = read(name, lines)
    assert report == plain
    assert sum(steps) == sum(plain_steps)


def session_after(shared: Path, name: str, preset: Preset) -> tuple[Session, Agent]:
    """Give the session as the store would tell it after a recording."""
    report, _ = read(name, recorded(shared, name))
    assert report.session is not None
    session = Session(
        id=report.session,
        task=TaskId("t"),
        agent="it",
        workspace="t-1",
        ended_at=1,
        used=report.usage,
    )
    return session, Agent(name="it", preset=preset, command=(preset.value,))


@pytest.mark.parametrize(
    ("preset", "before", "after"),
    [
        (Preset.CODEX, "codex-success", "codex-resume"),
        (Preset.CLAUDE, "claude-success", "claude-resume"),
    ],
)
def test_a_resumed_attempt_is_charged_its_own_tokens_alone(
    shared: Path, preset: Preset, before: str, after: str
) -> None:
    session, agent = session_after(shared, before, preset)
    report, _ = read(after, recorded(shared, after))
    own = own_part(report, agent, session)
    assert (own.usage.input_tokens, own.usage.output_tokens) == (1000, 20)


def test_a_new_thread_in_place_of_a_resumed_one_is_charged_whole(shared: Path) -> None:
    session, agent = session_after(shared, "codex-success", Preset.CODEX)
    report, _ = read("codex-tool", recorded(shared, "codex-tool"))
    assert own_part(report, agent, session) == report
