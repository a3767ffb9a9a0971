"""A person with a browser, a terminal and what `init` leaves: makes an App at the stand-in."""

from __future__ import annotations

import asyncio
import html
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from covend.config.load import load
from covend.demo import payloads
from covend.demo.github import StandInGitHub
from covend.demo.github.description import Description
from covend.demo.records import App
from covend.demo.stage import free_port

COVEND = (sys.executable, "-P", "-m", "covend")
APP = App(id=777_001, slug="our-covend", name="our covend", owner=payloads.OWNER)
URL = "http://127.0.0.1:1"  # nobody is there
OWN_SECRET = "the secret that init has made"
WITHIN_S = 60.0


@asynccontextmanager
async def open_github(description: Description | None) -> AsyncIterator[StandInGitHub]:
    """A stand-in with an App to be made; what it is asked must be as GitHub has it."""
    async with StandInGitHub(app=APP, description=description) as github:
        yield github
        assert github.violations == []


def begun(folder: Path, github: StandInGitHub) -> Path:
    """What `init` leaves, with the stand-in's address and ports of its own."""
    (folder / "webhook.secret").touch(mode=0o600)
    (folder / "webhook.secret").write_text(f"{OWN_SECRET}\n")
    (folder / "covend.toml").write_text(f"""\
state_dir = "state"
[server]
listen = "127.0.0.1:{free_port()}"
[admin]
listen = "127.0.0.1:{free_port()}"
[github]  # the forge
app_id = 123456   # CHANGE ME: the App ID of its settings page
private_key = {{ file = "app.pem" }}
webhook_secrets = [{{ file = "webhook.secret" }}]
api_url = "{github.api_url}"
[agents.a]
command = ["true"]
[[rules]]
name = "review"
on = ["pull_request.opened"]
agent = "a"
publish = ["check", "review"]
""")
    return folder


@dataclass
class Run:
    """A command that runs, and what it has said so far."""

    process: asyncio.subprocess.Process
    said: str = ""

    async def hears(self, pattern: str) -> re.Match[str]:
        """Read until it has said this."""
        assert self.process.stdout is not None
        async with asyncio.timeout(WITHIN_S):
            while (found := re.search(pattern, self.said)) is None:
                line = await self.process.stdout.readline()
                assert line, self.said
                self.said += line.decode()
            return found

    async def ends(self, typed: str = "") -> int:
        """Type this, and read until it has ended."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(typed.encode())
        self.process.stdin.close()
        async with asyncio.timeout(WITHIN_S):
            self.said += (await self.process.stdout.read()).decode()
            return await self.process.wait()


@asynccontextmanager
async def running(folder: Path, *args: str, **environ: str) -> AsyncIterator[Run]:
    config = str(folder / "covend.toml")
    process = await asyncio.create_subprocess_exec(
        *COVEND,
        *args,
        "--config",
        config,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, **environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        yield Run(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def run(folder: Path, *args: str, **environ: str) -> tuple[int, str]:
    async with running(folder, *args, **environ) as made:
        return await made.ends(), made.said


def form_of(page: str) -> tuple[str, str]:
    """Give the form's address and its manifest, as a browser reads them."""
    action = re.search(r'action="([^"]+)"', page)
    manifest = re.search(r'name="manifest" value="([^"]+)"', page)
    assert action
    assert manifest
    return html.unescape(action[1]), html.unescape(manifest[1])


async def submit(page: str) -> str:
    """Submit the form to GitHub, and give the address that it sends back to."""
    action, manifest = form_of(page)
    async with (
        aiohttp.ClientSession() as browser,
        browser.post(action, data={"manifest": manifest}, allow_redirects=False) as answer,
    ):
        assert answer.status == 302
        return answer.headers["Location"]


async def fetch(address: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as browser, browser.get(address) as answer:
        return answer.status, await answer.text()


async def make(folder: Path, *args: str) -> tuple[int, str]:
    """Go all the way as a person with a browser."""
    async with running(folder, "app", "create", "--url", URL, *args) as made:
        address = (await made.hears(r"http://127\.0\.0\.1:\d+/\S+"))[0]
        back = await submit((await fetch(address))[1])
        assert (await fetch(back))[0] == 200
        return await made.ends(), made.said


def settings_are_good(folder: Path) -> None:
    settings = load(folder / "covend.toml", {})
    assert settings.github.app_id == APP.id
    assert settings.github.webhook_secrets[0].reveal() == OWN_SECRET
