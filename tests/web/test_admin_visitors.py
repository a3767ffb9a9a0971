"""Who asks the admin listener: by a token or a session, to change or only to look."""

from __future__ import annotations

import io
from typing import Any

import pytest

from covend.core.model import Moment
from covend.core.secret import Secret
from covend.web.routes import TABLE
from covend.web.visitor import COOKIE, OPERATOR, SESSION_S, Visitor, Visitors
from tests.store.arrivals import NOW
from tests.web.desk import BEARER, READER, READERS_TOKEN, TOKEN, Desk

AT = NOW + 60_000
"""What the desk's clock says."""
READING = {"Authorization": f"Bearer {READERS_TOKEN}"}
FORM = "application/x-www-form-urlencoded"


def visitors(token: str = TOKEN, reader: str = READERS_TOKEN) -> Visitors:
    return Visitors(Secret(token), {READER: Secret(reader)})


def operator(known: Visitors | None = None, token: str = TOKEN) -> Visitor:
    found = (known or visitors(token)).of_token(token)
    assert found is not None
    return found


def session(token: str = TOKEN, at: Moment = AT) -> str:
    """The cookie of a session of whoever holds the token, opened at a moment."""
    known = visitors(token) if token != READERS_TOKEN else visitors()
    return known.open_session(operator(known, token), at)


def by_cookie(value: str, **headers: str) -> dict[str, str]:
    return {"Cookie": f"{COOKIE}={value}", **headers}


def csrf_of(value: str) -> str:
    found = visitors().of_session(value, AT)
    assert found is not None
    assert found.csrf is not None
    return found.csrf


# --- readers --------------------------------------------------------------------------------------


async def test_a_reader_may_look_at_everything(desk: Desk) -> None:
    task = await desk.arrive()
    for path in ("tasks", f"tasks/{task}", "deliveries", "effects", "safeguards", "audit", "stats"):
        assert (await desk.ask(f"/api/v1/{path}", headers=READING)).status == 200
    assert (await desk.ask("/openapi.json", headers=READING)).status == 200


async def test_a_reader_changes_nothing(desk: Desk) -> None:
    await desk.arrive()
    changing = [route for route in desk.app[TABLE].values() if route.verb is not None]
    assert len(changing) > 10
    for route in changing:
        path = route.path.replace("{id:.+}", "x").replace("{id}", "x")
        answer = await desk.ask(path, route.method, READING)
        assert answer.status == 403, route.name
        if not route.is_page:
            assert answer.data["error"]["code"] == "read_only"
            assert READER in answer.data["error"]["message"]
    assert (await desk.get("safeguards"))["items"] == []
    assert (await desk.get("tasks?state=queued"))["items"] != []


async def test_a_reader_changes_nothing_by_a_session_either(desk: Desk) -> None:
    cookie = session(READERS_TOKEN)
    headers = by_cookie(cookie, **{"X-CSRF-Token": csrf_of(cookie)})
    answer = await desk.ask("/api/v1/pause", "POST", headers)
    assert (answer.status, answer.data["error"]["code"]) == (403, "read_only")


async def test_a_reader_that_is_called_operator_takes_nothing_over() -> None:
    known = Visitors(Secret(TOKEN), {OPERATOR: Secret(READERS_TOKEN)})
    assert known.of_token(READERS_TOKEN) is None
    assert operator(known).may_change


# --- sessions -------------------------------------------------------------------------------------


async def test_a_session_looks_without_a_token_until_it_is_over(desk: Desk) -> None:
    fresh, old = session(), session(at=AT - SESSION_S * 1000)
    almost = session(at=AT - SESSION_S * 1000 + 1)
    assert (await desk.ask("/api/v1/tasks", headers=by_cookie(fresh))).status == 200
    assert (await desk.ask("/api/v1/tasks", headers=by_cookie(almost))).status == 200
    assert (await desk.ask("/api/v1/tasks", headers=by_cookie(old))).status == 401


async def test_a_session_of_a_token_of_before_is_none(desk: Desk) -> None:
    value = session("another-operators-token")
    assert (await desk.ask("/api/v1/tasks", headers=by_cookie(value))).status == 401


def forgeries() -> dict[str, str]:
    name, until, signature = session().split("~")
    reader, _, by_reader = session(READERS_TOKEN).split("~")
    return {
        "later": f"{name}~{int(until) + 1}~{signature}",
        "another-name": f"{reader}~{until}~{signature}",
        "risen": f"{name}~{until}~{by_reader}",
        "nobody": f"nobody~{until}~{signature}",
        "csrf": f"{name}~{until}~{csrf_of(session())}",
        "short": f"{name}~{until}~{signature[:-1]}",
        "upper": f"{name}~{until}~{signature.upper()}",
        "empty": "",
        "token": TOKEN,
        "zeros": f"{name}~0{until}~{signature}",
    }


@pytest.mark.parametrize("how", sorted(forgeries()))
async def test_a_forged_session_is_none(desk: Desk, how: str) -> None:
    value = forgeries()[how]
    assert (await desk.ask("/api/v1/tasks", headers=by_cookie(value))).status == 401


async def test_a_wrong_token_is_not_mended_by_a_session(desk: Desk) -> None:
    headers = by_cookie(session(), Authorization="Bearer wrong")
    assert (await desk.ask("/api/v1/tasks", headers=headers)).status == 401


async def test_a_session_holds_behind_a_proxy_that_asks_for_a_password_of_its_own(
    desk: Desk,
) -> None:
    headers = by_cookie(session(), Authorization="Basic c29tZTpib2R5")
    assert (await desk.ask("/api/v1/tasks", headers=headers)).status == 200
    assert await paused(desk, headers) == (403, "no_csrf")


# --- what a session must bring along --------------------------------------------------------------


async def paused(desk: Desk, headers: dict[str, str], body: bytes | None = None) -> Any:
    answer = await desk.ask("/api/v1/pause", "POST", headers, body)
    return answer.status, answer.data.get("error", {}).get("code")


async def test_a_change_by_a_session_brings_its_own_word_along(desk: Desk) -> None:
    cookie = session()
    word = {"X-CSRF-Token": csrf_of(cookie)}
    assert await paused(desk, by_cookie(cookie)) == (403, "no_csrf")
    for wrong in ("", "x", csrf_of(session(READERS_TOKEN)), csrf_of(session(at=AT - 1)), "\xe9"):
        assert await paused(desk, by_cookie(cookie, **{"X-CSRF-Token": wrong})) == (403, "no_csrf")
    assert (await desk.get("audit"))["items"] == []
    assert await paused(desk, by_cookie(cookie, **word)) == (200, None)
    assert (await desk.get("audit"))["items"][0]["who"] == OPERATOR


@pytest.mark.parametrize(
    ("form", "code"),
    [("", "no_csrf"), ("csrf=x", "no_csrf"), ("csrf={}", None), ("csrf=x&csrf={}", "no_csrf")],
)
async def test_the_word_may_be_a_field_of_a_form(desk: Desk, form: str, code: str | None) -> None:
    cookie = session()
    headers = by_cookie(cookie, **{"Content-Type": FORM})
    body = form.format(csrf_of(cookie)).encode()
    status, told = await paused(desk, headers, body)
    # A form is no JSON: past the guard, it is the handler that refuses it.
    assert (status, told) == ((403, code) if code else (400, "bad_request"))


async def test_who_brings_the_token_itself_needs_no_such_word(desk: Desk) -> None:
    assert await paused(desk, BEARER) == (200, None)


@pytest.mark.parametrize("body", [b"\xff=1", b"a=%FF"])
@pytest.mark.parametrize("kind", [FORM, f"{FORM}; charset=klingon"])
async def test_a_form_that_cannot_be_read_is_refused(desk: Desk, kind: str, body: bytes) -> None:
    headers = by_cookie(session(), **{"Content-Type": kind})
    status, _ = await paused(desk, headers, body)
    assert status in {400, 403}


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (f"{FORM}; charset=raw_unicode_escape", rb"token=\ud800"),
        (f"{FORM}; charset=utf-7", b"token=+2AA-"),
        (f"{FORM}; charset=undefined", b"token=x"),
        (f"{FORM}; charset=punycode", b"token=x"),
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=q", b"no boundary"),
    ],
    ids=["surrogate", "surrogate-7", "undefined", "punycode", "no-boundary", "no-parts"],
)
async def test_who_is_nobody_breaks_nothing_by_a_form_of_another_kind(
    desk: Desk, kind: str, body: bytes
) -> None:
    answer = await desk.ask("/login", "POST", {"Content-Type": kind}, body)
    assert answer.status == 400


async def test_a_form_in_parts_changes_nothing(desk: Desk) -> None:
    part = b'--q\r\nContent-Disposition: form-data; name="scope"\r\n\r\nall\r\n--q--\r\n'
    headers = {**BEARER, "Content-Type": "multipart/form-data; boundary=q"}
    assert (await desk.ask("/pause", "POST", headers, part)).status == 400
    assert await desk.guards.list() == []


async def test_a_body_that_is_not_packed_as_it_says_is_refused(desk: Desk) -> None:
    headers = {**BEARER, "Content-Encoding": "gzip"}
    url = f"http://127.0.0.1:{desk.port}/api/v1/pause"
    async with desk.session.post(url, headers=headers, data=io.BytesIO(b"zzz")) as answer:
        assert answer.status == 400


async def test_a_larger_form_than_may_be_is_refused(desk: Desk) -> None:
    headers = by_cookie(session(), **{"Content-Type": FORM})
    url = f"http://127.0.0.1:{desk.port}/api/v1/pause"
    form = io.BytesIO(b"a=" + b"x" * (1 << 20))
    async with desk.session.post(url, headers=headers, data=form) as answer:
        assert answer.status == 413


# --- other pages ----------------------------------------------------------------------------------


@pytest.mark.parametrize("site", ["cross-site", "same-site", "what"])
async def test_no_other_site_changes_anything_with_a_browsers_help(desk: Desk, site: str) -> None:
    cookie = session()
    headers = by_cookie(cookie, **{"Sec-Fetch-Site": site, "X-CSRF-Token": csrf_of(cookie)})
    assert await paused(desk, headers) == (403, "foreign_origin")


@pytest.mark.parametrize("site", ["same-origin", "none"])
async def test_our_own_pages_may(desk: Desk, site: str) -> None:
    cookie = session()
    headers = by_cookie(cookie, **{"Sec-Fetch-Site": site, "X-CSRF-Token": csrf_of(cookie)})
    assert await paused(desk, headers) == (200, None)


async def test_a_link_from_another_site_may_be_followed(desk: Desk) -> None:
    headers = by_cookie(session(), **{"Sec-Fetch-Site": "cross-site"})
    assert (await desk.ask("/api/v1/tasks", headers=headers)).status == 200


# --- pages ----------------------------------------------------------------------------------------


async def test_a_page_sends_who_is_nobody_to_the_log_in_and_then_back(desk: Desk) -> None:
    pages = [
        route
        for route in desk.app[TABLE].values()
        if route.is_page and route.method == "GET" and not route.is_open and "{" not in route.path
    ]
    assert pages
    for route in pages:
        url = f"http://127.0.0.1:{desk.port}{route.path}?a=b"
        async with desk.session.get(url, allow_redirects=False) as answer:
            assert answer.status == 303
            assert answer.headers["Location"] == f"/login?next={route.path}%3Fa%3Db"


async def test_a_page_that_changes_something_is_refused_to_who_is_nobody(desk: Desk) -> None:
    for route in desk.app[TABLE].values():
        if route.is_page and route.method == "POST" and not route.is_open:
            path = route.path.replace("{id:.+}", "x").replace("{id}", "x")
            assert (await desk.ask(path, "POST", headers={})).status == 401, route.name


async def test_only_the_log_in_and_what_it_is_made_of_need_no_token(desk: Desk) -> None:
    open_paths = {route.path for route in desk.app[TABLE].values() if route.is_open}
    assert open_paths == {"/login", "/static/{name}"}


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "https://evil.example"}])
async def test_pages_are_kept_from_foreign_names_and_origins_too(
    desk: Desk, headers: dict[str, str]
) -> None:
    answer = await desk.ask("/login", headers=headers)
    assert answer.status in {403, 421}


def test_a_token_is_compared_as_a_whole() -> None:
    assert operator().may_change
    assert visitors().of_token(f" {TOKEN}\n") is not None
    for wrong in ("", TOKEN[:-1], f"{TOKEN}x", TOKEN.upper(), "\udcff"):
        assert visitors().of_token(wrong) is None


def test_no_token_may_be_empty() -> None:
    with pytest.raises(AssertionError):
        Visitors(Secret(""), {})
