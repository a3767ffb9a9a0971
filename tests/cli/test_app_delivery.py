"""A delivery that has come all the way is seen, and one that has not is explained."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from covend.config.load import load
from covend.demo.github import StandInGitHub
from covend.demo.stage import free_port
from tests.cli.app_maker import (
    make,
    run,
    running,
)


@asynccontextmanager
async def serving(folder: Path, github: StandInGitHub) -> AsyncIterator[None]:
    """Run covend, and let the App's webhook lead to it."""
    settings = load(folder / "covend.toml", {})
    github.state.app_hook.url = f"http://127.0.0.1:{settings.server.port}/webhooks/github"
    async with running(folder, "serve") as daemon:
        await daemon.hears("covend is (up|ready)|listening|ready")
        yield


async def test_a_delivery_that_arrives_is_seen(folder: Path, github: StandInGitHub) -> None:
    await make(folder)
    async with serving(folder, github):
        code, said = await run(folder, "app", "test")
        assert (code, "the ping arrived: covend answered 200" in said) == (0, True), said


async def test_a_wrong_secret_is_named(folder: Path, github: StandInGitHub) -> None:
    await make(folder)
    github.state.app_hook.secret = "another"
    async with serving(folder, github):
        code, said = await run(folder, "app", "test")
    assert (code, "the signature did not fit (401)" in said) == (1, True), said
    assert "github.webhook_secrets" in said


async def test_a_wrong_address_is_named(folder: Path, github: StandInGitHub) -> None:
    await make(folder)
    async with serving(folder, github):
        github.state.app_hook.url = github.state.app_hook.url.removesuffix("/github")
        code, said = await run(folder, "app", "test")
        assert (code, "nothing is there (404)" in said) == (1, True), said
        github.state.app_hook.url = f"http://127.0.0.1:{free_port()}/"
        code, said = await run(folder, "app", "test")
        assert (code, "GitHub reached nobody" in said) == (1, True), said


async def test_a_daemon_that_is_down_is_named(folder: Path, github: StandInGitHub) -> None:
    await make(folder)
    github.state.app_hook.url = f"http://127.0.0.1:{free_port()}/webhooks/github"
    code, said = await run(folder, "app", "test")
    assert (code, "no covend runs here: start it: covend serve" in said) == (1, True), said


async def test_what_was_not_granted_is_named(folder: Path, github: StandInGitHub) -> None:
    await make(folder)
    github.state.permissions["checks"] = "read"
    github.state.app_events.remove("pull_request")
    code, said = await run(folder, "app", "test")
    assert code == 1
    assert "installed on acme: it lacks checks: write, pull_request" in said
