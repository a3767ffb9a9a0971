"""The manifest flow, by which GitHub makes an App as described: the manifest, the form that hands
it over, and the exchange of GitHub's code for the App's secrets.

Refuses to show any of them: they leave this file only as `Secret`.
https://docs.github.com/en/apps/sharing-github-apps/registering-a-github-app-from-a-manifest
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import aiohttp
import orjson

from covend.core.app_needs import AppNeeds
from covend.core.secret import Secret
from covend.edges.github.errors import BadAnswer, Refused, Unreachable
from covend.edges.github.wire import MESSAGE_MAX

NAME_MAX = 34
HOOK_PATH = "/webhooks/github"
CONVERT_S = 30.0
CODE = re.compile(r"[A-Za-z0-9_-]{1,200}")
_CREATED = 201
_ENTERPRISE = "/api/v3"


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """The App that GitHub has made."""

    id: int
    slug: str
    page: str
    """Where people see it; `…/installations/new` installs it."""
    settings_page: str
    pem: Secret
    webhook_secret: Secret | None


def site_of(api_url: str) -> str:
    """Give the address of GitHub's pages by that of its API, without a slash at its end."""
    api = api_url.rstrip("/")
    if api.endswith(_ENTERPRISE):
        return api.removesuffix(_ENTERPRISE)
    parts = urlsplit(api)
    return f"{parts.scheme}://{parts.netloc.removeprefix('api.')}"


def hook_url(public_url: str) -> str:
    """Give the address that GitHub posts webhooks to."""
    return f"{public_url.rstrip('/')}{HOOK_PATH}"


def manifest_of(
    needs: AppNeeds, *, name: str, public_url: str, redirect_url: str
) -> dict[str, Any]:
    """Describe the App: exactly what is needed, for its owner alone."""
    return {
        "name": name[:NAME_MAX],
        "url": public_url,
        "description": "Runs coding agents on this account's repositories (covend)",
        "hook_attributes": {"url": hook_url(public_url), "active": True},
        "redirect_url": redirect_url,
        "public": False,
        "default_permissions": needs.levels,
        "default_events": [each.name for each in needs.events],
    }


def form_address(api_url: str, organization: str | None, state: str) -> str:
    """Give the page of GitHub's that takes the manifest."""
    of = f"/organizations/{quote(organization, safe='')}" if organization else ""
    return f"{site_of(api_url)}{of}/settings/apps/new?{urlencode({'state': state})}"


def form_page(action: str, manifest: dict[str, Any], *, nonce: str) -> str:
    """Make the page that hands the manifest over: by itself, or by its button without scripts."""
    written = html.escape(orjson.dumps(manifest).decode(), quote=True)
    name = html.escape(manifest["name"])
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>covend</title>'
        f"<p>GitHub makes the App <b>{name}</b> on its next page.</p>"
        f'<form method="post" action="{html.escape(action, quote=True)}">'
        f'<input type="hidden" name="manifest" value="{written}">'
        "<button>Go on to GitHub</button></form>"
        f'<script nonce="{html.escape(nonce, quote=True)}">document.forms[0].submit()</script>'
    )


async def convert(session: aiohttp.ClientSession, api_url: str, code: str) -> Made:
    """Exchange the code for the App and its secrets; works once, within an hour of the form.

    Raises Refused, Unreachable or BadAnswer; none of them carries a secret.
    """
    if CODE.fullmatch(code) is None:
        raise Refused("this is no code of GitHub's", status=0)
    address = f"{api_url.rstrip('/')}/app-manifests/{code}/conversions"
    timeout = aiohttp.ClientTimeout(total=CONVERT_S)
    headers = {"Accept": "application/vnd.github+json"}
    try:
        async with session.post(
            address, headers=headers, timeout=timeout, allow_redirects=False
        ) as answer:
            status, told = answer.status, _read(await answer.read())
    except (aiohttp.ClientError, TimeoutError) as error:
        why = type(error).__name__
        raise Unreachable(f"GitHub did not answer for the App ({why})") from None
    if status >= 500:  # noqa: PLR2004 (the server's fault)
        raise Unreachable(f"GitHub did not answer for the App ({status})")
    if status != _CREATED:
        said = str(told.get("message") or "")[:MESSAGE_MAX]
        raise Refused(f"GitHub does not take the code: {status} {said}".rstrip(), status=status)
    return _made(told, api_url)


def install_address(made_page: str) -> str:
    """Give the page that installs an App, by the App's own."""
    return f"{made_page}/installations/new"


def _read(raw: bytes) -> dict[str, Any]:
    try:
        told = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return {}
    return told if isinstance(told, dict) else {}


def _made(told: dict[str, Any], api_url: str) -> Made:
    number, slug, pem = told.get("id"), told.get("slug"), told.get("pem")
    if not (isinstance(number, int) and isinstance(slug, str) and isinstance(pem, str)):
        raise BadAnswer("GitHub made the App, and its answer has no id, slug or key")
    secret, page = told.get("webhook_secret"), told.get("html_url")
    site = site_of(api_url)
    return Made(
        id=number,
        slug=slug,
        page=page if isinstance(page, str) else f"{site}/apps/{slug}",
        settings_page=settings_page(site, slug, told.get("owner")),
        pem=Secret(pem),
        webhook_secret=Secret(secret) if isinstance(secret, str) and secret else None,
    )


def settings_page(site: str, slug: str, owner: object) -> str:
    """Give the page where an App's owner changes it; `owner` is GitHub's account, as it came."""
    account = owner if isinstance(owner, dict) else {}
    login = account.get("login")
    is_shared = account.get("type") == "Organization" and isinstance(login, str)
    of = f"/organizations/{login}" if is_shared else ""
    return f"{site}{of}/settings/apps/{slug}"
