"""The table in which every built-in event is found by name."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from covend.demo.payloads import on_app, on_commits, on_pulls
from covend.demo.payloads.around import passed_run, passed_status
from covend.demo.records import JsonObject, Scene

Builder = Callable[[Scene], JsonObject]

_PULL_ACTIONS = (
    "opened",
    "reopened",
    "synchronize",
    "ready_for_review",
    "converted_to_draft",
    "labeled",
    "edited",
    "closed",
)


def _for_action(build: Callable[[str, Scene], JsonObject], action: str) -> Builder:
    return lambda scene: build(action, scene)


def _check_run_completed(scene: Scene) -> JsonObject:
    return on_commits.check_run("completed", passed_run(scene), scene)


def _status(scene: Scene) -> JsonObject:
    return on_commits.status(passed_status(scene), scene)


SAMPLES: Mapping[str, Builder] = MappingProxyType(
    {
        f"pull_request.{action}": _for_action(on_pulls.pull_request, action)
        for action in _PULL_ACTIONS
    }
    | {
        "issue_comment.created": on_pulls.issue_comment,
        "pull_request_review.submitted": on_pulls.review_submitted,
        "pull_request_review_comment.created": on_pulls.review_comment_created,
        "issues.opened": on_pulls.issue_opened,
        "push": on_commits.push,
        "check_run.rerequested": on_commits.check_run_rerequested,
        "check_run.completed": _check_run_completed,
        "check_suite.completed": _for_action(on_commits.check_suite, "completed"),
        "check_suite.rerequested": _for_action(on_commits.check_suite, "rerequested"),
        "ping": on_app.ping,
        "installation.created": on_app.installation_created,
        "release.published": on_commits.release_published,
        "workflow_run.completed": on_commits.workflow_run_completed,
        "status": _status,
    }
)
"""Every built-in payload by `event.action`; an event's first entry is its usual one."""


def find_sample(name: str) -> str | None:
    """Complete `pull_request` to `pull_request.opened`; None where nothing of that name exists."""
    if name in SAMPLES:
        return name
    return next((known for known in SAMPLES if known.startswith(f"{name}.")), None)
