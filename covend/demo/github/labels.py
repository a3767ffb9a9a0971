"""Labels of issues and pull requests.

https://docs.github.com/en/rest/issues/labels
"""

from collections.abc import Sequence
from dataclasses import replace

from covend.demo.github.answers import Answer, Refused, invalid
from covend.demo.github.comments import find_issue
from covend.demo.github.routes import Call, post
from covend.demo.payloads import pulls
from covend.demo.payloads.scene import fresh_sha
from covend.demo.records import Issue, Label

NAME_MAX = 50
LABELS_MAX = 100
"""Labels of one issue."""


async def add_labels(call: Call) -> Answer:
    """Put labels on an issue or pull request, beside those it has.

    One that the repository does not have is made, and one that is there in another case is the
    same; a single bad name refuses them all.
    """
    hosted, issue = call.hosted, find_issue(call)
    known = {label.name.casefold() for label in issue.labels}
    wanted = {name.casefold(): name for name in reversed(_names(call))}
    fresh = [name for folded, name in reversed(wanted.items()) if folded not in known]
    labels = (*issue.labels, *(_label(hosted.full_name, name) for name in fresh))
    if len(labels) > LABELS_MAX:
        raise invalid("Issue", "labels", "custom", f"Issues can have at most {LABELS_MAX} labels")
    _keep(call, issue, labels)
    return Answer(body=[pulls.label(call.state.site, hosted.repository, each) for each in labels])


def _names(call: Call) -> Sequence[str]:
    given = call.body["labels"] if isinstance(call.body, dict) else call.body
    names = [each["name"] if isinstance(each, dict) else each for each in given]
    if not names:
        raise Refused(422, "Validation Failed")
    for name in names:
        if not name.strip():
            raise invalid("Label", "name", "missing_field")
        if len(name) > NAME_MAX:
            message = f"name is too long (maximum is {NAME_MAX} characters)"
            raise invalid("Label", "name", "custom", message)
        if not name.isprintable():
            raise invalid("Label", "name", "invalid")
    return names


def _keep(call: Call, issue: Issue, labels: tuple[Label, ...]) -> None:
    hosted, number = call.hosted, issue.number
    if issue.is_pull_request:
        hosted.pulls[number] = replace(hosted.pulls[number], labels=labels)
    else:
        hosted.issues[number] = replace(issue, labels=labels)


def _label(full_name: str, name: str) -> Label:
    return Label(id=int(fresh_sha(full_name, name)[:8], 16), name=name)


ROUTES = (
    post(
        "/repos/{owner}/{repo}/issues/{issue_number}/labels",
        add_labels,
        "issues:write",
        "pull_requests:write",
    ),
)
