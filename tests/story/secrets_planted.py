"""The secrets that a covend of the stories has, and how they would look where they get out."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from covend.demo.stage import WEBHOOK_SECRET, Stage

VARIABLE = "STORY_HOOK_SECRET"
VALUE = "planted-in-the-environment-8b1f"
SECRETS = f'{{{{ file = "webhook.secret" }}}}, {{{{ env = "{VARIABLE}" }}}}'
"""For `config`; what is in the variable is one of two that sign."""
ENVIRON = {VARIABLE: VALUE}


class Planted(NamedTuple):
    """A secret, and a part of it that stands nowhere else and on one line."""

    text: str
    part: str


def planted(stage: Stage) -> Mapping[str, Planted]:
    """Give all of them, by what they are for; those of the state directory must be made by now."""
    state, key = stage.folder / "state", stage.github.key.private
    tokens = [token for token in stage.github.state.tokens if token.startswith("ghs_")]
    whole = {
        "webhook secret": WEBHOOK_SECRET,
        "webhook secret of the environment": VALUE,
        "admin token": _kept(state / "admin.token"),
        "marker key": _kept(state / "marker.key"),
        **{f"installation token {number}": token for number, token in enumerate(tokens)},
    }
    found = {name: Planted(text, text) for name, text in whole.items()}
    return found | {"app key": Planted(key, key.splitlines()[2])}


def percent(text: str) -> str:
    """Write every byte as `%41`."""
    return "".join(f"%{byte:02X}" for byte in text.encode())


def traces(secret: Planted) -> Iterator[str]:
    """Give what tells that a secret is there, plain, percent-encoded or in base64."""
    yield secret.part
    yield percent(secret.part)
    whole = secret.text.encode()
    for lead in range(3):
        # Without the characters that also depend on what stands before and after.
        encoded = base64.b64encode(bytes(lead) + whole).decode()
        yield encoded[4:-4]


def leaks(text: str, secrets: Mapping[str, Planted]) -> list[str]:
    """Name the secrets that a text tells, also where it breaks their lines."""
    whole = text.lower() + text.lower().replace("\\n", "\n").replace("\n", "")
    return [
        name
        for name, one in secrets.items()
        if any(trace.lower() in whole for trace in traces(one))
    ]


def _kept(path: Path) -> str:
    return path.read_text("ascii").strip()
