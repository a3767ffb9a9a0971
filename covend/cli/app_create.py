"""`covend app`: has GitHub make the App that the configuration's rules need, keeps its secrets, and
sees that a webhook comes all the way.
"""

from __future__ import annotations

import signal
import sys
import webbrowser
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
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
from covend.cli.exits import CONFIG, NOT_FOUND, NOT_PERMITTED, UNREACHABLE, Failure
from covend.cli.new_files import PRIVATE, NewFile, write_all
from covend.cli.options import config_option, json_option, sendable
from covend.cli.reading import read_settings
from covend.cli.render import print_json, safe
from covend.core.app_needs import AppNeeds, app_needs, describe
from covend.core.errors import ConfigError, GitHubError
from covend.core.secret import Secret
from covend.core.settings import GitHub, Settings
from covend.edges.github import app_look
from covend.edges.github.app_look import InstallationNow
from covend.edges.github.direct import Direct, open_direct
from covend.edges.github.errors import Refused, Unreachable
from covend.edges.github.manifest import (
    CODE,
    Made,
    convert,
    form_address,
    form_page,
    install_address,
    manifest_of,
)
from covend.edges.github.registering import Registration
from covend.services.clock import Clock

PAGE_FILE = "covend-app.html"
NOWHERE = "http://127.0.0.1/created"
"""Where GitHub sends a browser of another machine: what counts is the address that it shows."""
_FROM_INPUT = "-"
_DENIED = frozenset({401, 403})
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
@click.option("--code", metavar="CODE", help="Finish with GitHub's code; - reads it.")
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
    owner = None if organization is None else sendable(organization)
    plan = make_plan(config, url=url, name=None if name is None else sendable(name))
    given = None if code is None else _read_code(code)
    telling = Telling(is_json=as_json)
    telling.needs(plan.needs)
    if no_browser and given is None:
        _write_page(plan, owner, telling)
        return
    if given is None:
        given = _guarded(partial(_ask_for_code, plan, owner, telling))
    with _uninterrupted():
        made = _guarded(partial(_exchange, plan.settings.github.api_url, given))
        _keep(plan, made, telling)
    if plan.secret is not None:
        telling.say(_agree_on_secret(plan.settings, made, plan.secret))
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
    except Refused as error:
        denied = error.status in _DENIED
        raise Failure(NOT_PERMITTED if denied else NOT_FOUND, safe(str(error))) from error
    except GitHubError as error:
        raise Failure(UNREACHABLE, safe(str(error))) from error
    except ConfigError as error:
        raise Failure(CONFIG, str(error)) from error


# --- the making -----------------------------------------------------------------------------------


def _read_code(code: str) -> str:
    """Read it from standard input where nobody else is to see it; whoever has it has the key."""
    if code == _FROM_INPUT:
        code = sys.stdin.readline().strip()
    if CODE.fullmatch(code) is None:
        message = "a code of GitHub's has letters, digits, - and _ alone"
        raise click.BadParameter(message, param_hint="--code")
    return code


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let Ctrl-C wait: GitHub gives the key once, and it has to be kept."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


async def _exchange(api_url: str, code: str) -> Made:
    async with aiohttp.ClientSession() as session:
        try:
            return await convert(session, api_url, code)
        except Unreachable as error:
            again = "within an hour the code in the browser's address may still do"
            message = f"{error}: {again}: covend app create --code CODE"
            raise Failure(UNREACHABLE, safe(message)) from error


async def _ask_for_code(plan: Plan, organization: str | None, telling: Telling) -> str:
    registration = Registration(
        api_url=plan.settings.github.api_url,
        organization=organization,
        describe=lambda back: _manifest(plan, back),
    )
    async with registration.listening():
        telling.say("Open this in a browser on this machine:")
        telling.say(f"  {registration.address}")
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
        raise Failure(NOT_FOUND, safe(f"{page} is there already: remove it first")) from error
    except OSError as error:
        raise Failure(NOT_FOUND, safe(f"{page}: {error.strerror}")) from error
    telling.say(f"Open {page} in a browser, on any machine, and follow GitHub.", page=str(page))
    telling.say("It ends at an address that does not answer, with code=… in it; within an hour:")
    telling.say(f"  covend app create --url {plan.public_url} --code CODE")
    telling.end()


# --- the keeping ----------------------------------------------------------------------------------


def _keep(plan: Plan, made: Made, telling: Telling) -> None:
    """Write all that is to be kept, before anybody is asked again."""
    keep_key(plan, made)
    telling.say(f"{made.slug} is made; its key is in {plan.key_file}", app_id=made.id)
    telling.whole |= {"slug": made.slug, "settings": made.settings_page}
    if plan.secret is None:
        telling.say(keep_secret(plan, made))
    _tell_lines(plan, made, telling)
    page = plan.config.absolute().with_name(PAGE_FILE)
    if page.exists():
        telling.say(f"{page} is of no more use: remove it")


def _agree_on_secret(settings: Settings, made: Made, secret: Secret) -> str:
    """Have GitHub sign with the secret that is at hand."""
    try:
        anyio.run(_set_secret, _now(settings, made).github, secret)
    except (GitHubError, ConfigError, KeyboardInterrupt) as error:
        return (
            f"GitHub does not take the webhook's secret ({str(error) or 'interrupted'}): set it to"
            f" what github.webhook_secrets has, on {made.settings_page}"
        )
    return "GitHub signs with the secret of github.webhook_secrets"


async def _set_secret(github: GitHub, secret: Secret) -> None:
    async with open_direct(github, Clock.wall) as direct:
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
    async with open_direct(settings.github, Clock.wall) as direct:
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
