"""Issues, comments, reviews and reactions as GitHub writes them."""

from covend.demo.payloads.people import app, user
from covend.demo.payloads.pulls import label
from covend.demo.payloads.repositories import api_url, html_url
from covend.demo.records import (
    EPOCH,
    Issue,
    IssueComment,
    JsonObject,
    Reaction,
    Repository,
    Review,
    ReviewComment,
    Site,
    moment,
    node_id,
    optional_moment,
)

CONTENTS = ("+1", "-1", "laugh", "hooray", "confused", "heart", "rocket", "eyes")
"""Every reaction that GitHub knows."""


def issue(site: Site, hosted: Repository, written: Issue) -> JsonObject:
    """Build an issue; that of a pull request has a `pull_request` key, as on GitHub."""
    url = f"{api_url(site, hosted)}/issues/{written.number}"
    kind = "pull" if written.is_pull_request else "issues"
    built = {
        "url": url,
        "repository_url": api_url(site, hosted),
        "labels_url": f"{url}/labels{{/name}}",
        "comments_url": f"{url}/comments",
        "events_url": f"{url}/events",
        "html_url": f"{html_url(site, hosted)}/{kind}/{written.number}",
        "id": written.id,
        "node_id": node_id("Issue", written.id),
        "number": written.number,
        "title": written.title,
        "user": user(site, written.author),
        "labels": [label(site, hosted, each) for each in written.labels],
        "state": written.state,
        "locked": False,
        "assignee": None,
        "assignees": [],
        "milestone": None,
        "comments": written.comments,
        "created_at": moment(written.created_at),
        "updated_at": moment(written.updated_at),
        "closed_at": None if written.state == "open" else moment(written.updated_at),
        "author_association": written.association,
        "active_lock_reason": None,
        "body": written.body,
        "reactions": _rollup(url),
    }
    return built | (_pull_links(site, hosted, written) if written.is_pull_request else {})


def issue_comment(site: Site, hosted: Repository, written: IssueComment) -> JsonObject:
    """Build a comment below an issue or pull request."""
    url = f"{api_url(site, hosted)}/issues/comments/{written.id}"
    issue_path = f"issues/{written.number}"
    return {
        "url": url,
        "html_url": f"{html_url(site, hosted)}/{issue_path}#issuecomment-{written.id}",
        "issue_url": f"{api_url(site, hosted)}/{issue_path}",
        "id": written.id,
        "node_id": node_id("IssueComment", written.id),
        "user": user(site, written.author),
        "created_at": moment(written.created_at),
        "updated_at": moment(written.updated_at),
        "author_association": written.association,
        "performed_via_github_app": app(site, written.app, EPOCH) if written.app else None,
        "body": written.body,
        "reactions": _rollup(url),
    }


def review(site: Site, hosted: Repository, written: Review) -> JsonObject:
    """Build a review; webhooks carry its state in lower case."""
    page = f"{html_url(site, hosted)}/pull/{written.number}#pullrequestreview-{written.id}"
    pull_url = f"{api_url(site, hosted)}/pulls/{written.number}"
    built = {
        "id": written.id,
        "node_id": node_id("PullRequestReview", written.id),
        "user": user(site, written.author),
        "body": written.body,
        "commit_id": written.commit_id,
        "submitted_at": optional_moment(written.submitted_at),
        "state": written.state,
        "html_url": page,
        "pull_request_url": pull_url,
        "author_association": written.association,
        "_links": {"html": {"href": page}, "pull_request": {"href": pull_url}},
    }
    if written.submitted_at is None:
        del built["submitted_at"]
    return built


def review_comment(site: Site, hosted: Repository, written: ReviewComment) -> JsonObject:
    """Build an inline comment."""
    url = f"{api_url(site, hosted)}/pulls/comments/{written.id}"
    pull_url = f"{api_url(site, hosted)}/pulls/{written.number}"
    page = f"{html_url(site, hosted)}/pull/{written.number}#discussion_r{written.id}"
    links = {"self": url, "html": page, "pull_request": pull_url}
    reply = {} if written.in_reply_to is None else {"in_reply_to_id": written.in_reply_to}
    return reply | {
        "url": url,
        "pull_request_review_id": written.review_id,
        "id": written.id,
        "node_id": node_id("PullRequestReviewComment", written.id),
        "diff_hunk": written.diff_hunk,
        "path": written.path,
        "position": written.position,
        "original_position": written.position,
        "commit_id": written.commit_id,
        "original_commit_id": written.commit_id,
        "user": user(site, written.author),
        "body": written.body,
        "created_at": moment(written.created_at),
        "updated_at": moment(written.updated_at),
        "html_url": page,
        "pull_request_url": pull_url,
        "author_association": written.association,
        "_links": {name: {"href": target} for name, target in links.items()},
        "reactions": _rollup(url),
        "start_line": written.start_line,
        "original_start_line": written.start_line,
        "start_side": written.start_side,
        "line": written.line,
        "original_line": written.line,
        "side": written.side,
    }


def reaction(site: Site, given: Reaction) -> JsonObject:
    """Build a reaction."""
    return {
        "id": given.id,
        "node_id": node_id("Reaction", given.id),
        "user": user(site, given.author),
        "content": given.content,
        "created_at": moment(given.created_at),
    }


def _rollup(url: str) -> JsonObject:
    return {"url": f"{url}/reactions", "total_count": 0} | dict.fromkeys(CONTENTS, 0)


def _pull_links(site: Site, hosted: Repository, written: Issue) -> JsonObject:
    page = f"{html_url(site, hosted)}/pull/{written.number}"
    links = {
        "url": f"{api_url(site, hosted)}/pulls/{written.number}",
        "html_url": page,
        "diff_url": f"{page}.diff",
        "patch_url": f"{page}.patch",
        "merged_at": None,
    }
    return {"draft": False, "pull_request": links}
