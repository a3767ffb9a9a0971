"""What an agent's preset fills in where the file is silent; its flags and its output are
`core.presets`' business.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from covend.core.settings import Preset

COMMANDS: Mapping[Preset, str] = {
    Preset.CLAUDE: "claude",
    Preset.CODEX: "codex",
    Preset.COVEN_CODE: "coven-code",
}
"""The tool's own name, which is its command unless the file says where it lies."""

STOP_SIGNALS: Mapping[Preset, str] = {
    # On these they close their books and their tools; SIGTERM leaves shells alive.
    Preset.CLAUDE: "SIGINT",
    Preset.CODEX: "SIGINT",
}
STOP_SIGNAL = "SIGTERM"

NEEDS_PROMPT = frozenset({Preset.CLAUDE, Preset.CODEX})
"""The tools that have nothing to do without one."""


def preset_of(preset: str | None, command: Sequence[str] | None) -> Preset:
    """Give the preset that is meant: a lone `claude` can only be the tool that we know."""
    if preset is not None:
        return Preset(preset)
    if command is None or len(command) != 1:
        return Preset.COMMAND
    tool = command[0].rpartition("/")[2]
    return next((known for known, name in COMMANDS.items() if name == tool), Preset.COMMAND)


def filled_in(
    preset: str | None, command: Sequence[str] | None, stop_signal: str | None
) -> Iterator[tuple[str, object]]:
    """Give the keys of an agent that its preset fills in, with their values."""
    known = preset_of(preset, command)
    if command is None and known in COMMANDS:
        yield "command", [COMMANDS[known]]
    if stop_signal is None:
        yield "stop_signal", STOP_SIGNALS.get(known, STOP_SIGNAL)
