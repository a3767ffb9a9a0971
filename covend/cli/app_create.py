"""`covend app`: has GitHub make the App that the configuration's rules need, keeps its secrets, and
sees that a webhook comes all the way.
"""

from __future__ import annotations

import sys
import time
import webbrowser
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import anyio.to_thread
import click

from covend.cli.app_keep import keep_address, keep_key, keep_number, keep_secret
from covend.cli.app_plan import Plan, make_plan
from covend.cli.app_watch import AGAIN, Delivered, deliver_once_more, wait_for_installation
from covend.cli.client import open_client
from covend.cli.exits import CONFIG, NOT_FOUND, UNREACHABLE, Failure
from covend.cli.new_files import PRIVATE, NewFile, write_all
from covend.cli.options import config_option, json_option
from covend.cli.reading import read_settings
from covend.cli.render import print_json, safe
from covend.core.app_needs import AppNeeds, app_needs, describe
from covend.core.errors import ConfigError, GitHubError
from covend.core.secret import Secret
from covend.core.settings import GitHub, Settings
from covend.edges.github import app_look
from covend.edges.github.app_look import InstallationNow
from covend.edges.github.direct import Direct, open_direct
from covend.edges.github.manifest import (
    Made,
    convert,
    form_address,
    form_page,
    install_address,
    manifest_of,
)
from covend.edges.github.registering import Registration

PAGE_FILE = "covend-app.html"
NOWHERE = "http://127.0.0.1/created"
"""Where GitHub sends a browser of another machine: what counts is the address that it shows."""
_Found = TypeVar("_Found")


@click.group()
def app() -> None:
    """Make the GitHub App that the rules need, and test it."""


@app.command()
@config_option
@json_option
@click.option("--organization", metavar="ORG", help="Make it an organization's; default: yours.")
@click.option("--url", metavar="URL", help="Where covend is reached; default: server.public_url.")
@click.option("--name", metavar="NAME", help="The App's name, which nobody else on GitHub has.")
@click.option("--no-browser", is_flag=True, help="Write a page to open on another machine.")
@click.option("--code", metavar="CODE", help="Finish with the code that GitHub's answer has.")
def create(
    *,
    config: Path | None,
    as_json: bool,
    organization: str | None,
    url: str | None,
    name: str | None,
    no_browser: bool,
    code: str | None,
) -> None:
    """Have GitHub make the App, by its manifest flow, with just what the rules need."""
    plan = make_plan(config, url=url, name=name)
    telling = Telling(is_json=as_json)
    telling.needs(plan.needs)
    if no_browser and code is None:
        _write_page(plan, organization, telling)
        return
    made = _guarded(partial(_make, plan, organization, code, telling))
    keep_key(plan, made)
    telling.say(f"{made.slug} is made; its key is in {plan.key_file}", app_id=made.id)
    telling.say(_agree_on_secret(plan, made), slug=made.slug, settings=made.settings_page)
    _tell_lines(plan, made, telling)
    _finish(_now(plan.settings, made), made, config, telling)
    telling.end()


@app.command()
@config_option
@json_option
@click.pass_context
def test(context: click.Context, *, config: Path | None, as_json: bool) -> None:
    """See what the App is granted, and have GitHub send it a webhook; exit 1 if that fails."""
    path, settings = read_settings(config)
    if settings.github.app_id is None:
        raise Failure(CONFIG, f"{path} names no App of GitHub's")
    telling = Telling(is_json=as_json)
    is_good = _guarded(partial(_watch, settings, config, telling, is_waiting=False))
    telling.end()
    context.exit(0 if is_good else NOT_FOUND)


@dataclass(slots=True, kw_only=True)
class Telling:
    """Says what happens as it does; with --json on standard error, and the whole at the end."""

    is_json: bool
    whole: dict[str, Any] = field(default_factory=dict)

    def say(self, line: str, **facts: object) -> None:
        click.echo(safe(line), err=self.is_json)
        self.whole |= facts

    def needs(self, needs: AppNeeds) -> None:
        self.say("The App needs, for the rules in use:")
        for line in describe((*needs.permissions, *needs.events)):
            self.say(f"  {line}")
        events = [each.name for each in needs.events]
        self.whole |= {"permissions": needs.levels, "events": events}

    def end(self) -> None:
        if self.is_json:
            print_json(self.whole)


def _guarded(ask: Callable[[], Awaitable[_Found]]) -> _Found:
    """Run what asks GitHub; turns its errors into Failure."""
    try:
        return anyio.run(ask)
    except GitHubError as error:
        raise Failure(UNREACHABLE, safe(str(error))) from error
    except ConfigError as error:
        raise Failure(CONFIG, str(error)) from error


# --- the making -----------------------------------------------------------------------------------


async def _make(plan: Plan, organization: str | None, code: str | None, telling: Telling) -> Made:
    api_url = plan.settings.github.api_url
    given = code or await _ask_for_code(plan, organization, telling)
    async with aiohttp.ClientSession() as session:
        return await convert(session, api_url, given)


async def _ask_for_code(plan: Plan, organization: str | None, telling: Telling) -> str:
    registration = Registration(
        api_url=plan.settings.github.api_url,
        organization=organization,
        describe=lambda back: _manifest(plan, back),
    )
    async with registration.listening():
        telling.say(f"Open this in a browser on this machine:\n  {registration.address}")
        telling.say("  (for a browser elsewhere: covend app create --no-browser)")
        if not telling.is_json and sys.stdout.isatty():
            await anyio.to_thread.run_sync(webbrowser.open, registration.address)
        return await registration.code()


def _manifest(plan: Plan, back: str) -> dict[str, Any]:
    return manifest_of(plan.needs, name=plan.name, public_url=plan.public_url, redirect_url=back)


def _write_page(plan: Plan, organization: str | None, telling: Telling) -> None:
    """Write the form as a file, which any browser can open; the code comes back by hand."""
    page = plan.config.absolute().with_name(PAGE_FILE)
    action = form_address(plan.settings.github.api_url, organization, "by-hand")
    text = form_page(action, _manifest(plan, NOWHERE), nonce="none")
    try:
        write_all([NewFile(path=page, text=text, mode=PRIVATE)])
    except FileExistsError as error:
        raise Failure(NOT_FOUND, f"{page} is there already: remove it first") from error
    except OSError as error:
        raise Failure(NOT_FOUND, f"{page}: {error.strerror}") from error
    telling.say(f"Open {page} in a browser, on any machine, and follow GitHub.", page=str(page))
    telling.say("It ends at an address that does not answer, with code=… in it; within an hour:")
    telling.say("  covend app create --code CODE")
    telling.end()


# --- the keeping ----------------------------------------------------------------------------------


def _agree_on_secret(plan: Plan, made: Made) -> str:
    """Have GitHub sign with the secret that is at hand; else keep GitHub's."""
    if plan.secret is None:
        return keep_secret(plan, made)
    try:
        anyio.run(_set_secret, _now(plan.settings, made).github, plan.secret)
    except GitHubError as error:
        return (
            f"GitHub does not take the webhook's secret ({error}): set it to what"
            f" github.webhook_secrets has, on {made.settings_page}"
        )
    return "GitHub signs with the secret of github.webhook_secrets"


async def _set_secret(github: GitHub, secret: Secret) -> None:
    async with open_direct(github, _wall) as direct:
        await app_look.set_secret(direct, secret.reveal())


def _now(settings: Settings, made: Made) -> Settings:
    """Give the settings as they are with the App."""
    github = replace(settings.github, app_id=made.id, private_key=made.pem, token=None)
    return replace(settings, github=github)


def _tell_lines(plan: Plan, made: Made, telling: Telling) -> None:
    number = keep_number(plan, made)
    lines = [*filter(None, (number, keep_address(plan))), *plan.lines]
    if plan.settings.github.token is not None:
        lines.append("[github] and no token: covend is an App, or has a token")
    if number is None:
        telling.say(f"app_id = {made.id} is in {plan.config}")
    if lines:
        telling.say(f"Put this into {plan.config}:")
    for line in lines:
        telling.say(f"  {line}")
    telling.whole["lines"] = lines


# --- the watching ---------------------------------------------------------------------------------


def _finish(settings: Settings, made: Made, config: Path | None, telling: Telling) -> None:
    """Wait for the installation and a delivery; whatever becomes of it, the App is made."""
    telling.say(f"Install it: {install_address(made.page)}", install=install_address(made.page))
    telling.say("  (waiting for that; Ctrl-C does no harm)")
    try:
        anyio.run(partial(_watch, settings, config, telling, is_waiting=True))
    except (GitHubError, ConfigError, Failure) as error:
        telling.say(f"it could not be looked at: {error}; {AGAIN}")
    except KeyboardInterrupt:
        telling.say(f"not waited for; {AGAIN}")
    telling.say("Next: covend check, covend serve, covend app test")


async def _watch(
    settings: Settings, config: Path | None, telling: Telling, *, is_waiting: bool
) -> bool:
    async with open_direct(settings.github, _wall) as direct:
        look = wait_for_installation if is_waiting else app_look.installations
        found = await look(direct)
        is_granted = _tell_granted(app_needs(settings), found, telling)
        delivered = await _deliver(direct, config)
    telling.say(f"{delivered.what}{f': {delivered.fix}' if delivered.fix else ''}")
    told = {"ok": delivered.ok, "what": delivered.what, "fix": delivered.fix}
    telling.whole["delivery"] = {**told, "status": delivered.status}
    return is_granted and delivered.ok


async def _deliver(direct: Direct, config: Path | None) -> Delivered:
    client = await anyio.to_thread.run_sync(open_client, config)
    return await deliver_once_more(direct, client)


def _tell_granted(needs: AppNeeds, found: Sequence[InstallationNow], telling: Telling) -> bool:
    """Hold what was granted against what was asked for."""
    told = []
    for each in found:
        short = list(map(str, needs.lacking(each.permissions, each.events)))
        what = f"lacks {', '.join(short)}: accept them at {each.page}" if short else "has all"
        telling.say(f"installed on {each.account}: it {what}")
        told.append({"id": each.id, "account": each.account, "lacking": short})
    if not found:
        telling.say(f"it is installed nowhere yet; {AGAIN}")
    telling.whole["installations"] = told
    return bool(found) and not any(each["lacking"] for each in told)


def _wall() -> int:
    return int(time.time() * 1000)
