"""The stage of the demonstration: a folder with a config, secrets and a repository, and GitHub's
stand-in.

Tests play on the same stage; nothing here is needed to run covend.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import aiohttp
import orjson

from covend.config.load import load
from covend.core.settings import Settings
from covend.demo import payloads
from covend.demo.github import StandInGitHub
from covend.demo.github.deliveries import write_down
from covend.demo.github.server import Description
from covend.demo.github.state import Hosted
from covend.demo.records import Account

WEBHOOK_SECRET = "the demonstration's webhook secret"  # noqa: S105  it protects a folder in /tmp
NUMBER = 7

CONFIG = """\
# The configuration of `covend demo`: one agent, one rule, a stand-in of GitHub on loopback.
state_dir = "{folder}/state"

[server]
listen = "127.0.0.1:{port}"

[admin]
listen = "127.0.0.1:{admin_port}"

[github]
app_id = {app_id}
private_key = {{ file = "app.pem" }}
webhook_secrets = [{{ file = "webhook.secret" }}]
api_url = "{api_url}"

[agents.example]
preset = "command"
command = {command}
timeout = "60s"

[[rules]]
name = "review"
on = ["pull_request.opened", "pull_request.reopened", "pull_request.synchronize"]
when = {{ repository = ["acme/*"], draft = false }}
agent = "example"
prompt = {{ builtin = "review" }}
checkout = "head"
publish = ["check", "comment", "review"]

[[rules]]
name = "ask"
on = ["command.review"]
allow = ["admin", "maintain", "write"]
agent = "example"
prompt = {{ builtin = "review" }}
checkout = "head"
publish = ["review"]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What is set up, and how to act on it."""

    folder: Path
    github: StandInGitHub
    till: Hosted
    config: Path

    def settings(self, environ: Mapping[str, str]) -> Settings:
        """Read the config as `covend serve` does."""
        return load(self.config, environ)

    def signed(
        self,
        event: str,
        *,
        serial: int,
        delivery: str | None = None,
        sender: Account | None = None,
        text: str = "@covend review",
        number: int = NUMBER,
    ) -> tuple[bytes, dict[str, str]]:
        """Make a signed webhook about a pull request as it is now: its body and its headers."""
        who = sender or payloads.AUTHOR
        scene = self.github.scene(self.till, number, serial=serial, sender=who, text=text)
        body = payloads.encode(payloads.SAMPLES[event](scene))
        name = event.partition(".")[0]
        return body, payloads.signed(body, WEBHOOK_SECRET, name, delivery or str(uuid4()))

    async def send(
        self, url: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, dict[str, object]]:
        """Send a webhook as GitHub does, and write it down in the stand-in's delivery log."""
        status, answer = await post(url, body, headers)
        write_down(self.github.state, orjson.loads(body), headers, status_code=status)
        return status, answer


def free_port() -> int:
    """Find a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def set_up(
    folder: Path,
    *,
    description: Description | None = None,
    config: str = CONFIG,
    command: tuple[str, ...] = (sys.executable, "-m", "covend.demo.agent"),
    ports: tuple[int, int] = (0, 0),
) -> AsyncIterator[Stage]:
    """Write the folder and start the stand-in; port 0 takes a free one."""
    async with StandInGitHub(description=description) as github:
        till = github.host_till(folder / "till.git", number=NUMBER)
        (folder / "app.pem").write_text(github.key.private)
        (folder / "webhook.secret").write_text(WEBHOOK_SECRET)
        for secret in ("app.pem", "webhook.secret"):
            (folder / secret).chmod(0o600)
        if ports[0]:
            github.state.app_hook.url = f"http://127.0.0.1:{ports[0]}/webhooks/github"
        github.state.app_hook.secret = WEBHOOK_SECRET
        path = folder / "covend.toml"
        path.write_text(
            config.format(
                folder=folder,
                port=ports[0],
                admin_port=ports[1],
                app_id=github.state.app.id,
                api_url=github.api_url,
                command=list(command),
            ).replace("'", '"')
        )
        yield Stage(folder=folder, github=github, till=till, config=path)


async def post(url: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, dict[str, object]]:
    """Send a webhook as GitHub does; give the status and the JSON answer."""
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/webhooks/github", data=body, headers=headers) as answer,
    ):
        return answer.status, await answer.json()
