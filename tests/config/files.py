"""A small good file, and a way to look at any text as the program would."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from covend.config.load import Inspection, inspect

GOOD = """\
state_dir = "state"
[github]
token = { env = "TOKEN" }
webhook_secrets = [{ env = "HOOK" }]
[agents.claude]
preset = "claude"
[[rules]]
name = "review"
on = ["pull_request.opened"]
agent = "claude"
prompt = { builtin = "review" }
publish = ["comment"]
"""
ENVIRON = {"TOKEN": "ghs_1", "HOOK": "s3cret"}


def look(
    tmp_path: Path, text: str, environ: Mapping[str, str] = ENVIRON, *, secrets: bool = True
) -> Inspection:
    path = tmp_path / "covend.toml"
    path.write_text(text)
    return inspect(path, environ, read_secrets=secrets)
