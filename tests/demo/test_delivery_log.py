"""The stand-in's log of webhooks: what it keeps, how it is read, what a try looks like in it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from covend.demo import payloads
from covend.demo.github import Hosted, LoggedDelivery, StandInGitHub
from covend.demo.github.deliveries import write_down
from tests.demo.api import Api

LOG = "/app/hook/deliveries"


@pytest.fixture
def log(github: StandInGitHub, till: Hosted) -> Log:
    return Log(github, till)


class Log:
    def __init__(self, github: StandInGitHub, till: Hosted) -> None:
        self.github, self._till = github, till

    def write(self, *, ago: timedelta = timedelta(), guid: str = "", **how: Any) -> LoggedDelivery:
        scene = self.github.scene(self._till, 7, serial=1)
        payload = payloads.SAMPLES["pull_request.opened"](scene)
        body = payloads.encode(payload)
        headers = payloads.signed(body, "secret", "pull_request", guid or str(uuid4()))
        at = self.github.state.now() - ago
        return write_down(self.github.state, payload, headers, at=at, **how)


async def test_it_reaches_back_three_days(as_app: Api, log: Log) -> None:
    old = log.write(ago=timedelta(days=3, minutes=1))
    young = log.write(ago=timedelta(days=3, minutes=-1))
    assert [each["id"] for each in (await as_app("GET", LOG)).body] == [young.id]
    assert (await as_app("GET", f"{LOG}/{young.id}")).status == 200
    assert (await as_app("GET", f"{LOG}/{old.id}")).status == 404


async def test_its_pages_lead_to_each_other_by_cursor(as_app: Api, log: Log) -> None:
    ids = [log.write().id for _ in range(5)][::-1]
    path, seen = f"{LOG}?per_page=2", []
    links: list[str] = []
    while path:
        got = await as_app("GET", path)
        seen.append([each["id"] for each in got.body])
        links = got.headers.get("Link", "").split(", ")
        following = [each for each in links if each.endswith('rel="next"')]
        path = following[0].partition(">")[0].removeprefix("<") if following else ""
        log.write()  # what comes in meanwhile moves no page
    assert seen == [ids[:2], ids[2:4], ids[4:]]
    assert 'rel="prev"' in links[0]


async def test_a_cursor_that_is_none_is_refused(as_app: Api) -> None:
    assert (await as_app("GET", f"{LOG}?cursor=next")).status == 422


async def test_a_further_try_has_the_same_guid_and_is_a_redelivery(as_app: Api, log: Log) -> None:
    guid = str(uuid4())
    for status in (502, 503, 202):
        log.write(guid=guid, status_code=status)
    told = [
        (each["guid"], each["redelivery"], each["status_code"], each["status"])
        for each in (await as_app("GET", LOG)).body
    ]
    assert told == [
        (guid, True, 202, "OK"),
        (guid, True, 503, "Invalid HTTP Response: 503"),
        (guid, False, 502, "failed to connect"),
    ]


async def test_it_can_be_asked_for_what_failed(as_app: Api, log: Log) -> None:
    failed, good = log.write(status_code=502), log.write(status_code=202)
    for status, entry in (("failure", failed), ("success", good)):
        got = await as_app("GET", f"{LOG}?status={status}")
        assert [each["id"] for each in got.body] == [entry.id]


async def test_one_is_shown_with_headers_and_payload(
    as_app: Api, log: Log, github: StandInGitHub
) -> None:
    entry = log.write()
    whole = (await as_app("GET", f"{LOG}/{entry.id}")).body
    assert whole["request"] == {"headers": entry.headers, "payload": entry.payload}
    assert github.violations == []


async def test_a_hook_of_a_repository_has_a_log_of_its_own(
    as_app: Api, session: Any, log: Log, github: StandInGitHub
) -> None:
    of_app, of_hook = log.write(), log.write(hook=77)
    github.add_personal_token("ghp_mara", payloads.AUTHOR)
    mara, path = Api(session, "ghp_mara"), "/repos/acme/till/hooks"
    listed = await mara("GET", f"{path}/77/deliveries")
    assert [each["id"] for each in listed.body] == [of_hook.id]
    assert (await mara("GET", f"{path}/77/deliveries/{of_hook.id}")).status == 200
    assert (await mara("GET", f"{path}/77/deliveries/{of_app.id}")).status == 404
    assert (await mara("GET", f"{path}/78/deliveries")).status == 404
    assert [each["id"] for each in (await as_app("GET", LOG)).body] == [of_app.id]
    narrow = await as_app.narrowed(permissions={"metadata": "read"})
    assert (await narrow("GET", f"{path}/77/deliveries")).status == 403
    assert github.violations == []
