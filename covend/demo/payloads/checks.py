"""Check runs, check suites and commit statuses as GitHub writes them."""

from collections.abc import Sequence

from covend.demo.payloads.people import app, user
from covend.demo.payloads.repositories import api_url, html_url
from covend.demo.records import (
    EPOCH,
    CheckRun,
    CommitStatus,
    JsonObject,
    Repository,
    Site,
    moment,
    node_id,
    optional_moment,
)


def check_run(
    site: Site, hosted: Repository, run: CheckRun, pulls: Sequence[JsonObject] = ()
) -> JsonObject:
    """Build a check run as the REST API has it; `pulls` are stubs of the pull requests it is on."""
    url = f"{api_url(site, hosted)}/check-runs/{run.id}"
    page = f"{html_url(site, hosted)}/runs/{run.id}"
    return {
        "id": run.id,
        "name": run.name,
        "node_id": node_id("CheckRun", run.id),
        "head_sha": run.head_sha,
        "external_id": run.external_id,
        "url": url,
        "html_url": page,
        "details_url": run.details_url or page,
        "status": run.status,
        "conclusion": run.conclusion,
        "started_at": optional_moment(run.started_at),
        "completed_at": optional_moment(run.completed_at),
        "output": {
            "title": run.title,
            "summary": run.summary,
            "text": run.text,
            "annotations_count": len(run.annotations),
            "annotations_url": f"{url}/annotations",
        },
        "check_suite": {"id": run.suite_id},
        "app": app(site, run.app, EPOCH),
        "pull_requests": list(pulls),
    }


def check_suite(
    site: Site, hosted: Repository, run: CheckRun, pulls: Sequence[JsonObject] = ()
) -> JsonObject:
    """Build the suite of a check run, as far as a check run's event carries it."""
    at = moment(run.completed_at or run.started_at or EPOCH)
    return {
        "id": run.suite_id,
        "node_id": node_id("CheckSuite", run.suite_id),
        "head_branch": run.head_branch,
        "head_sha": run.head_sha,
        "status": run.status,
        "conclusion": run.conclusion,
        "url": f"{api_url(site, hosted)}/check-suites/{run.suite_id}",
        "before": "0" * 40,
        "after": run.head_sha,
        "pull_requests": list(pulls),
        "app": app(site, run.app, EPOCH),
        "created_at": at,
        "updated_at": at,
    }


def commit_status(site: Site, hosted: Repository, status: CommitStatus) -> JsonObject:
    """Build a commit status."""
    return {
        "url": f"{api_url(site, hosted)}/statuses/{status.sha}",
        "avatar_url": f"https://avatars.githubusercontent.com/u/{status.author.id}?v=4",
        "id": status.id,
        "node_id": node_id("StatusContext", status.id),
        "state": status.state,
        "description": status.description,
        "target_url": status.target_url,
        "context": status.context,
        "created_at": moment(status.created_at),
        "updated_at": moment(status.created_at),
        "creator": user(site, status.author),
    }
