"""The events that a rule can ask for: GitHub's webhook events with their actions, and covend's own.

GitHub's are those of https://docs.github.com/en/webhooks/webhook-events-and-payloads; an event
without actions has an empty tuple. Nothing here is needed to receive an event: an unknown one is
stored and ignored like any other.
"""

from __future__ import annotations

from collections.abc import Mapping

GITHUB_EVENTS: Mapping[str, tuple[str, ...]] = {
    name: tuple(actions.split())
    for name, actions in {
        "branch_protection_configuration": "disabled enabled",
        "branch_protection_rule": "created deleted edited",
        "check_run": "completed created requested_action rerequested",
        "check_suite": "completed requested rerequested",
        "code_scanning_alert": (
            "appeared_in_branch closed_by_user created fixed reopened reopened_by_user"
            " updated_assignment"
        ),
        "commit_comment": "created",
        "create": "",
        "custom_property": "created deleted promote_to_enterprise updated",
        "custom_property_values": "updated",
        "delete": "",
        "dependabot_alert": (
            "assignees_changed auto_dismissed auto_reopened created dismissed fixed reintroduced"
            " reopened"
        ),
        "deploy_key": "created deleted",
        "deployment": "created",
        "deployment_protection_rule": "requested",
        "deployment_review": "approved rejected requested",
        "deployment_status": "created",
        "discussion": (
            "answered category_changed closed created deleted edited labeled locked pinned"
            " reopened transferred unanswered unlabeled unlocked unpinned"
        ),
        "discussion_comment": "created deleted edited",
        "fork": "",
        "github_app_authorization": "revoked",
        "gollum": "",
        "installation": "created deleted new_permissions_accepted suspend unsuspend",
        "installation_repositories": "added removed",
        "installation_target": "renamed",
        "issue_comment": "created deleted edited pinned unpinned",
        "issue_dependencies": (
            "blocked_by_added blocked_by_removed blocking_added blocking_removed"
        ),
        "issues": (
            "assigned closed deleted demilestoned edited labeled locked milestoned opened pinned"
            " reopened transferred typed unassigned unlabeled unlocked unpinned untyped"
        ),
        "label": "created deleted edited",
        "marketplace_purchase": (
            "cancelled changed pending_change pending_change_cancelled purchased"
        ),
        "member": "added edited removed",
        "membership": "added removed",
        "merge_group": "checks_requested destroyed",
        "meta": "deleted",
        "milestone": "closed created deleted edited opened",
        "org_block": "blocked unblocked",
        "organization": "deleted member_added member_invited member_removed renamed",
        "package": "published updated",
        "page_build": "",
        "personal_access_token_request": "approved cancelled created denied",
        "ping": "",
        "project": "closed created deleted edited reopened",
        "project_card": "converted created deleted edited moved",
        "project_column": "created deleted edited moved",
        "projects_v2": "closed created deleted edited reopened",
        "projects_v2_item": "archived converted created deleted edited reordered restored",
        "projects_v2_status_update": "created deleted edited",
        "public": "",
        "pull_request": (
            "assigned auto_merge_disabled auto_merge_enabled closed converted_to_draft"
            " demilestoned dequeued edited enqueued labeled locked milestoned opened"
            " ready_for_review reopened review_request_removed review_requested synchronize"
            " unassigned unlabeled unlocked"
        ),
        "pull_request_review": "dismissed edited submitted",
        "pull_request_review_comment": "created deleted edited",
        "pull_request_review_thread": "resolved unresolved",
        "push": "",
        "registry_package": "published updated",
        "release": "created deleted edited prereleased published released unpublished",
        "repository": (
            "archived created deleted edited privatized publicized renamed transferred unarchived"
        ),
        "repository_advisory": "published reported",
        "repository_dispatch": "",
        "repository_import": "",
        "repository_ruleset": "created deleted edited",
        "repository_vulnerability_alert": "create dismiss reopen resolve",
        "secret_scanning_alert": (
            "assigned created publicly_leaked reopened resolved unassigned validated"
        ),
        "secret_scanning_alert_location": "created",
        "secret_scanning_scan": "completed",
        "security_advisory": "published updated withdrawn",
        "security_and_analysis": "",
        "sponsorship": (
            "cancelled created edited pending_cancellation pending_tier_change tier_changed"
        ),
        "star": "created deleted",
        "status": "",
        "sub_issues": ("parent_issue_added parent_issue_removed sub_issue_added sub_issue_removed"),
        "team": "added_to_repository created deleted edited removed_from_repository",
        "team_add": "",
        "watch": "started",
        "workflow_dispatch": "",
        "workflow_job": "completed in_progress queued waiting",
        "workflow_run": "completed in_progress requested",
    }.items()
}

TASK = "task"
"""`task.completed` tells of a task's end, and is about that task's subject."""

CHECKS = "checks"
"""`checks.passed` is said when all check runs and statuses of a head are in."""

OWN_EVENTS: Mapping[str, tuple[str, ...]] = {
    TASK: ("completed", "failed"),
    CHECKS: ("passed", "failed"),
}

SCHEDULE = "schedule"
"""`schedule.NAME` is a tick of the `[[schedules]]` of that name."""

FREE_ACTIONS = frozenset({"repository_dispatch"})
"""Events whose actions their senders choose."""

COMMAND = "command"
"""`command.fix` is "@mention fix" as the first words of a comment or review."""

PULL_REQUEST_EVENTS = frozenset(
    {
        "pull_request",
        "pull_request_review",
        "pull_request_review_comment",
        "pull_request_review_thread",
        "issue_comment",
        COMMAND,
    }
)
"""Events that can be about a pull request; a comment's says so only by a look-up."""

_WRITTEN = PULL_REQUEST_EVENTS | {"issues", "commit_comment", "discussion", "discussion_comment"}
_CHECKS = frozenset({CHECKS, "check_run", "check_suite", "workflow_run", "workflow_job"})
_LOOKED_UP = PULL_REQUEST_EVENTS | _CHECKS | {TASK}

MAY_NAME_PULL_REQUEST = _LOOKED_UP
"""Events that are of use to a rule which reviews: some of them are about a pull request."""

MAY_NAME_SUBJECT = MAY_NAME_PULL_REQUEST | {"issues"}
"""Events some of which are about a pull request or an issue."""

EVENTS_WITH_ASSOCIATION = _WRITTEN | {TASK}
"""Events that can tell what their sender is to the repository."""

EVENTS_WITH: Mapping[str, frozenset[str]] = {
    "draft": _LOOKED_UP | {"release"},
    "fork": _LOOKED_UP,
    "paths": _LOOKED_UP | {"push", "status", "create", "commit_comment"},
    "base": _LOOKED_UP | {"merge_group"},
    "head": _LOOKED_UP | {"merge_group"},
    "labels": _WRITTEN,
    "author": _WRITTEN | {"push", "release", TASK},
    "association": _WRITTEN,
    "title": _WRITTEN | {"release", "milestone", TASK},
    "body": _WRITTEN | {"release", TASK},
    "conclusion": _CHECKS | {TASK},
    "ref": frozenset({"push", "create", "delete", "release", "deployment", "workflow_dispatch"}),
}
"""For each `when` key that not every event can answer: the events whose payload, or a look-up, may.
"""

DECIDES_DRAFT: Mapping[tuple[str, str | None], bool] = {
    ("pull_request", "ready_for_review"): False,
    ("pull_request", "converted_to_draft"): True,
}
"""Actions after which a pull request is known to be a draft, or to be none."""

EVENTS_OF_APPS = frozenset(
    {
        *("check_run.rerequested", "check_run.requested_action"),
        *("check_suite.requested", "check_suite.rerequested"),
        *("installation", "installation_repositories", "installation_target"),
        *(
            "github_app_authorization",
            "deployment_protection_rule",
            "personal_access_token_request",
        ),
        *("security_advisory",),
    }
)
"""What the webhooks of repositories and organizations never get; a name alone is all its actions.
https://docs.github.com/en/webhooks/webhook-events-and-payloads says it of each.
"""


def is_command(event: str) -> bool:
    """Say whether an entry of `on` asks for commands."""
    return event.partition(".")[0] == COMMAND


def known_names() -> tuple[str, ...]:
    """Give every name that `on` can hold, but for commands: `push`, `issues`, `issues.opened`."""
    events = {**GITHUB_EVENTS, **OWN_EVENTS}
    full = (f"{name}.{action}" for name, actions in events.items() for action in actions)
    return (*events, *full)
