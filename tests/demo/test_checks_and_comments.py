from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from covend.demo.github import Hosted, StandInGitHub
from tests.demo.api import Api, Got

REPO = "/repos/acme/till"
COMMENTS = f"{REPO}/issues/7/comments"


@pytest.fixture
def head(till: Hosted) -> str:
    return till.git.commit_at("refs/pull/7/head")


async def test_a_check_run_is_found_again_by_its_head(api: Api, head: str) -> None:
    wanted = {"name": "covend / review", "head_sha": head, "external_id": "e1"}
    made = await api("POST", f"{REPO}/check-runs", wanted | {"status": "in_progress"})
    assert [pull["number"] for pull in made.body["pull_requests"]] == [7]
    done = {"conclusion": "failure", "output": {"title": "One finding", "summary": "…"}}
    path = f"{REPO}/check-runs/{made.body['id']}"
    assert (await api("PATCH", path, done)).body["status"] == "completed"
    query = "?app_id=123456&filter=all&check_name=covend%20/%20review"
    found = await api("GET", f"{REPO}/commits/{head}/check-runs{query}")
    assert [run["external_id"] for run in found.body["check_runs"]] == ["e1"]
    other = await api("GET", f"{REPO}/commits/{head}/check-runs?app_id=1")
    assert other.body == {"total_count": 0, "check_runs": []}


async def test_only_the_latest_of_a_name_is_listed_unless_all_are(api: Api, head: str) -> None:
    for _ in range(2):
        await api("POST", f"{REPO}/check-runs", {"name": "review", "head_sha": head})
    path = f"{REPO}/commits/{head}/check-runs"
    assert (await api("GET", path)).body["total_count"] == 1
    assert (await api("GET", f"{path}?filter=all")).body["total_count"] == 2


@pytest.mark.parametrize(
    ("changed", "status"),
    [({"head_sha": "0" * 40}, 422), ({"status": "completed"}, 422), ({"surplus": 1}, 422)],
)
async def test_a_check_run_that_makes_no_sense_is_refused(
    changed: dict[str, Any], status: int, api: Api, head: str
) -> None:
    wanted = {"name": "review", "head_sha": head} | changed
    assert (await api("POST", f"{REPO}/check-runs", wanted)).status == status


def an_annotation(**changed: Any) -> dict[str, Any]:
    sample = {
        "path": "README.md",
        "start_line": 1,
        "end_line": 2,
        "annotation_level": "notice",
        "message": "x",
    }
    return sample | changed


async def annotated(api: Api, head: str, *annotations: dict[str, Any]) -> Got:
    output = {"title": "x", "summary": "x", "annotations": list(annotations)}
    wanted = {"name": "review", "head_sha": head, "output": output}
    return await api("POST", f"{REPO}/check-runs", wanted)


async def test_annotations_add_up_over_the_updates_of_a_check_run(api: Api, head: str) -> None:
    made = await annotated(api, head, *[an_annotation()] * 50)
    assert made.body["output"]["annotations_count"] == 50
    output = {"summary": "x", "annotations": [an_annotation()]}
    more = await api("PATCH", f"{REPO}/check-runs/{made.body['id']}", {"output": output})
    assert more.body["output"]["annotations_count"] == 51


@pytest.mark.parametrize(
    "changed",
    [
        {"start_line": 3},
        {"start_line": 0},
        {"start_column": 1, "end_column": 2},
        {"title": "x" * 256},
        {"message": ""},
        {"message": "é" * 32_769},
        {"raw_details": "x" * 65_537},
        {"path": "/README.md"},
    ],
)
async def test_one_bad_annotation_refuses_them_all(
    changed: dict[str, Any], api: Api, head: str, github: StandInGitHub
) -> None:
    got = await annotated(api, head, an_annotation(), an_annotation(**changed))
    assert got.status == 422
    assert github.state.check_runs == []


async def test_no_more_than_fifty_annotations_come_at_once(api: Api, head: str) -> None:
    assert (await annotated(api, head, *[an_annotation()] * 51)).status == 422


async def test_a_status_replaces_the_one_of_its_context(api: Api, head: str) -> None:
    for state in ("pending", "failure"):
        wanted = {"state": state, "context": "covend", "description": "x"}
        assert (await api("POST", f"{REPO}/statuses/{head}", wanted)).status == 201
    combined = await api("GET", f"{REPO}/commits/{head}/status")
    assert (combined.body["state"], combined.body["total_count"]) == ("failure", 1)


async def test_a_status_says_little(api: Api, head: str) -> None:
    wanted = {"state": "success", "description": "x" * 141}
    assert (await api("POST", f"{REPO}/statuses/{head}", wanted)).status == 422


async def test_a_comment_is_written_edited_and_removed(api: Api, github: StandInGitHub) -> None:
    made = await api("POST", COMMENTS, {"body": "working"})
    assert made.body["user"]["login"] == "covend-demo[bot]"
    assert made.body["performed_via_github_app"]["id"] == 123_456
    path = f"{REPO}/issues/comments/{made.body['id']}"
    await api("PATCH", path, {"body": "done"})
    assert [comment.body for comment in github.state.comments] == ["done"]
    assert (await api("DELETE", path)).status == 204
    assert (await api("GET", path)).status == 404


async def test_since_leaves_out_what_is_older(api: Api) -> None:
    await api("POST", COMMENTS, {"body": "x"})
    later = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert (await api("GET", f"{COMMENTS}?since={later}")).body == []
    assert len((await api("GET", f"{COMMENTS}?since=2025-01-01T00:00:00Z")).body) == 1


async def test_a_body_of_65537_characters_is_too_long(api: Api) -> None:
    assert (await api("POST", COMMENTS, {"body": "é" * 65_536})).status == 201
    assert (await api("POST", COMMENTS, {"body": "x" * 65_537})).status == 422


async def test_the_same_reaction_is_there_once(api: Api, github: StandInGitHub) -> None:
    made = await api("POST", COMMENTS, {"body": "x"})
    path = f"{REPO}/issues/comments/{made.body['id']}/reactions"
    first = await api("POST", path, {"content": "eyes"})
    again = await api("POST", path, {"content": "eyes"})
    assert (first.status, again.status) == (201, 200)
    assert len(github.state.reactions) == 1
    assert (await api("DELETE", f"{path}/{first.body['id']}")).status == 204


async def test_reactions_are_listed_by_their_content(api: Api) -> None:
    made = await api("POST", COMMENTS, {"body": "x"})
    path = f"{REPO}/issues/comments/{made.body['id']}/reactions"
    for content in ("eyes", "+1"):
        await api("POST", path, {"content": content})
    assert [each["content"] for each in (await api("GET", path)).body] == ["eyes", "+1"]
    only = await api("GET", f"{path}?content=%2B1")
    assert [each["content"] for each in only.body] == ["+1"]
