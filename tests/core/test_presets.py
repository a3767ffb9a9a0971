from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from covend.core.model import Usage
from covend.core.presets import PRESETS
from covend.core.presets.stream import (
    COUNT_MAX,
    Failure,
    Reader,
    StreamReport,
    Tool,
    Words,
    takes_prompt_on_stdin,
)
from covend.core.settings import Agent, Preset

HELLO = "Hello from the fake model."
NOTHING = (0, 0, 0.0)
UNTOLD = (None, None, None)

RECORDINGS: dict[str, tuple[str, tuple[int | None, int | None, float | None], str | None]] = {
    # name: the session's first letters, (tokens in, tokens out, USD), class of failure
    "claude-success": ("9d82aa2b", (1000, 20, 0.0055), None),
    "claude-resume": ("9d82aa2b", (1000, 20, 0.0055), None),
    "claude-resume-unknown": ("11111111", NOTHING, "session_unknown"),
    "claude-tool": ("04f61207", (2000, 40, 0.011), None),
    "claude-denied": ("2b135cca", (2000, 40, 0.011), None),
    "claude-api-error": ("28663de9", NOTHING, "api_error"),
    "claude-auth-error": ("b8506992", NOTHING, "authentication"),
    "claude-rate-limited": ("7bd4bf31", NOTHING, "rate_limited"),
    "claude-unknown-model": ("4c1e0e12", NOTHING, "model_unknown"),
    "claude-max-turns": ("457f7f91", (3000, 60, 0.0165), "max_turns"),
    "claude-max-budget": ("d26ffc92", (4000, 80, 0.022), "budget"),
    "claude-slash": ("3fcadbb2", NOTHING, "no_model_call"),
    "claude-sigint": ("7e0491e0", (1000, 20, 0.0055), "interrupted"),
    "claude-sigterm": ("8dc1c814", UNTOLD, "incomplete"),
    "codex-success": ("01a1fe1f-31ba", (1000, 20, None), None),
    "codex-resume": ("01a1fe1f-31ba", (2000, 40, None), None),
    "codex-tool": ("01a1fe2a", (2000, 40, None), None),
    "codex-tool-failed": ("01a1fe22", (2000, 40, None), None),
    "codex-api-error": ("01a1fe1f-ca85", UNTOLD, "overloaded"),
    "codex-auth-error": ("01a1fe29", UNTOLD, "authentication"),
    "codex-rate-limited": ("01a1fe1f-cb20", UNTOLD, "rate_limited"),
    "codex-unknown-model": ("01a1fe1f-caf7", UNTOLD, "model_unknown"),
    "codex-refused": ("01a1fe1f-cb4c", UNTOLD, "network"),
    "codex-sigterm": ("01a1fe20", UNTOLD, "incomplete"),
}


def tool(name: str) -> Tool:
    return PRESETS[Preset(name.partition("-")[0])]


def read(reader: Reader, *lines: str) -> StreamReport:
    for line in lines:
        reader.feed(line)
    report = reader.report()
    assert report is not None
    return report


def recorded(shared: Path, name: str) -> list[str]:
    return (shared / "agents" / f"{name}.jsonl").read_text().splitlines()


@pytest.mark.parametrize("name", RECORDINGS)
def test_a_recorded_stream_tells_session_usage_and_why_it_failed(shared: Path, name: str) -> None:
    session, (tokens_in, tokens_out, cost), failure = RECORDINGS[name]
    report = read(tool(name).reader(), *recorded(shared, name))
    assert (report.session or "").startswith(session)
    assert report.usage == Usage(input_tokens=tokens_in, output_tokens=tokens_out, cost_usd=cost)
    assert report.error_code == failure
    assert report.final_text == (None if failure else HELLO)
    assert bool(report.error_message) == bool(failure)


def test_every_recording_is_in_the_table(shared: Path) -> None:
    assert {path.stem for path in (shared / "agents").glob("*.jsonl")} == set(RECORDINGS)


@pytest.mark.parametrize("name", ["claude-tool", "codex-tool"])
def test_events_of_tomorrow_and_plain_lines_change_nothing(shared: Path, name: str) -> None:
    lines = recorded(shared, name)
    noise = ["", "plain", "{broken", "[]", "null", '{"type": "of.tomorrow"}', '{"type": 7}', "{}"]
    noisy = [part for line in lines for part in (*noise, line)]
    assert read(tool(name).reader(), *noisy) == read(tool(name).reader(), *lines)


@pytest.mark.parametrize("preset", Preset)
def test_plain_output_is_no_stream(preset: Preset) -> None:
    reader = PRESETS[preset].reader()
    reader.feed("all is well")
    assert reader.report() is None


@pytest.mark.parametrize(
    "line",
    [
        '{"type":"result","usage":3,"modelUsage":[1],"num_turns":"x","total_cost_usd":"1"}',
        '{"type":"assistant","message":null,"session_id":5}',
        '{"type":"result","is_error":true,"errors":"odd","subtype":null}',
    ],
)
def test_a_claude_event_of_another_shape_does_not_raise(line: str) -> None:
    read(PRESETS[Preset.CLAUDE].reader(), line)


@pytest.mark.parametrize(
    "line",
    [
        '{"type":"turn.failed","error":"odd"}',
        '{"type":"item.completed","item":[]}',
        '{"type":"turn.completed","usage":null}',
        '{"type":"error"}',
    ],
)
def test_a_codex_event_of_another_shape_does_not_raise(line: str) -> None:
    read(PRESETS[Preset.CODEX].reader(), line)


def test_retries_of_codex_are_no_progress(shared: Path) -> None:
    lines = recorded(shared, "codex-refused")
    assert read(PRESETS[Preset.CODEX].reader(), *lines).progress_count == 1


def test_cached_tokens_count_as_input() -> None:
    result = (
        '{"type":"result","num_turns":1,"total_cost_usd":1,"modelUsage":{"m":'
        '{"inputTokens":1,"cacheReadInputTokens":20,"cacheCreationInputTokens":300}}}'
    )
    assert read(PRESETS[Preset.CLAUDE].reader(), result).usage.input_tokens == 321


def claude_result(count: int) -> str:
    model = f'{{"inputTokens":{count},"cacheReadInputTokens":{count},"outputTokens":{count}}}'
    return f'{{"type":"result","num_turns":1,"modelUsage":{{"a":{model},"b":{model}}}}}'


def codex_result(count: int) -> str:
    usage = f'{{"input_tokens":{count},"output_tokens":{count}}}'
    return f'{{"type":"turn.completed","usage":{usage}}}'


@pytest.mark.parametrize("count", [COUNT_MAX - 1, COUNT_MAX + 1, 2**64 - 1, 2**70])
@pytest.mark.parametrize(
    ("preset", "line"), [(Preset.CLAUDE, claude_result), (Preset.CODEX, codex_result)]
)
def test_no_count_of_a_tool_is_more_than_a_store_takes(
    preset: Preset, line: Callable[[int], str], count: int
) -> None:
    usage = read(PRESETS[preset].reader(), line(count)).usage
    assert (usage.input_tokens or 0) <= COUNT_MAX
    assert (usage.output_tokens or 0) <= COUNT_MAX


WORDS = Words(
    prompt="do it", brief="/a/x/brief.json", result="/a/x/result.json", workspace="/a/workspace"
)


def agent(preset: Preset, *command: str, model: str | None = None) -> Agent:
    return Agent(name="it", preset=preset, command=command, model=model)


def argv(it: Agent, words: Words = WORDS) -> tuple[str, ...]:
    return PRESETS[it.preset].argv(it, words)


@pytest.mark.parametrize("preset", Preset)
def test_placeholders_are_whole_words_and_nothing_else_is_touched(preset: Preset) -> None:
    command = ("run", "{prompt}", "--in={workspace}", "{brief}", "{result}", "{session}", "{other}")
    assert argv(agent(preset, *command)) == (
        "run",
        "do it",
        "--in={workspace}",
        "/a/x/brief.json",
        "/a/x/result.json",
        "",
        "{other}",
    )


def test_a_prompt_with_a_placeholder_in_it_stays_as_it_is() -> None:
    words = Words(prompt="{result}", brief="b", result="r", workspace="w")
    assert argv(agent(Preset.COMMAND, "run", "{prompt}"), words) == ("run", "{result}")


@pytest.mark.parametrize("preset", [Preset.COMMAND, Preset.COVEN_CODE])
def test_a_plain_command_gets_no_flags(preset: Preset) -> None:
    assert argv(agent(preset, "run")) == ("run",)


def test_a_bare_claude_may_read_and_write_its_result_and_no_more() -> None:
    line = argv(agent(Preset.CLAUDE, "/opt/claude", model="opus"))
    allowed = line[line.index("--allowedTools") + 1].split(",")
    assert line[:5] == ("/opt/claude", "-p", "--output-format", "stream-json", "--verbose")
    assert line[line.index("--permission-mode") + 1] == "dontAsk"
    assert line[line.index("--add-dir") + 1] == "/a/x"
    assert line[line.index("--model") + 1] == "opus"
    assert "Edit(//a/x/**)" in allowed
    assert not {"Edit", "Write", "Bash"} & set(allowed)


def test_a_claude_that_is_to_change_files_may_edit_and_commit() -> None:
    words = Words(prompt="p", brief="/x/b", result="/x/r", workspace="/w", edits=True)
    line = argv(agent(Preset.CLAUDE, "claude"), words)
    assert {"Edit", "Write", "Bash(git commit:*)"} <= set(
        line[line.index("--allowedTools") + 1].split(",")
    )


def test_a_bare_codex_reads_its_prompt_from_standard_input_and_reaches_its_result() -> None:
    line = argv(agent(Preset.CODEX, "codex"))
    assert line[:3] == ("codex", "exec", "--json")
    assert line[line.index("--add-dir") + 1] == "/a/x"
    assert line[-1] == "-"


@pytest.mark.parametrize(
    ("session", "resumes"),
    [("01a1fe1f-31ba-7a71-be6c-5fd630534733", True), ("no uuid", False), (None, False)],
)
def test_codex_resumes_only_a_session_it_will_know(session: str | None, resumes: bool) -> None:
    words = Words(prompt="p", brief="/x/b", result="/x/r", workspace="/w", session=session)
    assert ("resume" in argv(agent(Preset.CODEX, "codex"), words)) is resumes


def test_the_prompt_goes_by_standard_input_unless_the_command_has_it() -> None:
    assert takes_prompt_on_stdin(agent(Preset.COMMAND, "run"))
    assert not takes_prompt_on_stdin(agent(Preset.COMMAND, "run", "{prompt}"))


def test_failures_are_a_closed_set_of_plain_words() -> None:
    assert all(kind.value.replace("_", "").isalpha() for kind in Failure)
