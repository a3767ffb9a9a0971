"""What GitHub wants of an App for each webhook event: the one table.

An event that is not here is one that an App cannot subscribe to, or of which the permission is not
known; then none is asked for.
https://docs.github.com/en/webhooks/webhook-events-and-payloads
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_BY_PERMISSION: Mapping[str, str] = {
    "actions": "workflow_job workflow_run",
    "administration": (
        "branch_protection_configuration branch_protection_rule repository_ruleset"
        " security_and_analysis"
    ),
    "checks": "check_run check_suite",
    "contents": (
        "commit_comment create delete fork gollum push release repository_dispatch"
        " workflow_dispatch"
    ),
    "deployments": (
        "deploy_key deployment deployment_protection_rule deployment_review deployment_status"
    ),
    "discussions": "discussion discussion_comment",
    "issues": "issue_comment issue_dependencies issues milestone sub_issues",
    "members": "member membership organization team team_add",
    "merge_queues": "merge_group",
    "metadata": "label public repository star watch",
    "organization_administration": "org_block",
    "organization_projects": "projects_v2 projects_v2_item projects_v2_status_update",
    "packages": "package registry_package",
    "pages": "page_build",
    "pull_requests": (
        "pull_request pull_request_review pull_request_review_comment pull_request_review_thread"
    ),
    "secret_scanning_alerts": (
        "secret_scanning_alert secret_scanning_alert_location secret_scanning_scan"
    ),
    "security_events": "code_scanning_alert",
    "statuses": "status",
    "vulnerability_alerts": "dependabot_alert repository_vulnerability_alert",
}

EVENT_PERMISSIONS: Mapping[str, str] = MappingProxyType(
    {event: name for name, events in _BY_PERMISSION.items() for event in events.split()}
)
"""Event to the permission that must be at least readable."""

AUTOMATIC = frozenset(
    {
        "github_app_authorization",
        "installation",
        "installation_repositories",
        "installation_target",
        "ping",
    }
)
"""Every App is told these; nobody can subscribe to them."""

ACTIONS_TO_WRITERS = frozenset(
    {
        "check_run.requested_action",
        "check_run.rerequested",
        "check_suite.requested",
        "check_suite.rerequested",
    }
)
"""Told only to an App that may write checks."""
