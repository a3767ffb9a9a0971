"""Reads a pull request as it is now into the payload that GitHub would send of it.

https://docs.github.com/en/rest/pulls/pulls#get-a-pull-request
https://docs.github.com/en/webhooks/webhook-events-and-payloads#pull_request
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from covend.edges.github.client import GitHubClient
from covend.edges.github.errors import BadAnswer
from covend.edges.github.pulls import ask_for_pull


async def read_pull(
    client: GitHubClient, installation: int | None, repository: str, number: int
) -> Mapping[str, Any]:
    """Ask for one pull request, with all that GitHub tells of it; raises the errors of `errors`."""
    answer = await ask_for_pull(client, installation, repository, number)
    if not isinstance(answer.data, dict):
        raise BadAnswer("get_pull: no pull request")
    return answer.data


def payload_of(pull: Mapping[str, Any], action: str, installation: int | None) -> dict[str, Any]:
    """Write what GitHub would send, were this its author's doing now."""
    base = pull.get("base")
    payload: dict[str, Any] = {
        "action": action,
        "number": pull.get("number"),
        "pull_request": pull,
        "repository": base.get("repo") if isinstance(base, dict) else None,
        "sender": pull.get("user"),
    }
    if installation is not None:
        payload["installation"] = {"id": installation}
    return payload
