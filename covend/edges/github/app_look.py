"""What GitHub says of the App as it is now: what it asks for, where it is installed and with what,
where its webhook goes, and what became of the last tries to deliver it.

Refuses nothing that GitHub tells: a field that is missing or odd is empty here.
https://docs.github.com/en/rest/apps/apps
https://docs.github.com/en/rest/apps/webhooks
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from covend.core.hook_answers import is_good
from covend.core.model import Moment
from covend.core.rules import facts
from covend.edges.github.direct import Direct, good
from covend.edges.github.errors import BadAnswer
from covend.edges.github.manifest import install_address, settings_page, site_of
from covend.edges.github.wire import Answer

PAGE = {"per_page": "100"}


@dataclass(frozen=True, slots=True, kw_only=True)
class AppNow:
    """The App, as its settings have it."""

    slug: str
    owner: str
    settings: str
    """The page where its owner changes it."""
    install: str
    """The page that installs it."""
    permissions: Mapping[str, str]
    events: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallationNow:
    """One installation, as its account has granted it."""

    id: int
    account: str
    page: str
    permissions: Mapping[str, str]
    events: frozenset[str]
    is_suspended: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class HookNow:
    """Where webhooks go; `url` is empty where there is none."""

    url: str
    has_secret: bool
    is_verified: bool
    """Whether GitHub verifies the certificate of whoever answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """One try to deliver a webhook, as GitHub has noted it."""

    id: int
    guid: str
    event: str
    status: int
    delivered_at: Moment | None

    @property
    def arrived(self) -> bool:
        """Say whether GitHub counts it as delivered."""
        return is_good(self.status)


def read_app(answer: Answer, api_url: str) -> AppNow:
    """Read `GET /app`; raises Refused for a refusal, BadAnswer for what is no App."""
    slug = good(answer).text("slug")
    told = answer.data
    page = answer.maybe("html_url") or f"{site_of(api_url)}/apps/{slug}"
    return AppNow(
        slug=slug,
        owner=answer.maybe("owner", "login") or "?",
        settings=settings_page(site_of(api_url), slug, told.get("owner")),
        install=install_address(page),
        permissions=_levels(told.get("permissions")),
        events=_names(told.get("events")),
    )


async def installations(direct: Direct) -> tuple[InstallationNow, ...]:
    """List the App's installations, the first hundred; raises as `Direct.ask`, and Refused."""
    answer = good(await direct.ask("list_installations", "/app/installations", query=PAGE))
    return tuple(map(_installation, answer.items()))


async def hook(direct: Direct) -> HookNow:
    """Ask how the App's webhook is set; raises as `installations`."""
    answer = await direct.ask("get_hook", "/app/hook/config")
    good(answer)
    return HookNow(
        url=answer.maybe("url") or "",
        has_secret=bool(answer.maybe("secret")),
        is_verified=str(answer.data.get("insecure_ssl", "0")) == "0",
    )


async def tries(direct: Direct) -> tuple[Try, ...]:
    """List the last tries to deliver, newest first, up to a hundred; raises as `installations`."""
    answer = good(await direct.ask("list_deliveries", "/app/hook/deliveries", query=PAGE))
    return tuple(map(_try, answer.items()))


async def try_again(direct: Direct, one: Try) -> None:
    """Have GitHub deliver it once more; raises as `installations`."""
    path = f"/app/hook/deliveries/{one.id}/attempts"
    good(await direct.ask("redeliver", path, method="POST"))


async def set_secret(direct: Direct, secret: str) -> None:
    """Let GitHub sign with this secret from now on; raises as `installations`."""
    body = {"secret": secret}
    good(await direct.ask("set_hook_secret", "/app/hook/config", method="PATCH", body=body))


def _installation(told: Mapping[str, Any]) -> InstallationNow:
    number, page = told.get("id"), told.get("html_url")
    if not isinstance(number, int):
        raise BadAnswer("list_installations: an installation has no id")
    return InstallationNow(
        id=number,
        account=facts.name(facts.mapping(told.get("account")).get("login")) or "?",
        page=page if isinstance(page, str) else "",
        permissions=_levels(told.get("permissions")),
        events=_names(told.get("events")),
        is_suspended=told.get("suspended_at") is not None,
    )


def _try(told: Mapping[str, Any]) -> Try:
    number, status = told.get("id"), told.get("status_code")
    if not isinstance(number, int):
        raise BadAnswer("list_deliveries: an entry has no id")
    return Try(
        id=number,
        guid=facts.name(told.get("guid")) or "",
        event=facts.name(told.get("event")) or "",
        status=status if isinstance(status, int) else 0,
        delivered_at=facts.moment(told.get("delivered_at")),
    )


def _names(told: object) -> frozenset[str]:
    return frozenset(each for each in facts.items(told) if isinstance(each, str))


def _levels(told: object) -> dict[str, str]:
    given = facts.mapping(told).items()
    return {name: level for name, level in given if isinstance(level, str)}
