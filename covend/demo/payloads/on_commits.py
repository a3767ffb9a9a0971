"""Events about commits: pushes, checks, workflows, releases.

https://docs.github.com/en/webhooks/webhook-events-and-payloads
"""

from covend.demo.payloads import checks, people, pulls, repositories
from covend.demo.payloads.around import around, concluded_run, email, head_commit
from covend.demo.records import CheckRun, CommitStatus, JsonObject, Scene, moment


def push(scene: Scene) -> JsonObject:
    """Build `push` of one commit to the default branch."""
    before, after = scene.pull.base_sha, scene.pull.head_sha
    commit = _pushed_commit(scene)
    hosted = scene.repository
    shown = repositories.repository(scene.site, hosted)
    owner = {"name": hosted.owner.login, "email": email(scene), **shown["owner"]}
    at = int(hosted.created_at.timestamp())
    shown |= {"owner": owner, "created_at": at, "pushed_at": int(scene.now.timestamp())}
    shown |= {"stargazers": shown["stargazers_count"], "master_branch": hosted.default_branch}
    page = repositories.html_url(scene.site, hosted)
    return {
        "ref": f"refs/heads/{hosted.default_branch}",
        "before": before,
        "after": after,
        "created": False,
        "deleted": False,
        "forced": False,
        "base_ref": None,
        "compare": f"{page}/compare/{before[:12]}...{after[:12]}",
        "commits": [commit],
        "head_commit": commit,
        **(around(scene) | {"repository": shown}),
        "pusher": {"name": scene.sender.login, "email": email(scene)},
    }


def check_run_rerequested(scene: Scene) -> JsonObject:
    """Build `check_run.rerequested`: somebody pressed `Re-run` on our own check."""
    return check_run("rerequested", concluded_run(scene), scene)


def check_run(action: str, run: CheckRun, scene: Scene) -> JsonObject:
    """Build `check_run.ACTION` of any check on the pull request's head."""
    stub = [pulls.pull_request_stub(scene.site, scene.repository, scene.pull)]
    shown = checks.check_run(scene.site, scene.repository, run, stub)
    suite = checks.check_suite(scene.site, scene.repository, run, stub)
    return {"action": action, "check_run": shown | {"check_suite": suite}, **around(scene)}


def status(set_to: CommitStatus, scene: Scene) -> JsonObject:
    """Build `status` of a commit status on the pull request's head, which lies in the repository.

    It names no pull request, as on GitHub.
    """
    shown = checks.commit_status(scene.site, scene.repository, set_to)
    url = f"{repositories.api_url(scene.site, scene.repository)}/commits/{set_to.sha}"
    kept = ("id", "avatar_url", "state", "context", "description", "target_url")
    moments = ("created_at", "updated_at")
    return {
        **{name: shown[name] for name in kept + moments},
        "sha": set_to.sha,
        "name": scene.repository.full_name,
        "commit": {"sha": set_to.sha, "url": url, "commit": head_commit(scene)},
        "branches": [
            {
                "name": scene.pull.head_ref,
                "commit": {"sha": set_to.sha, "url": url},
                "protected": False,
            }
        ],
        **around(scene),
    }


def check_suite(action: str, scene: Scene) -> JsonObject:
    """Build `check_suite.ACTION`: all checks of a head are done, or asked for again."""
    run = concluded_run(scene)
    stub = [pulls.pull_request_stub(scene.site, scene.repository, scene.pull)]
    suite = checks.check_suite(scene.site, scene.repository, run, stub)
    suite |= {
        "latest_check_runs_count": 1,
        "check_runs_url": f"{suite['url']}/check-runs",
        "head_commit": head_commit(scene),
    }
    return {"action": action, "check_suite": suite, **around(scene)}


def release_published(scene: Scene) -> JsonObject:
    """Build `release.published` of version 0.4.0."""
    number = 180_000_000 + scene.serial
    api = repositories.api_url(scene.site, scene.repository)
    page = repositories.html_url(scene.site, scene.repository)
    url = f"{api}/releases/{number}"
    release = {
        "url": url,
        "assets_url": f"{url}/assets",
        "upload_url": f"{url.replace('api.', 'uploads.', 1)}/assets{{?name,label}}",
        "html_url": f"{page}/releases/tag/v0.4.0",
        "id": number,
        "author": people.user(scene.site, scene.sender),
        "node_id": f"RE_{number}",
        "tag_name": "v0.4.0",
        "target_commitish": scene.repository.default_branch,
        "name": "0.4.0",
        "draft": False,
        "prerelease": False,
        "created_at": moment(scene.now),
        "published_at": moment(scene.now),
        "assets": [],
        "tarball_url": f"{api}/tarball/v0.4.0",
        "zipball_url": f"{api}/zipball/v0.4.0",
        "body": "Scanning by code.",
    }
    return {"action": "published", "release": release, **around(scene)}


def workflow_run_completed(scene: Scene) -> JsonObject:
    """Build `workflow_run.completed` of a failed test run on the pull request."""
    return {
        "action": "completed",
        "workflow_run": _workflow_run(scene),
        "workflow": _workflow(scene),
        **around(scene),
    }


def _pushed_commit(scene: Scene) -> JsonObject:
    page = repositories.html_url(scene.site, scene.repository)
    who = {"name": scene.sender.login, "email": email(scene), "username": scene.sender.login}
    return head_commit(scene) | {
        "distinct": True,
        "url": f"{page}/commit/{scene.pull.head_sha}",
        "author": who,
        "committer": dict(who),
        "added": [],
        "removed": [],
        "modified": ["README.md", "src/till/basket.py", "tests/test_basket.py"],
    }


def _workflow(scene: Scene) -> JsonObject:
    page = repositories.html_url(scene.site, scene.repository)
    path = ".github/workflows/test.yml"
    return {
        "id": 90_112_233,
        "node_id": "W_90112233",
        "name": "test",
        "path": path,
        "state": "active",
        "created_at": moment(scene.repository.created_at),
        "updated_at": moment(scene.repository.updated_at),
        "url": f"{repositories.api_url(scene.site, scene.repository)}/actions/workflows/90112233",
        "html_url": f"{page}/blob/{scene.repository.default_branch}/{path}",
        "badge_url": f"{page}/workflows/test/badge.svg",
    }


def _workflow_run(scene: Scene) -> JsonObject:
    number = 11_000_000_000 + scene.serial
    api = repositories.api_url(scene.site, scene.repository)
    url = f"{api}/actions/runs/{number}"
    suite = 18_000_000_000 + scene.serial
    shown = repositories.repository(scene.site, scene.repository)
    person = people.user(scene.site, scene.sender)
    at = moment(scene.now)
    return {
        "id": number,
        "name": "test",
        "node_id": f"WFR_{number}",
        "head_branch": scene.pull.head_ref,
        "head_sha": scene.pull.head_sha,
        "path": ".github/workflows/test.yml",
        "display_title": scene.pull.title,
        "run_number": 41,
        "event": "pull_request",
        "status": "completed",
        "conclusion": "failure",
        "workflow_id": 90_112_233,
        "check_suite_id": suite,
        "check_suite_node_id": f"CS_{suite}",
        "url": url,
        "html_url": f"{repositories.html_url(scene.site, scene.repository)}/actions/runs/{number}",
        "pull_requests": [pulls.pull_request_stub(scene.site, scene.repository, scene.pull)],
        "created_at": at,
        "updated_at": at,
        "actor": person,
        "run_attempt": 1,
        "run_started_at": at,
        "triggering_actor": dict(person),
        "jobs_url": f"{url}/jobs",
        "logs_url": f"{url}/logs",
        "check_suite_url": f"{api}/check-suites/{suite}",
        "artifacts_url": f"{url}/artifacts",
        "cancel_url": f"{url}/cancel",
        "rerun_url": f"{url}/rerun",
        "previous_attempt_url": None,
        "workflow_url": f"{api}/actions/workflows/90112233",
        "head_commit": head_commit(scene),
        "repository": shown,
        "head_repository": dict(shown),
    }
