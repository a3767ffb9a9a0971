"""What the stand-in holds: repositories, tokens, everything that was written, every request.

The lists are for tests to read; only the operations append to them.
"""

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from covend.demo.github.answers import not_found
from covend.demo.github.auth import Credential
from covend.demo.payloads.people import EVENTS, PERMISSIONS
from covend.demo.records import (
    Account,
    App,
    CheckRun,
    CommitStatus,
    Issue,
    IssueComment,
    JsonObject,
    PullRequest,
    Reaction,
    Repository,
    Review,
    ReviewComment,
    Site,
)
from covend.demo.repository import BareRepository, ChangedFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request as it came in; `status` is None while, and if for ever, no answer arrived."""

    index: int
    method: str
    path: str
    query: dict[str, str]
    body: Any
    headers: dict[str, str]
    credential: Credential
    status: int | None = None
    fault: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A request or an answer that GitHub's description does not allow, or a path it lacks."""

    where: str
    method: str
    path: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedDelivery:
    """One try to deliver a webhook, as a log shows it."""

    id: int
    guid: str
    event: str
    payload: JsonObject
    headers: dict[str, str]
    delivered_at: datetime
    status_code: int = 502
    redelivery: bool = False
    hook: int | None = None
    """The repository's webhook; None for the App's."""


@dataclass(slots=True, kw_only=True)
class AppHook:
    """The webhook of the App, as its settings have it; `url` is empty where it has none."""

    url: str = "https://covend.example.org/webhooks/github"
    content_type: str = "json"
    secret: str = ""
    insecure_ssl: str = "0"


@dataclass(slots=True)
class Hosted:
    """A repository with its git side, its pull requests, its issues and its people."""

    repository: Repository
    git: BareRepository
    pulls: dict[int, PullRequest] = field(default_factory=dict)
    issues: dict[int, Issue] = field(default_factory=dict)
    roles: dict[str, str] = field(default_factory=dict)
    protected: set[str] = field(default_factory=set)
    """Globs of the branches that nobody pushes to."""
    _diffs: dict[tuple[str, str], tuple[ChangedFile, ...]] = field(default_factory=dict)

    @property
    def full_name(self) -> str:
        """`owner/name`."""
        return self.repository.full_name

    def next_number(self) -> int:
        """Give the number of the next issue or pull request."""
        return max([0, *self.pulls, *self.issues]) + 1

    def open_pull(
        self,
        *,
        head_ref: str,
        files: Mapping[str, str | None],
        title: str,
        author: Account,
        now: datetime,
        base_ref: str = "main",
        from_fork: bool = False,
        draft: bool = False,
    ) -> PullRequest:
        """Open one more pull request with one commit; a fork belongs to its author. Runs git."""
        number = self.next_number()
        sha = self.git.open_pull(
            number,
            head_ref=head_ref,
            files=files,
            message=title,
            base_ref=base_ref,
            from_fork=from_fork,
        )
        known = author.login in self.roles
        fork = replace(self.repository, owner=author, id=self.repository.id + number, fork=True)
        self.pulls[number] = PullRequest(
            number=number,
            id=2_410_000_000 + number,
            title=title,
            body=None,
            author=author,
            association="MEMBER" if known else "FIRST_TIME_CONTRIBUTOR",
            head_ref=head_ref,
            head_sha=sha,
            base_ref=base_ref,
            base_sha=self.git.commit_at(f"refs/heads/{base_ref}"),
            head_repository=fork if from_fork else None,
            draft=draft,
            created_at=now,
            updated_at=now,
        )
        return self.live_pull(number)

    def live_pull(self, number: int) -> PullRequest:
        """Show a pull request with its branches as git has them now; runs git."""
        pull = self.pulls.get(number)
        if pull is None:
            raise not_found()
        head = self.git.commit_at(f"refs/pull/{number}/head")
        base = self.git.commit_at(f"refs/heads/{pull.base_ref}")
        files = self.diff(base, head)
        return replace(
            pull,
            head_sha=head,
            base_sha=base,
            merge_sha=self.git.resolve(f"refs/pull/{number}/merge"),
            commits=len(self.git.commits_between(base, head)),
            additions=sum(file.additions for file in files),
            deletions=sum(file.deletions for file in files),
            changed_files=len(files),
        )

    def diff(self, base: str, head: str) -> tuple[ChangedFile, ...]:
        """What `head` changed since it left `base`; runs git once for each pair."""
        key = (base, head)
        if key not in self._diffs:
            self._diffs[key] = self.git.changed_files(base, head)
        return self._diffs[key]

    def pulls_at(self, sha: str) -> tuple[PullRequest, ...]:
        """List the open pull requests whose head is a commit; runs git."""
        live = (self.live_pull(number) for number in self.pulls)
        return tuple(pull for pull in live if pull.head_sha == sha and pull.state == "open")

    def refresh_pulls(self) -> None:
        """Bring all pull requests up to date after a push; runs git.

        One whose branch is gone is closed, and one that is closed or merged follows no branch.
        """
        for number, pull in self.pulls.items():
            if pull.state != "open":
                continue
            if self.git.resolve(self.git.pulls[number].head) is None:
                self.pulls[number] = replace(pull, state="closed")
            else:
                self.git.refresh_pull(number)


@dataclass(slots=True, kw_only=True)
class State:
    """All that one stand-in knows."""

    site: Site
    app: App
    public_key: str
    private_key: str
    installation_id: int
    clock: Callable[[], datetime]
    permissions: dict[str, str]
    """What the installation grants."""
    app_permissions: dict[str, str] = field(default_factory=lambda: dict(PERMISSIONS))
    """What the App asks for."""
    app_events: list[str] = field(default_factory=lambda: list(EVENTS))
    app_hook: AppHook = field(default_factory=AppHook)
    is_installed: bool = True
    manifests: dict[str, JsonObject | None] = field(default_factory=dict)
    """By the code that was given for each; None once it was exchanged."""
    hosted: dict[str, Hosted] = field(default_factory=dict)
    moved: dict[str, int] = field(default_factory=dict)
    """The ids of repositories by names that they have no more."""
    requests_per_hour: int = 5_000
    writes_per_minute: int | None = None
    spent: Counter[tuple[str, int]] = field(default_factory=Counter)
    """Requests by caller and hour."""
    written: Counter[tuple[str, int]] = field(default_factory=Counter)
    """Requests that change something, by caller and minute."""
    accounts: dict[str, Account] = field(default_factory=dict)
    tokens: dict[str, Credential] = field(default_factory=dict)
    check_runs: list[CheckRun] = field(default_factory=list)
    statuses: list[CommitStatus] = field(default_factory=list)
    comments: list[IssueComment] = field(default_factory=list)
    reviews: list[Review] = field(default_factory=list)
    review_comments: list[ReviewComment] = field(default_factory=list)
    reactions: list[Reaction] = field(default_factory=list)
    deliveries: list[LoggedDelivery] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    ids: Iterator[int] = field(default_factory=lambda: itertools.count(4_100_000_001))

    def find(self, full_name: str) -> Hosted:
        """Find a hosted repository by `owner/name`, in any case, or refuse with 404."""
        found = self.hosted.get(full_name.lower())
        if found is None:
            raise not_found()
        return found

    def now(self) -> datetime:
        """Tell the stand-in's time, in whole seconds as GitHub does."""
        return self.clock().replace(microsecond=0)

    def association(self, hosted: Hosted, account: Account) -> str:
        """Give the author association of an account in a repository."""
        if account == hosted.repository.owner:
            return "OWNER"
        return "MEMBER" if hosted.roles.get(account.login) else "NONE"
