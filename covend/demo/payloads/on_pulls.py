"""Events about pull requests and issues.

https://docs.github.com/en/webhooks/webhook-events-and-payloads
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from covend.demo.payloads import issues, pulls
from covend.demo.payloads.around import around
from covend.demo.payloads.scene import fresh_sha
from covend.demo.records import (
    Issue,
    IssueComment,
    JsonObject,
    Label,
    Review,
    ReviewComment,
    Scene,
)

_REVIEW_ME = Label(id=5_500_120, name="review", color="0e8a16", description="Ready for a look")

_PULL_CHANGES: Mapping[str, JsonObject] = MappingProxyType(
    {
        "closed": {"state": "closed"},
        "converted_to_draft": {"draft": True},
        "labeled": {"labels": (_REVIEW_ME,)},
    }
)
"""How the pull request looks after an action, where it looks different."""

_NOT_IN_REVIEW_EVENTS = ("draft", "auto_merge")
"""Keys of a pull request that a review comment's event leaves out."""


def pull_request(action: str, scene: Scene) -> JsonObject:
    """Build `pull_request.ACTION`; `synchronize` and `labeled` say what changed."""
    shown = replace(scene.pull, **_PULL_CHANGES.get(action, {}))
    changed: JsonObject = {}
    if action == "synchronize":
        changed = {"before": fresh_sha("before", scene.serial), "after": shown.head_sha}
    if action == "labeled":
        changed = {"label": pulls.label(scene.site, scene.repository, shown.labels[0])}
    return {
        "action": action,
        "number": shown.number,
        "pull_request": pulls.pull_request(scene.site, scene.repository, shown),
        **changed,
        **around(scene),
    }


def issue_comment(scene: Scene) -> JsonObject:
    """Build `issue_comment.created` on the pull request, with the scene's text."""
    comment = IssueComment(
        id=2_600_000_000 + scene.serial,
        repository=scene.repository.full_name,
        number=scene.pull.number,
        author=scene.sender,
        body=scene.text,
        association="MEMBER",
        created_at=scene.now,
        updated_at=scene.now,
    )
    return {
        "action": "created",
        "issue": issues.issue(scene.site, scene.repository, _issue_of_pull(scene)),
        "comment": issues.issue_comment(scene.site, scene.repository, comment),
        **around(scene),
    }


def issue_opened(scene: Scene) -> JsonObject:
    """Build `issues.opened`; the issue is not the pull request's."""
    opened = Issue(
        number=scene.pull.number + 1,
        id=3_100_000_000 + scene.serial,
        title="The receipt shows no date",
        body="Customers bring back receipts and we cannot tell when they bought.",
        author=scene.sender,
        created_at=scene.now,
        updated_at=scene.now,
    )
    return {
        "action": "opened",
        "issue": issues.issue(scene.site, scene.repository, opened) | {"draft": False},
        **around(scene),
    }


def review_submitted(scene: Scene) -> JsonObject:
    """Build `pull_request_review.submitted`, with the scene's text."""
    written = Review(
        id=1_900_000_000 + scene.serial,
        repository=scene.repository.full_name,
        number=scene.pull.number,
        author=scene.sender,
        body=scene.text,
        state="commented",
        commit_id=scene.pull.head_sha,
        association="MEMBER",
        submitted_at=scene.now,
    )
    return {
        "action": "submitted",
        "review": issues.review(scene.site, scene.repository, written),
        "pull_request": pulls.pull_request_in_list(scene.site, scene.repository, scene.pull),
        **around(scene),
    }


def review_comment_created(scene: Scene) -> JsonObject:
    """Build `pull_request_review_comment.created`, with the scene's text."""
    written = ReviewComment(
        id=1_700_000_000 + scene.serial,
        repository=scene.repository.full_name,
        number=scene.pull.number,
        review_id=1_900_000_000 + scene.serial,
        author=scene.sender,
        body=scene.text,
        path="README.md",
        commit_id=scene.pull.head_sha,
        diff_hunk="@@ -1,6 +1,6 @@\n # till",
        position=1,
        line=1,
        association="MEMBER",
        created_at=scene.now,
        updated_at=scene.now,
    )
    shown = pulls.pull_request_in_list(scene.site, scene.repository, scene.pull)
    return {
        "action": "created",
        "comment": issues.review_comment(scene.site, scene.repository, written),
        "pull_request": {k: v for k, v in shown.items() if k not in _NOT_IN_REVIEW_EVENTS},
        **around(scene),
    }


def _issue_of_pull(scene: Scene) -> Issue:
    pull = scene.pull
    return Issue(
        number=pull.number,
        id=pull.id + 400_000_000,
        title=pull.title,
        body=pull.body,
        author=pull.author,
        association=pull.association,
        is_pull_request=True,
        created_at=pull.created_at,
        updated_at=scene.now,
        comments=1,
    )
