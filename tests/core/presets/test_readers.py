"""Lines that no tool should print, but may: nothing raises, nothing grows without bound."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covend.core.presets import PRESETS
from covend.core.presets.claude import ANSWERS_OPEN_MAX, ClaudeReader
from covend.core.presets.stream import (
    COUNT_MAX,
    MESSAGE_MAX,
    TEXT_MAX,
    Failure,
    Reader,
    StreamReport,
)
from covend.core.settings import Preset

STREAMING = (Preset.CLAUDE, Preset.CODEX)
KINDS = ["system", "assistant", "user", "result", "stream_event", "thread.started", "turn.started"]
KINDS += ["turn.completed", "turn.failed", "item.started", "item.completed", "error"]
NAMES = ["type", "subtype", "session_id", "thread_id", "message", "error", "errors", "result"]
NAMES += ["usage", "modelUsage", "total_cost_usd", "num_turns", "api_error_status", "is_error"]
NAMES += ["item", "id", "text", "model", "input_tokens", "inputTokens", "terminal_reason", "event"]

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**80), 2**80)
    | st.floats()
    | st.text(st.characters(exclude_categories=())),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6)
    ),
    max_leaves=12,
)
events = st.builds(
    lambda kind, fields: json.dumps({**fields, "type": kind}),
    st.sampled_from(KINDS) | values,
    st.dictionaries(st.sampled_from(NAMES), values),
)
anything = st.text(st.characters(exclude_categories=())) | st.binary().map(
    lambda data: data.decode("utf-8", "replace")
)
halves = st.builds(lambda line, at: line[:at], events, st.integers(0, 200))


def read(reader: Reader, *lines: str) -> StreamReport:
    for line in lines:
        reader.feed(line)
    report = reader.report()
    assert report is not None
    return report


@pytest.mark.parametrize("preset", Preset)
@given(lines=st.lists(events | halves | anything))
def test_no_line_raises_and_what_is_reported_can_be_kept(preset: Preset, lines: list[str]) -> None:
    reader = PRESETS[preset].reader()
    for line in lines:
        assert reader.feed(line) in (True, False)
        report = reader.report()
        if report is not None:
            assert_keepable(report)


def assert_keepable(report: StreamReport) -> None:
    """What a store takes: text that is UTF-8, counts within 64 bits, money within reason."""
    for told in (report.session, report.final_text, report.last_text, report.error_message):
        (told or "").encode()
    assert len(report.error_message or "") <= MESSAGE_MAX
    assert len(report.last_text or "") <= TEXT_MAX
    for tokens in (report.usage.input_tokens, report.usage.output_tokens):
        assert 0 <= (tokens or 0) <= COUNT_MAX
    assert 0 <= (report.usage.cost_usd or 0) <= 1e9


@pytest.mark.parametrize("preset", STREAMING)
@pytest.mark.parametrize(
    "line",
    [
        '{"type":' + "[" * 200_000,
        '{"type":"result","errors":' + "[" * 200_000 + "]" * 200_000 + "}",
        '{"type":"result","x":"\\ud800","errors":' + "[" * 200_000 + "]" * 200_000 + "}",
        '{"type":"user","message":"' + "x" * (1 << 20),
        "\x00" * 1000,
    ],
    ids=["open", "deep", "deep and half a pair", "huge and cut", "binary"],
)
def test_what_is_too_deep_too_long_or_cut_is_passed_over(preset: Preset, line: str) -> None:
    reader = PRESETS[preset].reader()
    reader.feed(line)
    assert reader.report() is None


def test_half_of_a_surrogate_pair_loses_no_result() -> None:
    line = '{"type":"result","num_turns":1,"is_error":false,"result":"cut \\ud83d"}'
    report = read(ClaudeReader(), line)
    assert (report.error_code, report.final_text) == (None, "cut ?")


@pytest.mark.parametrize("preset", Preset)
def test_every_line_of_plain_output_is_progress(preset: Preset) -> None:
    reader = PRESETS[preset].reader()
    assert reader.feed("all is well")
    assert reader.feed("")
    assert reader.report() is None


@pytest.mark.parametrize("preset", STREAMING)
def test_plain_lines_among_events_are_no_progress(preset: Preset) -> None:
    reader = PRESETS[preset].reader()
    reader.feed('{"type":"system","subtype":"init"}')
    reader.feed('{"type":"thread.started"}')
    assert not reader.feed("warning: still waiting")


@pytest.mark.parametrize(
    ("line", "is_progress"),
    [
        ('{"type":"stream_event","event":{"type":"content_block_delta"}}', True),
        ('{"type":"stream_event","event":{"type":"ping"}}', False),
        ('{"type":"system","subtype":"api_retry","attempt":3}', False),
        ('{"type":"system","subtype":"compact_boundary"}', True),
        ('{"type":"tool_progress","elapsed_time_seconds":30}', False),
    ],
)
def test_claude_gets_on_by_what_it_makes_not_by_its_heartbeats(
    line: str, is_progress: bool
) -> None:
    reader = ClaudeReader()
    reader.feed('{"type":"system","subtype":"init"}')
    assert reader.feed(line) is is_progress


def answer(name: object, tokens: int) -> str:
    usage = {"input_tokens": tokens, "cache_read_input_tokens": 1, "output_tokens": 2}
    message = {"id": name, "model": "m", "usage": usage}
    return json.dumps({"type": "assistant", "message": message})


def codex_turn(tokens_in: int, tokens_out: int) -> str:
    usage = {"input_tokens": tokens_in, "output_tokens": tokens_out}
    return json.dumps({"type": "turn.completed", "usage": usage})


def test_an_answer_in_several_pieces_is_counted_once() -> None:
    report = read(ClaudeReader(), answer("a", 10), answer("b", 5), answer("a", 10))
    assert (report.usage.input_tokens, report.usage.output_tokens) == (17, 4)
    assert (report.turn_count, report.item_count) == (2, 3)
    assert report.error_code is Failure.INCOMPLETE


def said(*texts: object, parent: str | None = None, model: str = "m") -> str:
    content = [{"type": "text", "text": each} for each in texts]
    message = {"id": "a", "model": model, "content": content}
    return json.dumps({"type": "assistant", "message": message, "parent_tool_use_id": parent})


def said_by_codex(text: object) -> str:
    return json.dumps({"type": "item.completed", "item": {"type": "agent_message", "text": text}})


def test_what_claude_has_said_last_is_known_before_its_end() -> None:
    report = read(ClaudeReader(), said("One."), said("Two.", 7, "Three."), answer("b", 1))
    assert (report.last_text, report.final_text) == ("Two.\n\nThree.", None)


def test_what_is_said_to_an_agent_within_it_or_without_the_model_is_not_its_word() -> None:
    lines = said("Mine."), said("Theirs.", parent="toolu_1"), said("Odd.", model="<synthetic>")
    assert read(ClaudeReader(), *lines).last_text == "Mine."


def test_what_codex_has_said_last_is_known_before_its_end() -> None:
    report = read(PRESETS[Preset.CODEX].reader(), said_by_codex("One."), said_by_codex("Two."))
    assert (report.last_text, report.final_text) == ("Two.", None)


@pytest.mark.parametrize(("preset", "line"), [(Preset.CLAUDE, said), (Preset.CODEX, said_by_codex)])
def test_of_a_long_word_the_end_is_kept(preset: Preset, line: Callable[[object], str]) -> None:
    report = read(PRESETS[preset].reader(), line("x" * TEXT_MAX + "the end"))
    assert len(report.last_text or "") == TEXT_MAX
    assert (report.last_text or "").endswith("the end")


@pytest.mark.parametrize(
    ("preset", "lines"),
    [
        (Preset.CLAUDE, [answer("a", 10), answer("b", 5)]),
        (Preset.CODEX, [codex_turn(17, 4), '{"type":"turn.started"}']),
    ],
)
def test_a_tool_that_goes_on_tells_its_tokens_and_that_it_goes_on(
    preset: Preset, lines: list[str]
) -> None:
    report = read(PRESETS[preset].reader(), *lines)
    assert (report.usage.input_tokens, report.usage.output_tokens) == (17, 4)
    assert report.usage.cost_usd is None
    assert report.error_code is Failure.INCOMPLETE


def test_of_many_answers_only_the_last_are_remembered_and_all_are_counted() -> None:
    reader = ClaudeReader()
    report = read(reader, *(answer(f"{number}", 10) for number in range(10 * ANSWERS_OPEN_MAX)))
    assert report.usage.input_tokens == 11 * 10 * ANSWERS_OPEN_MAX
    assert len(reader._answers._open) <= ANSWERS_OPEN_MAX  # noqa: SLF001  its bound


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


@pytest.mark.parametrize("cost", ["true", "-1", "1e300", '"1"', "null", "[]"])
def test_a_cost_that_is_none_is_not_told(cost: str) -> None:
    line = f'{{"type":"result","num_turns":1,"total_cost_usd":{cost}}}'
    assert read(ClaudeReader(), line).usage.cost_usd is None


@pytest.mark.parametrize(
    ("fields", "failure"),
    [
        ({"api_error_status": 400}, Failure.INVALID_REQUEST),
        ({"api_error_status": 413}, Failure.INVALID_REQUEST),
        ({"api_error_status": 403}, Failure.AUTHENTICATION),
        ({"api_error_status": 529}, Failure.OVERLOADED),
        ({"api_error_status": 502}, Failure.API_ERROR),
        ({"stop_reason": "refusal"}, Failure.REFUSED),
        ({"subtype": ["odd"], "terminal_reason": {}}, Failure.API_ERROR),
    ],
)
def test_what_claude_says_of_its_failure_gives_the_class(
    fields: dict[str, object], failure: Failure
) -> None:
    line = json.dumps({"type": "result", "is_error": True, **fields})
    assert read(ClaudeReader(), line).error_code is failure


@pytest.mark.parametrize(
    ("message", "failure"),
    [
        ("unexpected status 403 Forbidden: no access", Failure.AUTHENTICATION),
        ("You've hit your usage limit.", Failure.BUDGET),
        ("thread/resume failed: no rollout found for thread id x", Failure.SESSION_UNKNOWN),
        ("unexpected status 400 Bad Request: too long", Failure.INVALID_REQUEST),
        ("Codex ran out of room in the model's context window.", Failure.INVALID_REQUEST),
        ("something new", Failure.API_ERROR),
    ],
)
def test_the_message_of_codex_gives_the_class(message: str, failure: Failure) -> None:
    line = json.dumps({"type": "turn.failed", "error": {"message": message}})
    assert read(PRESETS[Preset.CODEX].reader(), line).error_code is failure


def test_failures_are_a_closed_set_of_plain_words() -> None:
    assert all(kind.value.replace("_", "").isalpha() for kind in Failure)
