"""The command lines of the tools: every flag is one that the recorded versions take."""

from __future__ import annotations

import pytest

from covend.core.presets import PRESETS
from covend.core.presets.stream import Words, takes_prompt_on_stdin
from covend.core.settings import Agent, Preset

UUID = "01a1fe1f-31ba-7a71-be6c-5fd630534733"

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


def resuming(preset: Preset, session: str | None) -> tuple[str, ...]:
    words = Words(prompt="p", brief="/x/b", result="/x/r", workspace="/w", session=session)
    return argv(agent(preset, preset.value, model="m"), words)


def test_claude_resumes_by_a_flag_after_all_others() -> None:
    assert resuming(Preset.CLAUDE, UUID)[-2:] == ("--resume", UUID)


def test_codex_resumes_by_a_word_after_all_flags() -> None:
    line = resuming(Preset.CODEX, UUID)
    assert line[-3:] == ("resume", UUID, "-")
    assert line[:-3] == resuming(Preset.CODEX, None)[:-1]


@pytest.mark.parametrize("preset", [Preset.CLAUDE, Preset.CODEX])
@pytest.mark.parametrize("session", ["no uuid", "--dangerously", UUID + "\n", UUID[:-1], "", None])
def test_what_is_no_session_of_theirs_is_not_handed_to_them(
    preset: Preset, session: str | None
) -> None:
    assert resuming(preset, session) == resuming(preset, None)
    assert not {"resume", "--resume"} & set(resuming(preset, session))


def test_claude_neither_updates_itself_nor_retries_for_minutes() -> None:
    assert PRESETS[Preset.CLAUDE].environment == {
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
        "CLAUDE_CODE_MAX_RETRIES": "2",
    }


@pytest.mark.parametrize("preset", Preset)
def test_only_tools_whose_events_are_known_are_idle_by_them(preset: Preset) -> None:
    tool = PRESETS[preset]
    knows_events = preset in (Preset.CLAUDE, Preset.CODEX)
    assert tool.progress_by_events is tool.can_resume is knows_events
    assert tool.counts_whole_session is (preset is Preset.CODEX)


def test_the_prompt_goes_by_standard_input_unless_the_command_has_it() -> None:
    assert takes_prompt_on_stdin(agent(Preset.COMMAND, "run"))
    assert not takes_prompt_on_stdin(agent(Preset.COMMAND, "run", "{prompt}"))
