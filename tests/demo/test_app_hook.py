"""The stand-in's webhook of the App: it shows no secret, and tries a delivery again for real."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from covend.demo.github import StandInGitHub
from tests.demo.api import Api


async def test_the_secret_is_never_shown(as_app: Api, github: StandInGitHub) -> None:
    assert "secret" not in (await as_app("GET", "/app/hook/config")).body
    changed = await as_app("PATCH", "/app/hook/config", {"secret": "hidden"})
    assert (changed.status, changed.body["secret"]) == (200, "********")
    assert github.state.app_hook.secret == "hidden"
    assert github.violations == []


async def test_a_further_attempt_is_sent_signed_and_written_down(
    as_app: Api, session: Any, github: StandInGitHub
) -> None:
    seen: list[dict[str, str]] = []

    async def take(request: web.Request) -> web.Response:
        seen.append(dict(request.headers))
        return web.Response(status=418)

    app = web.Application()
    app.router.add_post("/hook", take)
    async with TestServer(app) as server:
        manifest = {
            "redirect_url": "http://127.0.0.1/back",
            "hook_attributes": {"url": str(server.make_url("/hook"))},
            "default_permissions": {"metadata": "read"},
            "default_events": ["push"],
        }
        form = {"manifest": json.dumps(manifest)}
        async with session.post(
            "/settings/apps/new?state=s", data=form, allow_redirects=False
        ) as answer:
            code = answer.headers["Location"].partition("code=")[2].partition("&")[0]
        assert (await Api(session)("POST", f"/app-manifests/{code}/conversions")).status == 201
        assert (await Api(session)("POST", f"/app-manifests/{code}/conversions")).status == 404
        (first,) = (await as_app("GET", "/app/hook/deliveries")).body
        got = await as_app("POST", f"/app/hook/deliveries/{first['id']}/attempts")
        assert (got.status, got.body) == (202, {})
    assert [each["X-GitHub-Event"] for each in seen] == ["ping", "ping"]
    again, before = (await as_app("GET", "/app/hook/deliveries")).body
    assert (again["guid"], again["redelivery"], again["status_code"]) == (
        before["guid"],
        True,
        418,
    )
    assert (await as_app("GET", "/app")).body["events"] == ["push"]
    assert (await as_app("POST", "/app/hook/deliveries/1/attempts")).status == 404
    assert github.violations == []
