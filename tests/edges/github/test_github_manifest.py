"""The manifest flow in its pieces: addresses, form, the page that hears the code, the exchange."""

from __future__ import annotations

import html
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from covend.core.app_needs import app_needs
from covend.core.settings import Settings
from covend.edges.github import manifest, registering
from covend.edges.github.errors import BadAnswer, Refused, Unreachable
from covend.edges.github.registering import Registration

NEEDS = app_needs(Settings(state_dir=Path()))


@pytest.mark.parametrize(
    ("api", "site"),
    [
        ("https://api.github.com", "https://github.com"),
        ("https://git.example.org/api/v3", "https://git.example.org"),
        ("https://git.example.org/api/v3/", "https://git.example.org"),
        ("https://api.acme.ghe.com", "https://acme.ghe.com"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
    ],
)
def test_githubs_pages_are_found_by_its_api(api: str, site: str) -> None:
    assert manifest.site_of(api) == site


def test_the_form_goes_to_its_owners_settings_with_the_state() -> None:
    own = urlsplit(manifest.form_address("https://api.github.com", None, "s&t"))
    assert (own.path, parse_qs(own.query)) == ("/settings/apps/new", {"state": ["s&t"]})
    shared = manifest.form_address("https://api.github.com", "a/b", "s")
    assert urlsplit(shared).path == "/organizations/a%2Fb/settings/apps/new"


def test_a_name_cannot_leave_the_forms_text() -> None:
    odd = "\"><script>alert(1)</script>'"
    told = manifest.manifest_of(NEEDS, name=odd, public_url="https://h", redirect_url="http://r")
    page = manifest.form_page("https://g/?a=1&b=2", told, nonce="n")
    assert page.count("<script") == 1
    written = re.search(r'name="manifest" value="([^"]*)"', page)
    assert written
    assert json.loads(html.unescape(written[1])) == told
    assert len(told["name"]) <= manifest.NAME_MAX


def test_an_apps_settings_are_its_owners() -> None:
    told = {"login": "acme", "type": "Organization"}
    assert manifest.settings_page("https://g", "x", told) == (
        "https://g/organizations/acme/settings/apps/x"
    )
    person = {"login": "mara", "type": "User"}
    assert manifest.settings_page("https://g", "x", person) == "https://g/settings/apps/x"
    assert manifest.settings_page("https://g", "x", None) == "https://g/settings/apps/x"


# --- the page -------------------------------------------------------------------------------------


@pytest.fixture
async def registration() -> AsyncIterator[Registration]:
    made = Registration(
        api_url="https://api.github.com",
        organization=None,
        describe=lambda back: {"name": "n", "redirect_url": back},
    )
    async with made.listening():
        yield made


async def get(address: str) -> tuple[int, str, str]:
    async with aiohttp.ClientSession() as session, session.get(address) as answer:
        policy = answer.headers.get("Content-Security-Policy", "")
        return answer.status, await answer.text(), policy


async def answer_of(registration: Registration, code: str) -> str:
    """Give the address that GitHub would send back to."""
    _, page, _ = await get(registration.address)
    action = html.unescape(page.partition('action="')[2].partition('"')[0])
    told = json.loads(html.unescape(page.partition('value="')[2].partition('"')[0]))
    return f"{told['redirect_url']}?code={code}&{urlsplit(action).query}"


async def test_a_state_is_good_for_one_answer(registration: Registration) -> None:
    assert (await get(await answer_of(registration, "first")))[0] == 200
    assert (await get(await answer_of(registration, "second")))[0] == 410
    assert await registration.code() == "first"


async def test_a_state_ends_with_its_time(
    registration: Registration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registering, "WAIT_S", 0.05)
    with pytest.raises(Unreachable, match="no browser came back"):
        await registration.code()


async def test_only_the_pages_own_script_runs(registration: Registration) -> None:
    status, page, policy = await get(registration.address)
    assert status == 200
    nonce = page.partition('nonce="')[2].partition('"')[0]
    assert f"script-src 'nonce-{nonce}'" in policy
    assert "default-src 'none'" in policy
    again = (await get(registration.address))[1]
    assert nonce not in again


async def test_two_tries_share_no_secret(registration: Registration) -> None:
    other = Registration(api_url="https://g", organization=None, describe=lambda _back: {})
    async with other.listening():
        paths = {urlsplit(each.address).path for each in (registration, other)}
        assert len(paths) == 2
        back = await answer_of(registration, "c")
        state = parse_qs(urlsplit(back).query)["state"][0]
        root = other.address.rpartition("/")[0]
        assert (await get(f"{root}/created?code=c&state={state}"))[0] == 400


# --- the exchange ---------------------------------------------------------------------------------


async def exchanged(status: int, body: object) -> manifest.Made:
    async def answer(_request: web.Request) -> web.Response:
        return web.json_response(body, status=status)

    app = web.Application()
    app.router.add_post("/app-manifests/{code}/conversions", answer)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        return await manifest.convert(session, str(server.make_url("")), "code")


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (404, {"message": "Not Found"}, Refused),
        (422, ["odd"], Refused),
        (503, {"message": "try later"}, Unreachable),
        (201, {"id": 1, "slug": "x"}, BadAnswer),
        (201, [], BadAnswer),
    ],
    ids=["gone", "odd refusal", "down", "no key", "no object"],
)
async def test_what_is_no_app_is_an_error_without_a_secret(
    status: int, body: object, error: type[Exception]
) -> None:
    with pytest.raises(error):
        await exchanged(status, body)


async def test_the_secrets_of_an_app_are_not_in_its_text() -> None:
    told = {"id": 1, "slug": "x", "pem": "THE KEY", "webhook_secret": "THE SECRET"}
    made = await exchanged(201, told)
    assert "THE" not in repr(made)
    assert made.webhook_secret is not None
    assert (made.pem.reveal(), made.webhook_secret.reveal()) == ("THE KEY", "THE SECRET")
    without = await exchanged(201, {**told, "webhook_secret": None})
    assert without.webhook_secret is None


async def test_a_code_that_is_none_never_leaves() -> None:
    async with aiohttp.ClientSession() as session:
        for code in ("", "../../app", "a/b", "a?b", "x" * 201):
            with pytest.raises(Refused):
                await manifest.convert(session, "http://127.0.0.1:1", code)
        with pytest.raises(Unreachable):
            await manifest.convert(session, "http://127.0.0.1:1", "good")
