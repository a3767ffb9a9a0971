"""Checks of covend's way to GitHub: is it reached and trusted, does it take the key or token, is
the clock right, and has the App all that the rules in use need.

Each question is bounded by `direct.ASK_S`; where the first one is not answered no other is asked.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable, Sequence
from email.utils import parsedate_to_datetime

import anyio

from covend.core.app_needs import AppNeeds, Need, app_needs, describe
from covend.core.errors import ConfigError, GitHubError
from covend.core.settings import GitHub
from covend.doctor.finding import Case, Finding, failed, good, warning
from covend.doctor.token import about_token
from covend.doctor.webhook import about_webhook
from covend.edges.github import app_look
from covend.edges.github.app_look import AppNow, InstallationNow
from covend.edges.github.auth import AHEAD_S, BACK_S
from covend.edges.github.direct import Direct, open_direct
from covend.edges.github.errors import Unreachable
from covend.edges.github.wire import Answer, message_of
from covend.services.clock import Clock

SKEW_WARN_S = 30
INSTALLATIONS_MAX = 20
"""So many are told of one by one."""
RATE_LOW = 0.1
_NTP = "set the clock by NTP: timedatectl set-ntp true (systemd-timesyncd), or start chronyd"
_TRUST = (
    "install ca-certificates, or let SSL_CERT_FILE name a bundle that has its authority;"
    " and see that the clock is right"
)
_REACH = "see the network, the name servers and a proxy; `--offline` leaves GitHub out"
_UNAUTHORIZED, _MISSING = 401, 404


def check_github(case: Case) -> list[Finding]:
    """Ask GitHub; blocks, with an event loop of its own. Nothing, where `is_offline`, or where
    nobody is configured to ask as.
    """
    github = case.settings.github
    has_app = github.app_id is not None and github.private_key is not None
    if case.is_offline or not (has_app or github.token is not None):
        return []
    return anyio.run(_findings, case)


async def _findings(case: Case) -> list[Finding]:
    try:
        async with open_direct(case.settings.github, Clock.wall) as direct:
            return [finding async for finding in _examine(case, direct)]
    except ConfigError:
        return []  # the key is no key: `github_key` says so


async def _examine(case: Case, direct: Direct) -> AsyncIterator[Finding]:
    github = case.settings.github
    is_app = github.token is None
    asked_s = time.time()
    try:
        answer = await direct.ask(*(("get_app", "/app") if is_app else ("get_user", "/user")))
    except GitHubError as error:
        yield _unreached(github, error)
        return
    clock = about_clock(answer.headers.get("date"), (asked_s + time.time()) / 2)
    if clock is not None:
        yield clock
    if answer.status == _UNAUTHORIZED and clock is not None and not clock.ok:
        return  # whatever the key is, such a clock is refused
    if not is_app:
        for finding in about_token(answer, time.time()):
            yield finding
    elif (refused := _refused(github, answer)) is not None:
        yield refused
    else:
        async for finding in _about_app(case, direct, answer):
            yield finding
    rate = about_rate(answer)
    if rate is not None:
        yield rate


# --- the way there --------------------------------------------------------------------------------


def _unreached(github: GitHub, error: GitHubError) -> Finding:
    said = str(error)
    if isinstance(error, Unreachable) and ("Certificate" in said or "SSL" in said):
        what = f"the certificate of {github.api_url} is not trusted here"
        return failed("github", what, _TRUST)
    return failed("github", f"{github.api_url} does not answer: {said}", _REACH)


def about_clock(date: str | None, now_s: float) -> Finding | None:
    """Compare with the moment that GitHub's answer tells, which is cut to the second; None where
    it tells none.
    """
    try:
        theirs_s = parsedate_to_datetime(date or "").timestamp()
    except ValueError:
        return None
    skew_s = round(now_s - theirs_s)
    side = "ahead of" if skew_s > 0 else "behind"
    told = f"this machine's clock is {abs(skew_s)} s {side} GitHub's"
    if skew_s >= BACK_S or -skew_s >= AHEAD_S:
        return failed("clock", f"{told}: GitHub refuses what is signed by it", _NTP)
    if abs(skew_s) >= SKEW_WARN_S:
        return warning("clock", told, _NTP)
    return good("clock", "this machine and GitHub mean the same moment")


def about_rate(answer: Answer) -> Finding | None:
    """Say what is left of the hour's requests of whoever asked; None where GitHub has no limit."""
    left, limit = (answer.headers.get(f"x-ratelimit-{name}", "") for name in ("remaining", "limit"))
    if not (left.isdigit() and limit.isdigit() and int(limit)):
        return None
    told = f"{left} of this hour's {limit} requests are left"
    if int(left) < int(limit) * RATE_LOW:
        return warning("github_rate", told, "wait for the hour's end; see what else asks as covend")
    return good("github_rate", told)


# --- the App --------------------------------------------------------------------------------------


def _refused(github: GitHub, answer: Answer) -> Finding | None:
    """Say why GitHub does not know us; None where it does."""
    said = f"{answer.status} {message_of(answer)}".rstrip()
    if answer.status == _UNAUTHORIZED:
        what = f"GitHub does not take github.private_key for App {github.app_id}: {said}"
        fix = "make a new private key in the App's settings, and put it there"
        return failed("github_app", what, fix)
    if answer.status == _MISSING:
        what = f"GitHub knows no App {github.app_id}: {said}"
        return failed("github_app", what, "set github.app_id to the App ID of its settings page")
    if answer.status >= 300:  # noqa: PLR2004 (no good one)
        return failed("github_app", f"GitHub does not show the App: {said}", "try again later")
    return None


async def _about_app(case: Case, direct: Direct, answer: Answer) -> AsyncIterator[Finding]:
    try:
        app = app_look.read_app(answer, case.settings.github.api_url)
    except GitHubError as error:
        yield failed("github_app", str(error), "see github.api_url: is this GitHub's API?")
        return
    yield good("github_app", f"{app.slug}, of {app.owner}, takes the key ({app.settings})")
    needs = app_needs(case.settings)
    for finding in about_needs(needs, app):
        yield finding
    try:
        found = await app_look.installations(direct)
    except GitHubError as error:
        yield failed("github_installations", str(error), "try again later")
    else:
        for finding in about_installations(needs, app, found):
            yield finding
    for finding in await about_webhook(case.settings, direct, app):
        yield finding


def about_needs(needs: AppNeeds, app: AppNow) -> Iterable[Finding]:
    """Hold what the App asks for against what the rules need."""
    short = needs.lacking(app.permissions, app.events)
    where = f"{app.settings}/permissions"
    for name, noun, some in (
        ("github_permissions", "permissions", [each for each in short if each.level]),
        ("github_events", "events", [each for each in short if not each.level]),
    ):
        if some:
            fix = f"add it at {where}, and accept it where the App is installed"
            yield _missing(name, f"the App lacks {'; '.join(describe(some))}", some, fix)
        else:
            told = f"the App asks for all {noun} that the rules need"
            more = needs.beyond(app.permissions) if noun == "permissions" else ()
            yield good(name, f"{told}, and for more: {', '.join(more)}" if more else told)


def about_installations(
    needs: AppNeeds, app: AppNow, found: Sequence[InstallationNow]
) -> Iterable[Finding]:
    """Hold what each account has granted against what the App asks it for."""
    if not found:
        what = "the App is installed nowhere: no webhook comes"
        yield warning("github_installations", what, f"install it: {app.install}")
        return
    accounts = ", ".join(each.account for each in found[:INSTALLATIONS_MAX])
    yield good("github_installations", f"{len(found)}: {accounts}")
    asked = needs.lacking(app.permissions, app.events)
    for each in found[:INSTALLATIONS_MAX]:
        name = f"github_installation.{each.id}"
        short = [need for need in needs.lacking(each.permissions, each.events) if need not in asked]
        if each.is_suspended:
            yield warning(name, f"{each.account} has suspended the App", f"see {each.page}")
        elif short:
            what = f"{each.account} has not granted {'; '.join(describe(short))}"
            fix = f"let an owner of {each.account} accept the new permissions: {each.page}"
            yield _missing(name, what, short, fix)


def _missing(name: str, what: str, short: Sequence[Need], fix: str) -> Finding:
    """What no rule needs (covend's own commands) is worth knowing, and no failure."""
    return (failed if any(need.rules for need in short) else warning)(name, what, fix)
