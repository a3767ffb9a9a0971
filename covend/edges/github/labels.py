"""Labels of issues and pull requests: added beside those that are there, and found among them.

GitHub makes a label that the repository does not have yet. One that is there already stays once,
however its letters are cased.
https://docs.github.com/en/rest/issues/labels#add-labels-to-an-issue
"""

from __future__ import annotations

from covend.core.model import Effect, SubjectType
from covend.core.scopes import COMMENT_ON
from covend.edges.github.client import GitHubClient, Sent, repository_path
from covend.edges.github.wire import Answer


async def send(client: GitHubClient, effect: Effect, previous: Sent | None) -> Sent:  # noqa: ARG001
    """Add the labels; those that are there already are there once."""
    path = f"{_path(effect)}/labels"
    await _ask(client, effect, "add_labels", "POST", path, effect.request["body"])
    return _sent(effect)


async def look_up(client: GitHubClient, effect: Effect) -> Sent | None:
    """Say whether all of them are there."""
    answer = await _ask(client, effect, "get_issue", "GET", _path(effect), None)
    there = {str(label.get("name")).casefold() for label in answer.items("labels")}
    wanted = {name.casefold() for name in effect.request["body"]["labels"]}
    return _sent(effect) if wanted <= there else None


async def _ask(
    client: GitHubClient, effect: Effect, operation: str, method: str, path: str, body: object
) -> Answer:
    return await client.request(
        operation,
        method,
        path,
        installation=effect.installation_id,
        repository=effect.request["repository"],
        permissions=COMMENT_ON[SubjectType(effect.request["on"])],
        body=body,
    )


def _path(effect: Effect) -> str:
    return f"{repository_path(effect.request['repository'])}/issues/{effect.request['number']}"


def _sent(effect: Effect) -> Sent:
    """Labels have no id of their own: they are known by what they are on."""
    return Sent(remote_id=str(effect.request["number"]))
