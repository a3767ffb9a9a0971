"""Looks up what a received task's payload lacked, and gives it as the rules take it: `Known`.

Where a permission decides whether the work is done at all, whoever cannot be asked about is
refused: a permission that GitHub does not tell is no permission. Every other look-up that fails is
the caller's to try again.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

from msgspec import structs

from covend.core import intake
from covend.core.errors import GitHubError
from covend.core.intake import Refused as Unreadable
from covend.core.model import Event, Need, Subject, SubjectType, Task
from covend.core.rules import facts
from covend.core.rules.checks import HeadChecks, Stand
from covend.core.rules.routing import judge_again, needs_of
from covend.core.rules.verdicts import Known, Verdict
from covend.core.settings import Rule
from covend.edges.github.client import GitHubClient
from covend.edges.github.errors import MissingPermission, NotFound, Refused
from covend.edges.github.head_checks import head_checks
from covend.edges.github.issues import LiveIssue, get_issue
from covend.edges.github.permissions import permission_of
from covend.edges.github.pulls import PullHead, changed_paths, get_pull
from covend.store.protocol import Deliveries

LOOK_UPS = frozenset({Need.HEAD, Need.PERMISSION, Need.PATHS})
"""What `LookUps.learn` finds out; `Need.CHECKS` comes after the rule has been judged by it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a task is not to be queued: a stable reason, and a sentence."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a task is about, and how much a permission weighs."""

    task: Task
    event: Event
    is_by_permission: bool
    """Whether the actor's permission decides if the work is done, and not only how."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Learnt:
    """What look-ups have found so far."""

    known: Known = field(default_factory=Known)
    pull: PullHead | None = None
    issue: LiveIssue | None = None
    """What has the number, where that turns out to be no pull request."""

    def complete(self, subject: Subject) -> Subject:
        """Fill in what the payload lacked."""
        pull = self.pull
        if self.issue is not None:
            return _told(structs.replace(subject, type=SubjectType.ISSUE), self.issue)
        if pull is None:
            return subject
        return structs.replace(
            _told(subject, pull),
            head_sha=pull.head_sha,
            base_sha=pull.base_sha,
            head_ref=pull.head_ref,
            base_ref=pull.base_ref,
            head_repository=pull.head_repository,
        )


class LookUps:
    """Asks GitHub, and the store for what came in."""

    def __init__(
        self, *, deliveries: Deliveries, github: GitHubClient, mention: str | None
    ) -> None:
        """Read deliveries as they were read when they came, with `mention` hearing commands."""
        self._deliveries = deliveries
        self._github = github
        self._mention = mention
        self._steps = {
            Need.HEAD: self._learn_head,
            Need.PERMISSION: self._learn_permission,
            Need.PATHS: self._learn_paths,
        }

    async def event_of(self, task: Task) -> Event | None:
        """Read the stored delivery again; None where that is not possible any more."""
        stored = await self._deliveries.find(task.delivery) if task.delivery else None
        if stored is None:
            return None
        read = intake.reopen(
            stored.headers, stored.body, self._mention, source=stored.delivery.source
        )
        return None if isinstance(read, Unreadable) else read.event

    async def learn(
        self, asked: Asked, needs: AbstractSet[Need], so_far: Learnt
    ) -> Learnt | Refusal:
        """Look up those of `needs` that are `LOOK_UPS`, one after the other, until one refuses.

        Raises GitHubError where one fails and may be made again.
        """
        learnt: Learnt | Refusal = so_far
        for need, look_up in self._steps.items():
            if need in needs and isinstance(learnt, Learnt):
                learnt = await look_up(asked, learnt)
        return learnt

    async def consider(self, asked: Asked, rule: Rule) -> tuple[Learnt, Verdict] | Refusal:
        """Look up, and let the rule judge by it; what only that shows to be needed comes after.

        Raises GitHubError where a look-up fails and may be made again.
        """
        learnt, needs, looked_up = Learnt(), asked.task.needs & LOOK_UPS, frozenset[Need]()
        while True:
            found = await self.learn(asked, needs, learnt)
            if isinstance(found, Refusal):
                return found
            learnt, looked_up = found, looked_up | needs
            verdict = judge_again(rule, asked.event, learnt.known)
            needs = (needs_of(verdict) & LOOK_UPS) - looked_up
            if verdict.matched is not None or not needs:
                return learnt, verdict

    async def checks_of(self, task: Task) -> HeadChecks:
        """Look at all checks of the task's head as they are now."""
        if task.repository is None or task.subject.head_sha is None:
            return HeadChecks(stand=Stand.PENDING)
        return await head_checks(
            self._github, task.installation_id, task.repository, task.subject.head_sha
        )

    async def _learn_head(self, asked: Asked, learnt: Learnt) -> Learnt | Refusal:
        task = asked.task
        if task.repository is None or task.subject.number is None:
            return learnt
        place = (task.installation_id, task.repository, task.subject.number)
        try:
            pull = await get_pull(self._github, *place)
        except (NotFound, MissingPermission) as error:
            if asked.event.rule is None:
                raise
            return _of_issue(learnt, await self._issue(place, error))
        if pull.state == "closed":
            return Refusal(reason="closed", message=f"pull request #{pull.number} is closed")
        if (moved := _moved(asked.event, pull)) is not None:
            return moved
        return replace(learnt, known=_with_pull(learnt.known, pull, task.repository), pull=pull)

    async def _issue(self, place: tuple[int | None, str, int], error: Refused) -> LiveIssue:
        """Look whether a number is an issue's; raise `error` where that cannot be said."""
        try:
            issue = await get_issue(self._github, *place)
        except (NotFound, MissingPermission):
            raise error from None
        if issue.is_pull:
            raise error
        return issue

    async def _learn_permission(self, asked: Asked, learnt: Learnt) -> Learnt | Refusal:
        permission = await self._permission(asked)
        if isinstance(permission, Refusal):
            return permission
        return replace(learnt, known=structs.replace(learnt.known, permission=permission))

    async def _learn_paths(self, asked: Asked, learnt: Learnt) -> Learnt | Refusal:
        task = asked.task
        if task.subject.number is None:
            message = "the changed paths of a commit cannot be looked up yet, only a pull request's"
            return Refusal(reason="paths_unknown", message=message)
        paths: tuple[str, ...] = ()
        if task.repository is not None:
            paths = await changed_paths(
                self._github, task.installation_id, task.repository, task.subject.number
            )
        return replace(learnt, known=structs.replace(learnt.known, paths=paths))

    async def _permission(self, asked: Asked) -> str | Refusal:
        """Ask for the live permission of whoever asks for the work."""
        task = asked.task
        actor = task.command.actor if task.command else asked.event.sender
        if not actor or not task.repository:
            return Refusal(reason="allow", message="nobody is known who asks for this")
        try:
            return await permission_of(self._github, task.installation_id, task.repository, actor)
        except GitHubError as error:
            if asked.is_by_permission:
                message = f"the permission of {actor} cannot be looked up: {error}"
                return Refusal(reason="permission_unknown", message=message)
            if isinstance(error, NotFound):
                return ""
            raise


def _of_issue(learnt: Learnt, issue: LiveIssue) -> Learnt | Refusal:
    if issue.state == "closed":
        return Refusal(reason="closed", message=f"issue #{issue.number} is closed")
    return replace(learnt, issue=issue)


def _moved(event: Event, pull: PullHead) -> Refusal | None:
    """Refuse work on a head that is none any more: nothing of it would be published."""
    wanted = event.subject.head_sha
    if event.rule is None or wanted in (None, pull.head_sha):
        return None
    message = f"the head of #{pull.number} is {pull.head_sha} by now, and not {wanted}"
    return Refusal(reason="head_moved", message=message)


def _told(subject: Subject, live: PullHead | LiveIssue) -> Subject:
    """Fill in what a subject is called, where nobody has told it."""
    if subject.title or subject.url:
        return subject
    title = facts.text(live.title, facts.TITLE_MAX) or ""
    return structs.replace(subject, title=title, url=live.url, author=live.author)


def _with_pull(known: Known, pull: PullHead, repository: str | None) -> Known:
    return structs.replace(
        known,
        head_sha=pull.head_sha,
        base_sha=pull.base_sha,
        head_ref=pull.head_ref,
        base_ref=pull.base_ref,
        draft=pull.draft,
        fork=pull.head_repository != repository,
    )
