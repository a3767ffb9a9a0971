from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from covend.core.effects.review import EVENTS
from covend.core.effects.texts import BODY_MAX
from covend.core.model import Effect, EffectKind
from covend.core.states import Outcome
from covend.demo import till as text
from covend.demo.github import Fault
from covend.demo.github import reviews as github_reviews
from covend.edges.github.client import GitHubClient
from covend.edges.github.errors import NotFound, Refused
from covend.edges.github.pulls import list_files
from covend.edges.github.reviews import SHORTER_MAX
from tests.core.effects.effect_samples import ending, found_on
from tests.edges.github.github_world import (
    INSTALLATION,
    REPOSITORY,
    World,
    look_up,
    send,
)
from tests.edges.github.scripted import Reply, ScriptedGitHub

BUG = text.planted_bug()
ON_BUG = found_on(BUG.path, BUG.line)
ELSEWHERE = found_on("README.md", 400)


async def test_findings_stand_on_their_lines_and_the_rest_in_the_body(
    world: World, client: GitHubClient
) -> None:
    files = await list_files(client, INSTALLATION, REPOSITORY, 7)
    await send(client, world.review(ON_BUG, ELSEWHERE, files=files))
    (review,) = world.github.state.reviews
    assert [(each.path, each.line) for each in review.comments] == [(BUG.path, BUG.line)]
    assert "README.md:400" in review.body
    assert review.commit_id == world.till.live_pull(7).head_sha


@pytest.mark.parametrize("event", sorted(EVENTS))
async def test_the_agents_verdict_is_the_reviews(
    event: str, world: World, client: GitHubClient
) -> None:
    await send(client, world.review(event=event.lower()))
    assert (
        world.github.state.reviews[0].state
        == {
            "COMMENT": "COMMENTED",
            "APPROVE": "APPROVED",
            "REQUEST_CHANGES": "CHANGES_REQUESTED",
        }[event]
    )


async def test_where_github_sees_a_line_outside_the_diff_all_goes_into_the_body(
    world: World, client: GitHubClient
) -> None:
    files = await list_files(client, INSTALLATION, REPOSITORY, 7)
    effect = world.review(ON_BUG, files=files)
    wrong = dict(effect.request["body"])
    wrong["comments"] = [{**wrong["comments"][0], "line": 999}]
    effect = replace(effect, request={**effect.request, "body": wrong})
    sent = await send(client, effect)
    (review,) = world.github.state.reviews
    assert review.comments == ()
    assert f"{BUG.path}:{BUG.line}" in review.body
    assert await look_up(client, effect) == sent


async def test_a_verdict_on_an_own_pull_request_becomes_a_comment(world: World) -> None:
    client = world.client_with_token()
    files = await list_files(client, None, REPOSITORY, 7)
    await send(client, world.review(ON_BUG, files=files, event="approve"))
    (review,) = world.github.state.reviews
    assert (review.state, len(review.comments)) == ("COMMENTED", 1)


async def test_both_at_once_still_bring_the_review_through(world: World) -> None:
    client = world.client_with_token()
    files = await list_files(client, None, REPOSITORY, 7)
    effect = world.review(ON_BUG, files=files, event="request_changes")
    wrong = dict(effect.request["body"])
    wrong["comments"] = [{**wrong["comments"][0], "line": 999}]
    await send(client, replace(effect, request={**effect.request, "body": wrong}))
    (review,) = world.github.state.reviews
    assert (review.state, review.comments) == ("COMMENTED", ())


async def test_a_review_that_github_will_not_have_is_final(
    world: World, client: GitHubClient
) -> None:
    effect = world.review()
    body = {**effect.request["body"], "commit_id": "f" * 40}
    with pytest.raises(Refused):
        await send(client, replace(effect, request={**effect.request, "body": body}))
    assert len(world.asked("POST", "/reviews")) == 1


async def test_what_is_refused_for_another_reason_is_not_sent_in_a_milder_form(
    world: World, client: GitHubClient
) -> None:
    files = await list_files(client, INSTALLATION, REPOSITORY, 7)
    effect = world.review(ON_BUG, files=files)
    with pytest.raises(NotFound):
        await send(client, replace(effect, request={**effect.request, "number": 404}))
    assert len(world.asked("POST", "/reviews")) == 1


async def test_a_review_is_never_written_twice_into_its_slot(
    world: World, client: GitHubClient
) -> None:
    effect = world.review()
    sent = await send(client, effect)
    assert await send(client, effect, sent) == sent
    assert len(world.github.state.reviews) == 1


async def test_a_limit_met_by_a_review_leaves_nothing_behind(
    world: World, client: GitHubClient
) -> None:
    effect = world.end(EffectKind.REVIEW, ending(Outcome.SUCCEEDED, summary="s"))
    world.github.faults.add("POST", "*/reviews", Fault.SECONDARY_403, seconds=60)
    with pytest.raises(Exception, match="rate limit"):
        await send(client, effect)
    assert world.github.state.reviews == []


# --- never as a whole for one part ----------------------------------------------------------------


def spoilt(effect: Effect, **changed: Any) -> Effect:
    """The same review, with something in its first comment that GitHub will not have."""
    body = dict(effect.request["body"])
    body["comments"] = [{**body["comments"][0], **changed}, *body["comments"][1:]]
    return replace(effect, request={**effect.request, "body": body})


@pytest.mark.parametrize(
    "changed",
    [
        {"line": 999},
        {"side": "LEFT"},
        {"path": "gone.py"},
        {"start_line": BUG.line + 1, "start_side": "RIGHT"},
        {"body": "x" * (BODY_MAX + 1)},
    ],
)
async def test_no_comment_that_github_will_not_have_costs_the_review(
    changed: dict[str, Any], world: World, client: GitHubClient
) -> None:
    files = await list_files(client, INSTALLATION, REPOSITORY, 7)
    effect = spoilt(world.review(ON_BUG, ELSEWHERE, files=files), **changed)
    sent = await send(client, effect)
    (review,) = world.github.state.reviews
    assert review.comments == ()
    for finding in (ON_BUG, ELSEWHERE):
        assert f"{finding.path}:{finding.line}" in review.body
    assert await look_up(client, effect) == sent


async def test_a_finding_on_a_deleted_file_stands_on_the_line_that_was(
    world: World, client: GitHubClient
) -> None:
    world.till.git.push(7, {"README.md": None}, "Remove it")
    files = await list_files(client, INSTALLATION, REPOSITORY, 7)
    gone = replace(found_on("README.md", 1), side="LEFT")
    await send(client, world.review(gone, found_on("README.md", 1), files=files))
    (review,) = world.github.state.reviews
    assert [(each.path, each.side) for each in review.comments] == [("README.md", "LEFT")]
    assert "README.md:1" in review.body


async def test_a_body_that_github_counts_as_too_long_is_made_shorter(
    world: World, client: GitHubClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(github_reviews, "BODY_MAX", 30_000)
    how = ending(summary="word\n" * 12_000)
    effect = world.end(EffectKind.REVIEW, how)
    sent = await send(client, effect)
    (review,) = world.github.state.reviews
    assert len(review.body) <= SHORTER_MAX
    assert f"covend show {effect.task}" in review.body
    assert await look_up(client, effect) == sent


async def test_all_three_at_once_still_bring_the_review_through(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(github_reviews, "BODY_MAX", 30_000)
    client = world.client_with_token()
    files = await list_files(client, None, REPOSITORY, 7)
    how = ending(findings=(ON_BUG,), summary="word\n" * 12_000, review_event="approve")
    await send(client, spoilt(world.end(EffectKind.REVIEW, how, files=files), line=999))
    (review,) = world.github.state.reviews
    assert (review.state, review.comments) == ("COMMENTED", ())
    assert len(world.asked("POST", "/reviews")) == 4


async def test_a_verdict_that_an_app_may_not_give_becomes_a_comment(
    world: World, scripted: ScriptedGitHub
) -> None:
    words = "GitHub Actions is not permitted to approve pull requests."
    scripted.reply(
        Reply(status=422, data={"message": "Unprocessable Entity", "errors": [words]}),
        Reply(data={"id": 5}),
    )
    sent = await send(scripted.client, world.review(event="approve"))
    assert sent.remote_id == "5"


async def test_a_suggestion_of_a_range_stands_on_all_its_lines(
    world: World, client: GitHubClient
) -> None:
    files = await list_files(client, INSTALLATION, REPOSITORY, 7)
    finding = replace(ON_BUG, start_line=BUG.line, line=BUG.line + 2, suggestion="a\nb\nc\n")
    await send(client, world.review(finding, files=files))
    (comment,) = world.github.state.review_comments
    assert (comment.start_line, comment.line) == (BUG.line, BUG.line + 2)
    assert comment.body.endswith("```suggestion\na\nb\nc\n```")
