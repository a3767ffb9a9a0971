"""Check runs: started, concluded, annotated, and found again by their `external_id`.

An update adds its annotations to those that are there. How many there are says whether it has
arrived, so that none is added twice.

https://docs.github.com/en/rest/checks/runs
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from covend.core.model import Effect
from covend.core.scopes import WRITE_CHECKS
from covend.edges.github.client import (
    GitHubClient,
    Reach,
    Sent,
    found,
    in_path,
    repository_path,
    written,
)
from covend.edges.github.errors import NotFound, Refused
from covend.edges.github.wire import Answer


async def send(client: GitHubClient, effect: Effect, previous: Sent | None) -> Sent:
    """Update the slot's check run, or create one where there is none (any more).

    What only adds annotations to a check run makes none: without it there is nothing to add to.
    """
    if effect.request.get("is_added"):
        return written(await _update(client, effect, _required(previous)))
    if previous is not None:
        try:
            return written(await _update(client, effect, previous))
        except NotFound:
            pass  # certainly without effect; what is gone is made anew
    return written(await _create(client, effect))


async def look_up(client: GitHubClient, effect: Effect) -> Sent | None:
    """Find our check run on the head with the effect's id, in the state the effect asks for, and
    with as many annotations as there are after it.
    """
    request = effect.request
    wanted = request["body"]
    query = {"check_name": wanted["name"], "filter": "all"}
    if client.auth.app_id is not None:
        query["app_id"] = str(client.auth.app_id)
    commit = f"{repository_path(request['repository'])}/commits/{in_path(request['head_sha'])}"
    path = f"{commit}/check-runs"
    runs = client.pages("list_checks", path, _reach(effect), query=query, below=("check_runs",))
    async for run in runs:
        if _is_wanted(run, wanted) and _annotations_of(run) >= request.get("annotated", 0):
            return found(run)
    return None


async def _update(client: GitHubClient, effect: Effect, previous: Sent) -> Answer:
    request = effect.request
    return await client.request(
        "update_check",
        "PATCH",
        f"{repository_path(request['repository'])}/check-runs/{in_path(previous.remote_id)}",
        installation=effect.installation_id,
        repository=request["repository"],
        permissions=WRITE_CHECKS,
        body=request["body"],
    )


async def _create(client: GitHubClient, effect: Effect) -> Answer:
    request = effect.request
    return await client.request(
        "create_check",
        "POST",
        f"{repository_path(request['repository'])}/check-runs",
        installation=effect.installation_id,
        repository=request["repository"],
        permissions=WRITE_CHECKS,
        body={"head_sha": request["head_sha"], **request["body"]},
    )


def _is_wanted(run: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """A start is there once its run is, whatever became of it since; an end must show its
    conclusion.
    """
    if run.get("external_id") != wanted["external_id"]:
        return False
    return "conclusion" not in wanted or run.get("conclusion") == wanted["conclusion"]


def _annotations_of(run: Mapping[str, Any]) -> int:
    output = run.get("output")
    count = output.get("annotations_count") if isinstance(output, dict) else None
    return count if isinstance(count, int) else 0


def _required(previous: Sent | None) -> Sent:
    if previous is None:
        raise Refused("there is no check run to add annotations to", status=0)
    return previous


def _reach(effect: Effect) -> Reach:
    return Reach(
        installation=effect.installation_id,
        repository=effect.request["repository"],
        permissions=WRITE_CHECKS,
    )
