"""The text of a first `covend.toml`, by what its owner has chosen; `covend check` finds nothing to
say of it once its secrets are in place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import orjson

from covend.config.presets import COMMANDS
from covend.config.put import PLACEHOLDER
from covend.core.contract.prompts import BUILTIN
from covend.core.settings import Preset, Sandbox

KEYS: Mapping[Preset, str] = MappingProxyType(
    {Preset.CLAUDE: "ANTHROPIC_API_KEY", Preset.CODEX: "OPENAI_API_KEY"}
)
"""The variable by which each tool is paid for."""
KEY_FILE, SECRET_FILE, TOKEN_FILE = "app.pem", "webhook.secret", "github.token"
PROMPT_FILE = "prompts/review.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What the owner wants."""

    repository: str | None
    """A glob; None for every repository that the App is installed on."""
    preset: Preset
    command: tuple[str, ...]
    sandbox: Sandbox
    is_app: bool
    has_own_prompt: bool


def name_of(choices: Choices) -> str:
    """Name the agent: as the tool, where it is one that is known."""
    return "agent" if choices.preset is Preset.COMMAND else choices.preset.value


def prompt_text() -> str:
    """Give the built-in prompt, to be changed."""
    return BUILTIN["review"]


def config_text(choices: Choices) -> str:
    """Write the whole file."""
    return "\n".join((_HEAD, _github(choices), _LIMITS, _agent(choices), _rule(choices)))


_HEAD = """\
# covend.toml, begun by `covend init`. `covend check` tells every mistake with its line; all keys
# are in docs/configuration.md. Relative paths begin in this file's directory.

state_dir = "state"                     # database, workspaces, mirrors, logs; made with mode 0700

[server]                                # webhooks and /healthz, nothing else
listen = "127.0.0.1:8787"               # put a reverse proxy or a tunnel with TLS before it
# public_url = "https://covend.example.org"   # where that is reached from outside

[admin]                                 # dashboard, API, /metrics, /readyz: keep it private
listen = "127.0.0.1:8788"
"""

_APP = f"""\
[github]                                # `covend app create` makes the App, and fills in both lines
app_id = 123456                         # {PLACEHOLDER}: the App ID of its settings page
private_key = {{ file = "{KEY_FILE}" }}      # chmod 600
webhook_secrets = [{{ file = "{SECRET_FILE}" }}]
# mention = "covend"                    # "@covend review"; default: the App's slug
"""

_TOKEN = f"""\
[github]                                # a plain token, and a webhook of the repository's own
token = {{ file = "{TOKEN_FILE}" }}        # chmod 600; scopes repo and read:repo_hook
webhook_secrets = [{{ file = "{SECRET_FILE}" }}]   # the same in the webhook's settings on GitHub
mention = "covend"                      # "@covend review"
"""

_LIMITS = """\
[limits]
concurrency = 2                         # agents at once
# budget_usd_per_day = 20.0             # every review is billed by your model's provider
"""


def _github(choices: Choices) -> str:
    return _APP if choices.is_app else _TOKEN


def _agent(choices: Choices) -> str:
    lines = [f"[agents.{name_of(choices)}]", f'preset = "{choices.preset}"']
    if choices.command != (COMMANDS.get(choices.preset),):
        lines.append(f"command = {_written(list(choices.command))}")
    if choices.preset in KEYS:
        key = KEYS[choices.preset]
        lines.append(_noted(f'env = ["{key}"]', "inherited, beside PATH, HOME, LANG and TZ"))
    lines.append(_noted('timeout = "30m"', "of one attempt"))
    note = "bubblewrap | container | none: docs/sandboxes.md"
    if choices.sandbox is Sandbox.NONE:
        note = "it can read covend's files: see docs/sandboxes.md"
    lines.append(_noted(f'sandbox = "{choices.sandbox}"', note))
    return "\n".join(lines) + "\n"


def _rule(choices: Choices) -> str:
    where = "" if choices.repository is None else f"repository = [{_written(choices.repository)}], "
    prompt = f'file = "{PROMPT_FILE}"' if choices.has_own_prompt else 'builtin = "review"'
    shown = "check" if choices.is_app else "status"
    return "\n".join(
        (
            "[[rules]]",
            'name = "review"',
            "on = [",
            '  "pull_request.opened",',
            '  "pull_request.reopened",',
            '  "pull_request.synchronize",',
            '  "pull_request.ready_for_review",',
            "]",
            f"when = {{ {where}draft = false, fork = false }} # a fork's code is a stranger's",
            f'agent = "{name_of(choices)}"',
            f"prompt = {{ {prompt} }}",
            'checkout = "head"',
            f'publish = ["{shown}", "review"]',
            'debounce = "5s"',
            "",
        )
    )


def _noted(line: str, note: str) -> str:
    return f"{line:<40}# {note}"


def _written(value: object) -> str:
    """Write a text or a list of texts; JSON's are TOML's, but for a DEL."""
    return orjson.dumps(value).decode().replace("\x7f", "\\u007f").replace(',"', ', "')
