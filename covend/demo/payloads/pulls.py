"""Pull requests as GitHub writes them."""

from covend.demo.payloads.people import user
from covend.demo.payloads.repositories import api_url, html_url, repository
from covend.demo.records import JsonObject, Label, PullRequest, Repository, Site, moment, node_id


def pull_request(site: Site, hosted: Repository, pull: PullRequest) -> JsonObject:
    """Build the full form, as `pull_request` events and `GET pulls/N` carry it."""
    return pull_request_in_list(site, hosted, pull) | {
        "merged": pull.merged,
        "mergeable": None,
        "rebaseable": None,
        "mergeable_state": "unknown",
        "merged_by": None,
        "comments": pull.comments,
        "review_comments": pull.review_comments,
        "maintainer_can_modify": False,
        "commits": pull.commits,
        "additions": pull.additions,
        "deletions": pull.deletions,
        "changed_files": pull.changed_files,
    }


def pull_request_in_list(site: Site, hosted: Repository, pull: PullRequest) -> JsonObject:
    """Build the shorter form, as lists and `pull_request_review` events carry it."""
    url = f"{api_url(site, hosted)}/pulls/{pull.number}"
    page = f"{html_url(site, hosted)}/pull/{pull.number}"
    closed_at = None if pull.state == "open" else moment(pull.updated_at)
    return {
        "url": url,
        "id": pull.id,
        "node_id": node_id("PullRequest", pull.id),
        "html_url": page,
        "diff_url": f"{page}.diff",
        "patch_url": f"{page}.patch",
        "issue_url": _issue_url(site, hosted, pull),
        "number": pull.number,
        "state": pull.state,
        "locked": False,
        "title": pull.title,
        "user": user(site, pull.author),
        "body": pull.body,
        "created_at": moment(pull.created_at),
        "updated_at": moment(pull.updated_at),
        "closed_at": closed_at,
        "merged_at": closed_at if pull.merged else None,
        "merge_commit_sha": pull.merge_sha,
        "assignee": next((user(site, each) for each in pull.assignees), None),
        "assignees": [user(site, each) for each in pull.assignees],
        "requested_reviewers": [user(site, each) for each in pull.reviewers],
        "requested_teams": [],
        "labels": [label(site, hosted, each) for each in pull.labels],
        "milestone": None,
        **_more_urls(site, hosted, pull),
        "head": _end(site, pull.head_repository or hosted, pull.head_ref, pull.head_sha),
        "base": _end(site, hosted, pull.base_ref, pull.base_sha),
        "_links": _links(site, hosted, pull),
        "author_association": pull.association,
        "auto_merge": None,
        "active_lock_reason": None,
        "draft": pull.draft,
    }


def pull_request_stub(site: Site, hosted: Repository, pull: PullRequest) -> JsonObject:
    """Build what check runs and workflow runs carry of a pull request."""
    of = {"id": hosted.id, "url": api_url(site, hosted), "name": hosted.name}
    return {
        "url": f"{api_url(site, hosted)}/pulls/{pull.number}",
        "id": pull.id,
        "number": pull.number,
        "head": {"ref": pull.head_ref, "sha": pull.head_sha, "repo": of},
        "base": {"ref": pull.base_ref, "sha": pull.base_sha, "repo": dict(of)},
    }


def label(site: Site, hosted: Repository, named: Label) -> JsonObject:
    """Build a label."""
    return {
        "id": named.id,
        "node_id": node_id("Label", named.id),
        "url": f"{api_url(site, hosted)}/labels/{named.name}",
        "name": named.name,
        "color": named.color,
        "default": False,
        "description": named.description,
    }


def _end(site: Site, hosted: Repository, ref: str, sha: str) -> JsonObject:
    return {
        "label": f"{hosted.owner.login}:{ref}",
        "ref": ref,
        "sha": sha,
        "user": user(site, hosted.owner),
        "repo": repository(site, hosted),
    }


def _issue_url(site: Site, hosted: Repository, pull: PullRequest) -> str:
    return f"{api_url(site, hosted)}/issues/{pull.number}"


def _more_urls(site: Site, hosted: Repository, pull: PullRequest) -> JsonObject:
    pulls = f"{api_url(site, hosted)}/pulls"
    return {
        "commits_url": f"{pulls}/{pull.number}/commits",
        "review_comments_url": f"{pulls}/{pull.number}/comments",
        "review_comment_url": f"{pulls}/comments{{/number}}",
        "comments_url": f"{_issue_url(site, hosted, pull)}/comments",
        "statuses_url": f"{api_url(site, hosted)}/statuses/{pull.head_sha}",
    }


def _links(site: Site, hosted: Repository, pull: PullRequest) -> JsonObject:
    targets = {
        "self": f"{api_url(site, hosted)}/pulls/{pull.number}",
        "html": f"{html_url(site, hosted)}/pull/{pull.number}",
        "issue": _issue_url(site, hosted, pull),
    }
    urls = _more_urls(site, hosted, pull)
    names = ("comments", "review_comments", "review_comment", "commits", "statuses")
    targets |= {name: urls[f"{name}_url"] for name in names}
    return {name: {"href": target} for name, target in targets.items()}
