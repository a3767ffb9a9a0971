"""Finds what covend itself has published under a task that is not known here any more: of the same
rule, on the same subject and, for findings, about the same commit.

Only what covend's own account has written, with a marker of the same place or under the same check,
is kin; what it is worth, the caller knows.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from covend.core.model import Effect, Moment, SubjectType
from covend.core.scopes import COMMENT_ON, WRITE_CHECKS, WRITE_PULLS
from covend.edges.github.client import GitHubClient, Reach, Sent, found, in_path, repository_path

LOOK_BACK = timedelta(days=1)
"""Covers any clock's error."""
_EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A check run as it stands."""

    sent: Sent
    version: str
    is_concluded: bool


async def find_run(
    client: GitHubClient, effect: Effect, known: Container[str], previous: Sent | None
) -> Run | None:
    """Find the check run that `previous` is, or else the newest under its name on the head that is
    not `known`.
    """
    request = effect.request
    query = {"check_name": request["body"]["name"], "filter": "all"}
    if client.auth.app_id is not None:
        query["app_id"] = str(client.auth.app_id)
    commit = f"{repository_path(request['repository'])}/commits/{in_path(request['head_sha'])}"
    reach = Reach(
        installation=effect.installation_id,
        repository=request["repository"],
        permissions=WRITE_CHECKS,
    )
    newest: Run | None = None
    path = f"{commit}/check-runs"
    async for run in client.pages("list_checks", path, reach, query=query, below=("check_runs",)):
        sent = found(run)
        if previous is None:
            is_it = sent.remote_id not in known
        else:
            is_it = sent.remote_id == previous.remote_id
        if is_it and (newest is None or int(sent.remote_id) > int(newest.sent.remote_id)):
            newest = _run(run, sent)
    return newest


async def find_comment(client: GitHubClient, effect: Effect, since: Moment) -> Sent | None:
    """Find the newest comment of our own, written or edited since a moment, with a marker of the
    effect's slot.
    """
    request = effect.request
    is_reply = "thread" in request
    place = f"{repository_path(request['repository'])}/{'pulls' if is_reply else 'issues'}"
    after = max(_EPOCH, datetime.fromtimestamp(since / 1000, UTC) - LOOK_BACK)
    reach = Reach(
        installation=effect.installation_id,
        repository=request["repository"],
        permissions=WRITE_PULLS if is_reply else COMMENT_ON[SubjectType(request["on"])],
    )
    own, opening = await client.auth.own_login(), _opening(effect)
    newest: Sent | None = None
    async for comment in client.pages(
        "list_comments",
        f"{place}/{request['number']}/comments",
        reach,
        query={"since": after.strftime("%Y-%m-%dT%H:%M:%SZ")},
    ):
        if _is_kin(comment, own, f"{opening} "):
            newest = found(comment)
    return newest


async def find_review(client: GitHubClient, effect: Effect, known: Container[str]) -> Sent | None:
    """Find the newest review of our own, by the same rule and about the same commit, that is not
    `known`.
    """
    request = effect.request
    reach = Reach(
        installation=effect.installation_id,
        repository=request["repository"],
        permissions=WRITE_PULLS,
    )
    own, opening = await client.auth.own_login(), f"{_opening(effect).rpartition('/')[0]}/"
    newest: Sent | None = None
    path = f"{repository_path(request['repository'])}/pulls/{request['number']}/reviews"
    async for review in client.pages("list_reviews", path, reach):
        is_about_it = review.get("commit_id") == request["body"]["commit_id"]
        if is_about_it and _is_kin(review, own, opening) and found(review).remote_id not in known:
            newest = found(review)
    return newest


def _opening(effect: Effect) -> str:
    """Give a marker's line as far as its slot goes."""
    marker: str = effect.request["marker"]
    return marker.partition(" task=")[0]


def _is_kin(item: Mapping[str, Any], own: str, opening: str) -> bool:
    author = (item.get("user") or {}).get("login")
    lines = (item.get("body") or "").splitlines()
    return author == own and any(line.startswith(opening) for line in lines)


def _run(run: Mapping[str, Any], sent: Sent) -> Run:
    return Run(
        sent=sent,
        version=str(run.get("external_id")),
        is_concluded=run.get("conclusion") is not None,
    )
