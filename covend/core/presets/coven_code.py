"""What is known of coven-code: its exit codes. It keeps the contract and writes its result file, so
its output is plain text.
"""

from __future__ import annotations

from types import MappingProxyType

from covend.core.presets.command import PlainReader, argv
from covend.core.presets.stream import Tool

EXIT_CODES = MappingProxyType(
    {
        0: "success",
        1: "failure",  # it gave up: an answer, and the same one at the next try
        2: "retry",  # infrastructure
        3: "needs_input",
    },
)

TOOL = Tool(argv=argv, reader=PlainReader, exit_codes=EXIT_CODES)
