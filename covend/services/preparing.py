"""Makes the workspace of an attempt, and clears it away: directory, session, checkout.

Refuses an address that is not the forge's own. A failed attempt's workspace is kept for whoever
wants to know why, and one whose agent has left what does not end; every other one is removed.
"""

from __future__ import annotations

from dataclasses import replace

import anyio.to_thread

from covend.core.clone_url import is_own
from covend.core.contract.brief import marks_of
from covend.core.ending import Commits, Ending
from covend.core.errors import GitError
from covend.core.model import EffectKind, Mode, SubjectType
from covend.core.secret import Secret
from covend.core.sessions import Session, may_resume
from covend.core.settings import Checkout, Sandbox
from covend.core.states import Outcome
from covend.edges.agents.sandbox import account_of
from covend.edges.github.client import GitHubClient
from covend.edges.github.repositories import get_repository
from covend.edges.workspace.checkout import checkout
from covend.edges.workspace.directory import make_directory, remove_directory
from covend.edges.workspace.git import marked
from covend.edges.workspace.harvest import take_commits
from covend.edges.workspace.keeping import Workspaces
from covend.edges.workspace.spec import Spec
from covend.services.clock import Clock
from covend.services.insisting import insist
from covend.services.surroundings import Surroundings
from covend.services.underway import UnderWay
from covend.store.protocol import Tasks
from covend.telemetry.logs import Log

READ_CONTENTS = {"contents": "read"}
KEPT = frozenset({Outcome.FAILED, Outcome.TIMED_OUT, Outcome.IDLE_TIMED_OUT})
"""Outcomes after which somebody will want to look at the workspace."""
log = Log("attempt")


class AddressRefusedError(GitError):
    """The forge names an address that is not its own: nothing is fetched from there."""

    code = "address_refused"


class Preparing:
    """Prepares attempts, and clears them away."""

    def __init__(
        self,
        *,
        tasks: Tasks,
        github: GitHubClient,
        workspaces: Workspaces,
        surroundings: Surroundings,
        clock: Clock,
    ) -> None:
        """Check out by way of the mirrors of `workspaces`."""
        self._tasks = tasks
        self._github = github
        self._workspaces = workspaces
        self._around = surroundings
        self._clock = clock

    async def prepare(self, attempt: UnderWay) -> None:
        """Make the workspace; raises `GitError`, `GitHubError` or `AgentError`."""
        with marked(marks_of(attempt.claim)):
            await self._prepare(attempt)

    async def _prepare(self, attempt: UnderWay) -> None:
        name = await self._place(attempt)
        attempt.directory = await make_directory(self._workspaces.root, name)
        spec = await self._spec(attempt)
        mirrors = self._workspaces.mirrors
        attempt.checkout = await checkout(spec, attempt.directory, mirrors)

    async def take_out(self, attempt: UnderWay, ending: Ending) -> Ending:
        """Save the agent's commits, where they are to be published, and give the ending with them;
        raises `GitError`.
        """
        is_wanted = EffectKind.PULL_REQUEST in attempt.policy.rule.publish
        if not is_wanted or ending.outcome is not Outcome.SUCCEEDED:
            return ending
        assert attempt.directory is not None
        assert attempt.checkout is not None
        with marked(marks_of(attempt.claim)):
            taken = await take_commits(attempt.directory, attempt.checkout, attempt.name)
        if taken is None:
            return ending
        log.info("commits taken out", sha=taken.sha, count=taken.commits_count)
        mirror = attempt.checkout.mirror
        assert mirror is not None
        commits = Commits(sha=taken.sha, mirror=mirror.path.name, attempt=attempt.name)
        return replace(ending, commits=commits)

    async def clear(self, attempt: UnderWay) -> None:
        """Keep the workspace of a failed attempt, or of one whose processes do not end; remove any
        other. What cannot be cleared away is no reason to forget how the attempt ended.
        """
        if attempt.directory is None:
            return
        try:
            if _is_worth_keeping(attempt):
                kept = await self._workspaces.keep(attempt.directory)
                log.info("workspace kept", path=str(kept))
            else:
                await remove_directory(attempt.directory)
        except Exception:
            log.exception("an attempt could not be cleared away")

    async def _place(self, attempt: UnderWay) -> str:
        """Say in which directory to work: a session goes on only in the one where it began, and
        none where that has failed before.
        """
        task, now = attempt.claim.task, self._clock.now()
        if task.is_afresh:
            await self._begins(attempt)
            return attempt.name
        session = attempt.previous = await insist(lambda: self._tasks.last_session(task, now))
        if (
            session is not None
            and _may_go_on(attempt, session)
            and await self._takes(attempt, session)
        ):
            attempt.resumes = session
            return session.workspace
        await self._begins(attempt)
        return attempt.name

    async def _takes(self, attempt: UnderWay, session: Session) -> bool:
        """Note that a session is gone on with; False where another attempt is in its directory."""
        claim, place = attempt.claim, session.workspace
        return await insist(
            lambda: self._tasks.note_mode(claim, mode=Mode.RESUME, workspace=place, resumes=session)
        )

    async def _begins(self, attempt: UnderWay) -> None:
        claim, place = attempt.claim, attempt.name
        await insist(lambda: self._tasks.note_mode(claim, mode=Mode.FRESH, workspace=place))

    async def _spec(self, attempt: UnderWay) -> Spec:
        """Say what to check out, with a token that reads this one repository."""
        task, rule = attempt.claim.task, attempt.policy.rule
        account = await anyio.to_thread.run_sync(account_of, attempt.policy.agent)
        owner = (account.uid, account.gid) if account else None
        if rule.checkout is Checkout.NONE or task.repository is None:
            return Spec(kind=Checkout.NONE, url="", owner=owner)
        live = await get_repository(self._github, task.installation_id, task.repository)
        if not is_own(live.clone_url, self._around.api_url):
            message = f"{live.clone_url} is not an address of the forge at {self._around.api_url}"
            raise AddressRefusedError(message)
        token = await self._github.auth.token_for(
            task.installation_id, task.repository, READ_CONTENTS
        )
        is_pull = task.subject.type is SubjectType.PULL_REQUEST
        return Spec(
            kind=rule.checkout,
            url=live.clone_url,
            token=Secret(token),
            repository_id=task.repository_id,
            number=task.subject.number if is_pull else None,
            head_sha=task.subject.head_sha,
            base_sha=task.subject.base_sha,
            base_ref=task.subject.base_ref,
            default_branch=live.default_branch,
            owner=owner,
        )


def _may_go_on(attempt: UnderWay, session: Session) -> bool:
    """Say whether the agent can go on with a session: in a sandbox each attempt has a home of its
    own, and so remembers none.
    """
    agent = attempt.policy.agent
    return agent.sandbox is Sandbox.NONE and may_resume(agent, session.id)


def _is_worth_keeping(attempt: UnderWay) -> bool:
    """Say whether an agent has worked there and failed, or what it has started still may."""
    if attempt.ran is None:
        return False
    if attempt.ran.exit.unended:
        return True
    return attempt.ended().outcome in KEPT
