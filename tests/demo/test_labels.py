from __future__ import annotations

import pytest

from covend.demo.github import Hosted, StandInGitHub
from tests.demo.api import Api

LABELS = "/repos/acme/till/issues/7/labels"


async def test_a_label_is_made_where_there_is_none_and_stays_once_in_any_case(
    api: Api, till: Hosted
) -> None:
    first = await api("POST", LABELS, {"labels": ["reviewed", "Bug"]})
    assert (first.status, [each["name"] for each in first.body]) == (200, ["reviewed", "Bug"])
    again = await api("POST", LABELS, {"labels": ["bug", "REVIEWED", "new"]})
    assert [each["name"] for each in again.body] == ["reviewed", "Bug", "new"]
    assert [label.name for label in till.pulls[7].labels] == ["reviewed", "Bug", "new"]


@pytest.mark.parametrize("names", [["fine", "x" * 51], ["fine", " "], ["fine", "a\x07"]])
async def test_one_bad_name_refuses_them_all(names: list[str], api: Api, till: Hosted) -> None:
    assert (await api("POST", LABELS, {"labels": names})).status == 422
    assert till.pulls[7].labels == ()


async def test_an_issue_has_a_hundred_labels_at_most(api: Api, till: Hosted) -> None:
    many = [f"label {n}" for n in range(100)]
    assert (await api("POST", LABELS, {"labels": many})).status == 200
    assert (await api("POST", LABELS, {"labels": ["one more"]})).status == 422
    assert len(till.pulls[7].labels) == 100


async def test_labels_need_a_permission_of_their_own(
    as_app: Api, till: Hosted, github: StandInGitHub
) -> None:
    assert till.full_name in {hosted.full_name for hosted in github.state.hosted.values()}
    reader = await as_app.narrowed(permissions={"pull_requests": "read"})
    assert (await reader("POST", LABELS, {"labels": ["x"]})).status == 403
    either = await as_app.narrowed(permissions={"pull_requests": "write"})
    assert (await either("POST", LABELS, {"labels": ["x"]})).status == 200
