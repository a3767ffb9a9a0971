"""What the stand-in knows about people, repositories and what was written on them.

Frozen records only: the JSON that GitHub makes of them is built in `payloads`, the lists that
hold them live in `github.state`.
"""

import base64
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

JsonObject = dict[str, Any]

EPOCH = datetime(2025, 1, 6, 9, 0, tzinfo=UTC)
"""The moment at which the demonstration's world begins; everything older is invented."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where GitHub is: the roots of its API and of its pages, without a trailing slash."""

    api: str = "https://api.github.com"
    web: str = "https://github.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A user, an organization or the bot of an App (`kind` as in GitHub's `type`)."""

    login: str
    id: int
    kind: str = "User"


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """A GitHub App as its owner registered it."""

    id: int
    slug: str
    name: str
    owner: Account

    @property
    def bot(self) -> Account:
        """The account under which the App's comments and reviews appear."""
        return Account(login=f"{self.slug}[bot]", id=self.id + 40_000_000, kind="Bot")


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """A hosted repository, without its content."""

    owner: Account
    name: str
    id: int
    private: bool = False
    fork: bool = False
    default_branch: str = "main"
    description: str | None = None
    language: str | None = "Python"
    created_at: datetime = EPOCH
    updated_at: datetime = EPOCH
    pushed_at: datetime = EPOCH

    @property
    def full_name(self) -> str:
        """`owner/name`, as GitHub writes it."""
        return f"{self.owner.login}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """A label of a repository."""

    id: int
    name: str
    color: str = "d73a4a"
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PullRequest:
    """A pull request; `head_repository` is the fork it comes from, or None."""

    number: int
    id: int
    title: str
    body: str | None
    author: Account
    head_ref: str
    head_sha: str
    base_ref: str
    base_sha: str
    head_repository: Repository | None = None
    association: str = "CONTRIBUTOR"
    state: str = "open"
    draft: bool = False
    merged: bool = False
    merge_sha: str | None = None
    labels: tuple[Label, ...] = ()
    assignees: tuple[Account, ...] = ()
    reviewers: tuple[Account, ...] = ()
    created_at: datetime = EPOCH
    updated_at: datetime = EPOCH
    commits: int = 1
    additions: int = 0
    deletions: int = 0
    changed_files: int = 0
    comments: int = 0
    review_comments: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """An issue, or the issue side of a pull request."""

    number: int
    id: int
    title: str
    body: str | None
    author: Account
    association: str = "CONTRIBUTOR"
    state: str = "open"
    is_pull_request: bool = False
    labels: tuple[Label, ...] = ()
    created_at: datetime = EPOCH
    updated_at: datetime = EPOCH
    comments: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueComment:
    """A comment below an issue or a pull request."""

    id: int
    repository: str
    number: int
    author: Account
    body: str
    association: str = "NONE"
    app: App | None = None
    created_at: datetime = EPOCH
    updated_at: datetime = EPOCH


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewComment:
    """An inline comment of a review, bound to lines of the diff."""

    id: int
    repository: str
    number: int
    review_id: int
    author: Account
    body: str
    path: str
    commit_id: str
    diff_hunk: str
    position: int
    line: int | None
    side: str = "RIGHT"
    start_line: int | None = None
    start_side: str | None = None
    in_reply_to: int | None = None
    """The comment that began the thread, where this is not it."""
    association: str = "NONE"
    created_at: datetime = EPOCH
    updated_at: datetime = EPOCH


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """A review; `state` in capitals as the REST API writes it, `minimized` the reason for which it
    is folded away.
    """

    id: int
    repository: str
    number: int
    author: Account
    body: str
    state: str
    commit_id: str
    association: str = "NONE"
    submitted_at: datetime | None = EPOCH
    comments: tuple[ReviewComment, ...] = ()
    minimized: str | None = None
    dismissal: str | None = None
    """What was said when it was dismissed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRun:
    """A check run; `suite_id` groups the runs of one App on one head."""

    id: int
    repository: str
    name: str
    head_sha: str
    app: App
    suite_id: int
    head_branch: str | None = None
    external_id: str = ""
    details_url: str | None = None
    status: str = "queued"
    conclusion: str | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    title: str | None = None
    summary: str | None = None
    text: str | None = None
    annotations: tuple[JsonObject, ...] = ()
    actions: tuple[JsonObject, ...] = ()
    pull_numbers: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitStatus:
    """A commit status, the older sibling of the check run."""

    id: int
    repository: str
    sha: str
    state: str
    author: Account
    context: str = "default"
    description: str | None = None
    target_url: str | None = None
    created_at: datetime = EPOCH


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaction:
    """A reaction; `subject` is `issue`, `comment` or `review_comment`, with its number or id."""

    id: int
    repository: str
    subject: str
    subject_id: int
    author: Account
    content: str
    created_at: datetime = EPOCH


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Everything one webhook payload is made of.

    `serial` seeds the ids of what the event brings into the world (a comment, a review, a check
    run): another serial gives another event.
    """

    repository: Repository
    pull: PullRequest
    sender: Account
    app: App
    now: datetime
    serial: int
    installation_id: int = 1
    site: Site = field(default_factory=Site)
    text: str = "@covend review"


def moment(at: datetime) -> str:
    """Write a moment as GitHub does: UTC, whole seconds, a `Z`."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def optional_moment(at: datetime | None) -> str | None:
    """Write a moment, or pass on that there is none."""
    return None if at is None else moment(at)


def node_id(kind: str, number: int) -> str:
    """Make a node id in GitHub's older, readable form: base64 of `0NN:KindNumber`."""
    return base64.b64encode(f"{len(kind):03}:{kind}{number}".encode()).decode()
