"""The prompts that come with covend, by the name a rule gives as `prompt = { builtin = "…" }`.

Each is a template over the brief, like any other prompt. None begins with text from outside, and
such text stands in them only as JSON between marks: whoever writes a title or a comment writes
data, not instructions.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from covend.core.contract.prompts import answer, fix, review, triage

BUILTIN: Mapping[str, str] = MappingProxyType(
    {
        "review": review.TEMPLATE,
        "fix": fix.TEMPLATE,
        "triage": triage.TEMPLATE,
        "answer": answer.TEMPLATE,
    }
)
