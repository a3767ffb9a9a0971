"""One attempt from its claim to its settlement: announce, look at the head, prepare, execute, clear
away, compare heads, look for what it outdates, settle.

Every step but the last runs in one cancel scope: whoever stops the attempt cancels it, whatever it
is at. Whatever goes wrong on the way becomes an `Ending`, and there is one settlement. Only a lost
claim is not settled: its result is dropped, since somebody else may own the task by now. What the
store refuses for too long is given back when its lease is over.
"""

from __future__ import annotations

from time import monotonic

import anyio

from covend.core.ending import Ending
from covend.core.errors import ClaimLostError, CovendError, GitHubError, StoreError
from covend.core.model import Claim, EffectKind, Moment, Phase, SubjectType, Task
from covend.core.safeguards.shapes import Spent
from covend.core.settings import Policy
from covend.core.states import Outcome, TaskState
from covend.edges.github.client import GitHubClient
from covend.edges.github.errors import RateLimited
from covend.edges.github.pulls import PullHead, get_pull, list_files
from covend.services.clock import Clock
from covend.services.endings import broken, failed, superseded
from covend.services.executing import Executing
from covend.services.insisting import insist
from covend.services.outdated import Outdated
from covend.services.preparing import Preparing
from covend.services.settling import Settlements, choose_next, is_announced, tell, unplanned
from covend.services.stopping import Stop
from covend.services.underway import UnderWay
from covend.services.wakeups import Wakeups
from covend.store.protocol import Settlement, Tasks
from covend.telemetry.logs import Log, about
from covend.telemetry.metrics import Metrics

LOOK_AGAIN_S = 5.0
"""GitHub answers reads from replicas: one that lags behind would supersede the newest work."""
log = Log("attempt")


class Attempts:
    """Runs attempts; each call of `run` is one."""

    def __init__(  # noqa: PLR0913 - every step of an attempt is a room of its own
        self,
        *,
        tasks: Tasks,
        github: GitHubClient,
        clock: Clock,
        wakeups: Wakeups,
        metrics: Metrics,
        settlements: Settlements,
        preparing: Preparing,
        executing: Executing,
        outdated: Outdated,
        look_again_s: float = LOOK_AGAIN_S,
    ) -> None:
        """Compare heads through `github`, and look once more after `look_again_s` where they
        differ; `outdated` finds earlier reviews.
        """
        assert look_again_s >= 0
        self._tasks = tasks
        self._github = github
        self._clock = clock
        self._wakeups = wakeups
        self._metrics = metrics
        self._settlements = settlements
        self._preparing = preparing
        self._executing = executing
        self._outdated = outdated
        self._look_again_s = look_again_s

    async def run(self, claim: Claim, stop: Stop, budget: Spent | None = None) -> None:
        """Execute a claimed task once, and settle it; `stop` ends it early, at any step, and so
        does an agent's own use of more than `budget`.
        """
        with about(task=claim.task.id, attempt=claim.attempt, delivery=claim.task.delivery):
            try:
                await self._attempt(claim, stop, budget)
            except ClaimLostError as error:
                log.error("the claim was lost; the result is dropped", error=str(error))
            except StoreError as error:
                log.error("not settled: the store", code=error.code, error=str(error))
            except Exception:
                log.exception("an attempt failed inside covend")
                written = await self._write_end(claim, unplanned())
                self._observe_end(claim, written)

    async def _attempt(self, claim: Claim, stop: Stop, budget: Spent | None) -> None:
        """Settle last: until then nobody else can begin with this task, and meet what is left."""
        policy = await insist(lambda: self._tasks.policy_of(claim.task))
        policy = policy.by(claim.task.agent)
        log.info("attempt begins", rule=policy.rule.name, agent=policy.agent.name)
        attempt = UnderWay(claim=claim, policy=policy, stop=stop, budget=budget)
        with stop.scope:
            try:
                attempt.ending = await self._execute(attempt)
            finally:
                with anyio.CancelScope(shield=True):
                    await self._preparing.clear(attempt)
            await self._compare_heads(attempt)
            await self._find_outdated(attempt)
        if stop.reason is not None:
            log.info("attempt stopped", reason=stop.reason)
        await self._settle(attempt)

    # --- the steps ---

    async def _execute(self, attempt: UnderWay) -> Ending:
        """Announce, prepare and run the agent; whatever goes wrong is an ending too."""
        try:
            await self._announce(attempt)
            if (moved := await self._look_at_the_head(attempt)) is not None:
                return moved
            await self._prepare(attempt)
            await insist(lambda: self._tasks.note_phase(attempt.claim, Phase.EXECUTOR))
            ending = await self._executing.execute(attempt)
            ending = await self._preparing.take_out(attempt, ending)
        except ClaimLostError:
            raise
        except RateLimited as error:
            return failed(error, spent=attempt.spent(), retry_at=error.retry_at)
        except CovendError as error:
            return failed(error, spent=attempt.spent())
        except Exception:
            log.exception("an attempt failed inside covend")
            return broken(spent=attempt.spent())
        return ending

    async def _announce(self, attempt: UnderWay) -> None:
        """Show on GitHub that work has begun; once, however many attempts it takes, and once more
        for each generation of the task.
        """
        claim = attempt.claim
        if claim.attempt > 1:
            story = await insist(lambda: self._tasks.story(claim.task.id))
            if story is not None and is_announced(story.effects):
                return
        effects = self._settlements.begin(claim, attempt.policy)
        now = self._clock.now()
        await insist(lambda: self._tasks.announce(claim, effects, now))
        self._wakeups.effects.wake()

    async def _look_at_the_head(self, attempt: UnderWay) -> Ending | None:
        """Give the end of an attempt on a head that has moved already, which saves what its agent
        would cost; None where it has not, or another head would not take its place.

        Raises RateLimited: what comes next needs GitHub too. Where it cannot be asked for another
        reason, the attempt goes on.
        """
        if not _is_by_head(attempt):
            return None
        try:
            pull = await self._pull(attempt.claim.task)
        except RateLimited:
            raise
        except GitHubError as error:
            log.warning("the live head cannot be looked up", code=error.code, error=str(error))
            return None
        return self._moved(attempt, pull, None)

    async def _prepare(self, attempt: UnderWay) -> None:
        """Make the workspace, and count how long that took."""
        begun, result = monotonic(), "stopped"
        try:
            await self._preparing.prepare(attempt)
            result = "ok"
        except Exception:
            result = "failed"
            raise
        finally:
            self._metrics.phase.labels(Phase.CHECKOUT, result).observe(monotonic() - begun)

    async def _compare_heads(self, attempt: UnderWay) -> None:
        """Look whether the head is still the one that was worked on, before the task ends; if it
        moved, what was found is withheld, and so is a failure.

        Where GitHub cannot be asked, the attempt stands: a review names the commit it is about.
        """
        ending = attempt.ending
        if ending is None or not _ends_visibly(attempt, ending, self._clock.now()):
            return
        try:
            await self._compare(attempt, ending)
        except GitHubError as error:
            log.warning("the live head cannot be looked up", code=error.code, error=str(error))
        except Exception:
            log.exception("the live head cannot be compared")
            attempt.ending = broken(ending)

    async def _compare(self, attempt: UnderWay, ending: Ending) -> None:
        task = attempt.claim.task
        pull = await self._pull(task)
        if (moved := self._moved(attempt, pull, ending)) is not None:
            attempt.ending = moved
        elif _is_found(ending) and EffectKind.REVIEW in attempt.policy.rule.publish:
            attempt.files = await list_files(*self._place(task))

    async def _pull(self, task: Task) -> PullHead:
        """Give its pull request as it is now; another head than the task's has to be seen twice."""
        pull = await get_pull(*self._place(task))
        if task.subject.head_sha in {None, pull.head_sha}:
            return pull
        await anyio.sleep(self._look_again_s)
        return await get_pull(*self._place(task))

    def _place(self, task: Task) -> tuple[GitHubClient, int | None, str, int]:
        assert task.repository is not None
        assert task.subject.number is not None
        return self._github, task.installation_id, task.repository, task.subject.number

    def _moved(self, attempt: UnderWay, pull: PullHead, ending: Ending | None) -> Ending | None:
        """Give the end on a head that is the pull request's no more; None where it still is."""
        head = attempt.claim.task.subject.head_sha
        if head is None or pull.head_sha == head:
            return None
        log.info("the head moved", was=head, now=pull.head_sha)
        return superseded(ending, f"the head moved to {pull.head_sha} before this was published")

    async def _find_outdated(self, attempt: UnderWay) -> None:
        """Look which reviews of earlier heads are put away by this end."""
        if attempt.ending is not None:
            task, policy = attempt.claim.task, attempt.policy
            attempt.outdated = await self._outdated.find(task, policy, attempt.ending)

    async def _settle(self, attempt: UnderWay) -> None:
        """Write outcome, move and effects in one transaction; a busy store is asked again."""
        planned = self._settlements.plan(
            attempt.claim,
            attempt.policy,
            attempt.ended(),
            files=attempt.files,
            outdated=attempt.outdated,
            log_bytes=attempt.log_bytes,
            was_resumed=attempt.resumes is not None,
        )
        self._observe_end(attempt.claim, await self._write_end(attempt.claim, planned))

    async def _write_end(self, claim: Claim, settlement: Settlement) -> Settlement:
        """Give what was written, which is another end where somebody has asked to cancel, or a
        newer head has taken the task's place.
        """
        now = self._clock.now()
        with anyio.CancelScope(shield=True):
            written = await insist(lambda: self._tasks.settle(claim, settlement, now))
        tell(written, claim.task, self._metrics)
        self._wakeups.effects.wake()
        self._wakeups.callbacks.wake()
        self._wakeups.queued.wake()
        if written.follower is not None:
            self._wakeups.received.wake()
        return written

    def _observe_end(self, claim: Claim, settlement: Settlement) -> None:
        task, ending = claim.task, settlement.ending
        self._metrics.attempts.labels(task.agent, ending.outcome, ending.error_code or "none").inc()
        if settlement.target is not TaskState.QUEUED:
            self._metrics.count_task(task.rule, task.repository or "none", settlement.target)
        log.info(
            "attempt ended",
            outcome=ending.outcome,
            error_code=ending.error_code,
            error=ending.error_message,
            task_state=settlement.target,
            reason=settlement.reason,
            cost_usd=ending.result.usage.cost_usd,
        )


def _is_found(ending: Ending) -> bool:
    return ending.outcome is Outcome.SUCCEEDED


def _is_by_head(attempt: UnderWay) -> bool:
    """Say whether a newer head of its pull request would take the attempt's place."""
    task = attempt.claim.task
    return _is_on_pull(task) and _follows_heads(task, attempt.policy)


def _is_on_pull(task: Task) -> bool:
    """Say whether its pull request can be asked about: another sender's is none of GitHub's."""
    is_pull = task.subject.type is SubjectType.PULL_REQUEST and task.subject.number is not None
    return is_pull and bool(task.repository) and not task.is_foreign


def _follows_heads(task: Task, policy: Policy) -> bool:
    """What somebody has asked for by a comment is theirs to take back."""
    return policy.rule.supersede and task.command is None


def _ends_visibly(attempt: UnderWay, ending: Ending, now: Moment) -> bool:
    """Say whether the task ends by this on a pull request, and something of it shall be seen."""
    task, policy = attempt.claim.task, attempt.policy
    was_resumed = attempt.resumes is not None
    following = choose_next(attempt.claim, policy, ending, now, 0.0, was_resumed=was_resumed)
    return (
        following.target in (TaskState.COMPLETED, TaskState.FAILED)
        and bool(policy.rule.publish)
        and _is_on_pull(task)
    )
