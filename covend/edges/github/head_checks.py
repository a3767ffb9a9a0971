"""All checks of one head as they are now: every check run and every status, without covend's own.

It refuses to judge by a part of them: a list that does not end is an error.

https://docs.github.com/en/rest/checks/runs#list-check-runs-for-a-git-reference
https://docs.github.com/en/rest/commits/statuses#get-the-combined-status-for-a-specific-reference
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from covend.core.rules.checks import Check, HeadChecks, judge_head, said_by_status
from covend.core.scopes import Scope
from covend.edges.github.client import GitHubClient, Reach, in_path, repository_path
from covend.edges.github.errors import BadAnswer

READ_CHECKS: Scope = MappingProxyType({"checks": "read"})
READ_STATUSES: Scope = MappingProxyType({"statuses": "read"})

OWN_CONTEXT = "covend/"
"""How the contexts of covend's own statuses begin; it has some only where it is no App."""


async def head_checks(
    client: GitHubClient, installation: int | None, repository: str, head_sha: str
) -> HeadChecks:
    """Look at the newest run or status of each name; raises the errors of `errors`."""
    commit = f"{repository_path(repository)}/commits/{in_path(head_sha)}"

    def reach(permissions: Scope) -> Reach:
        return Reach(installation=installation, repository=repository, permissions=permissions)

    runs = client.pages(
        "list_head_checks",
        f"{commit}/check-runs",
        reach(READ_CHECKS),
        query={"filter": "latest"},
        below=("check_runs",),
    )
    own_app = client.auth.app_id
    found = [_run(run) async for run in runs if not _is_own_run(run, own_app)]
    statuses = client.pages(
        "list_head_statuses", f"{commit}/status", reach(READ_STATUSES), below=("statuses",)
    )
    found += [_status(one) async for one in statuses if not _is_own_status(one, own_app)]
    return judge_head(found)


def _run(run: Mapping[str, Any]) -> Check:
    """Read a check run; one that is not completed has no conclusion."""
    name, said = run.get("name"), run.get("conclusion")
    if not isinstance(name, str):
        raise BadAnswer("list_head_checks: a check run has no name")
    return Check(name=name, said=said if isinstance(said, str) else None)


def _status(status: Mapping[str, Any]) -> Check:
    context = status.get("context")
    if not isinstance(context, str):
        raise BadAnswer("list_head_statuses: a status has no context")
    return Check(name=context, said=said_by_status(status.get("state")))


def _is_own_run(run: Mapping[str, Any], own_app: int | None) -> bool:
    app = run.get("app")
    return own_app is not None and isinstance(app, dict) and app.get("id") == own_app


def _is_own_status(status: Mapping[str, Any], own_app: int | None) -> bool:
    return own_app is None and str(status.get("context")).startswith(OWN_CONTEXT)
