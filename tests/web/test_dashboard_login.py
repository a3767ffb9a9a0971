"""Logging in to the dashboard, and out."""

from __future__ import annotations

from io import StringIO
from typing import Any
from urllib.parse import urlencode

import pytest

from covend.telemetry import logs
from covend.web.visitor import COOKIE
from tests.web.browsing import FORM, Browser, words
from tests.web.desk import READERS_TOKEN, TOKEN, Answer, Desk
from tests.web.reading_html import parse


async def log_in(desk: Desk, fields: dict[str, str], **headers: str) -> Answer:
    url = f"http://127.0.0.1:{desk.port}/login"
    async with desk.session.post(
        url, data=urlencode(fields), headers={**FORM, **headers}, allow_redirects=False
    ) as response:
        return Answer(response.status, response.headers, None, await response.text())


async def asked(desk: Desk, path: str, **options: Any) -> tuple[int, str]:
    url = f"http://127.0.0.1:{desk.port}{path}"
    async with desk.session.get(url, allow_redirects=False, **options) as response:
        return response.status, response.headers.get("Location", "")


async def test_the_token_opens_a_session(desk: Desk) -> None:
    answer = await log_in(desk, {"token": f" {TOKEN}\n", "next": "/tasks?state=failed"})
    assert (answer.status, answer.headers["Location"]) == (303, "/tasks?state=failed")
    cookie = answer.headers["Set-Cookie"]
    name, _, value = cookie.partition(";")[0].partition("=")
    assert name == COOKIE
    assert TOKEN not in value
    assert {"HttpOnly", "Path=/", "SameSite=Lax"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    assert (await asked(desk, "/tasks", headers={"Cookie": f"{COOKIE}={value}"}))[0] == 200


async def test_a_session_behind_https_stays_there(desk: Desk) -> None:
    answer = await log_in(desk, {"token": TOKEN}, **{"X-Forwarded-Proto": "https"})
    assert "Secure" in answer.headers["Set-Cookie"].split("; ")


@pytest.mark.parametrize("token", ["wrong", "", f"{TOKEN}x", "é"])
async def test_a_wrong_token_is_told_and_logged_and_opens_nothing(desk: Desk, token: str) -> None:
    log = StringIO()
    logs.configure(stream=log)
    try:
        answer = await log_in(desk, {"token": token, "next": "/rules"})
    finally:
        logs.configure()
    assert answer.status == 403
    assert "There is no such token." in words(answer.text)
    assert "Set-Cookie" not in answer.headers
    assert 'name="next" value="/rules"' in answer.text
    assert '"a log-in with a wrong token","address":"127.0.0.1"' in log.getvalue()
    assert not token or f'"{token}"' not in log.getvalue()


@pytest.mark.parametrize(
    ("to", "leads_to"),
    [
        ("/tasks/1", "/tasks/1"),
        ("/deliveries?state=ignored", "/deliveries?state=ignored"),
        ("//evil.example", "/"),
        ("///evil.example", "/"),
        ("https://evil.example/", "/"),
        ("javascript:alert(1)", "/"),
        ("/\\evil.example", "/"),
        ("\\\\evil.example", "/"),
        ("tasks", "/"),
        ("", "/"),
        ("/logout", "/"),
        ("/login?next=/", "/"),
        ("/\r\nSet-Cookie: a=b", "/"),
        ("/é", "/"),
        ("/" + "x" * 3_000, "/"),
        ("http://[", "/"),
    ],
)
async def test_a_log_in_leads_nowhere_but_here(desk: Desk, to: str, leads_to: str) -> None:
    answer = await log_in(desk, {"token": TOKEN, "next": to})
    assert (answer.status, answer.headers["Location"]) == (303, leads_to)


async def test_nobody_is_sent_to_the_log_in_and_back(desk: Desk) -> None:
    status, to = await asked(desk, "/tasks?state=failed&rule=a%22b")
    assert status == 303
    assert to.startswith("/login?next=/tasks%3Fstate%3Dfailed")
    page = (await desk.ask(to, headers={})).text
    (hidden,) = [each for each in parse(page).all("input") if each.get("name") == "next"]
    assert hidden["value"].startswith("/tasks?state=failed")


async def test_who_is_in_already_goes_on(desk: Desk) -> None:
    async with Browser(desk) as browser:
        answer = await browser.ask("/login?next=/rules")
    assert (answer.status, answer.headers["Location"]) == (303, "/rules")


async def test_another_site_logs_nobody_in(desk: Desk) -> None:
    answer = await log_in(desk, {"token": TOKEN}, Origin="https://evil.example")
    assert answer.status == 403
    assert "Set-Cookie" not in answer.headers


async def test_to_log_out_takes_the_session_away(desk: Desk) -> None:
    async with Browser(desk) as browser:
        await browser.send("/logout")
        assert (await browser.ask("/tasks")).status == 303


async def test_no_other_page_logs_anybody_out(desk: Desk) -> None:
    async with Browser(desk) as browser:
        assert (await browser.ask("/logout", "POST", {"csrf": "0" * 64})).status == 403
        assert (await browser.ask("/tasks")).status == 200


async def test_a_page_says_who_one_is_and_what_that_allows(desk: Desk) -> None:
    async with Browser(desk) as browser:
        assert "operator Log out" in words(await browser.see("/"))
    async with Browser(desk, READERS_TOKEN) as browser:
        assert "grafana may look only" in words(await browser.see("/"))
