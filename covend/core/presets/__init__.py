"""The tools whose command line and output covend knows, one file each."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from covend.core.presets import claude, codex, command, coven_code
from covend.core.presets.stream import Tool
from covend.core.settings import Preset

PRESETS: Mapping[Preset, Tool] = MappingProxyType(
    {
        Preset.CLAUDE: claude.TOOL,
        Preset.CODEX: codex.TOOL,
        Preset.COVEN_CODE: coven_code.TOOL,
        Preset.COMMAND: command.TOOL,
    },
)
