"""One attempt from its claim to its settlement: announce, prepare, execute, clear away, compare
heads, settle.

Every step but the last runs in one cancel scope: whoever stops the attempt cancels it, whatever it
is at. Whatever goes wrong on the way becomes an `Ending`, and there is one settlement. Only a lost
claim is not settled: its result is dropped, since somebody else may own the task by now. What the
store refuses for too long is given back when its lease is over.
"""

from __future__ import annotations

from time import monotonic

import anyio

from covend.core.errors import (
    AgentShortageError,
    ClaimLostError,
    CovendError,
    GitError,
    GitHubError,
    StoreError,
)
from covend.core.model import Claim, EffectKind, Ending, Phase, SubjectType
from covend.core.states import Outcome, TaskState
from covend.edges.github.client import GitHubClient
from covend.edges.github.pulls import get_pull, list_files
from covend.services.clock import Clock
from covend.services.endings import broken, failed, superseded
from covend.services.executing import Executing
from covend.services.insisting import insist
from covend.services.preparing import Preparing
from covend.services.settling import Settlements, choose_next, unplanned
from covend.services.stopping import Stop
from covend.services.underway import UnderWay
from covend.services.wakeups import Wakeups
from covend.store.protocol import Settlement, Tasks
from covend.telemetry.logs import Log, about
from covend.telemetry.metrics import Metrics

log = Log("attempt")


class Attempts:
    """Runs attempts; each call of `run` is one."""

    def __init__(
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
    ) -> None:
        """Compare heads through `github`."""
        self._tasks = tasks
        self._github = github
        self._clock = clock
        self._wakeups = wakeups
        self._metrics = metrics
        self._settlements = settlements
        self._preparing = preparing
        self._executing = executing

    async def run(self, claim: Claim, stop: Stop) -> None:
        """Execute a claimed task once, and settle it; `stop` ends it early, at any step."""
        with about(task=claim.task.id, attempt=claim.attempt, delivery=claim.task.delivery):
            try:
                await self._attempt(claim, stop)
            except ClaimLostError as error:
                log.error("the claim was lost; the result is dropped", error=str(error))
            except StoreError as error:
                log.error("not settled: the store", code=error.code, error=str(error))
            except Exception:
                log.exception("an attempt failed inside covend")
                await self._write_end(claim, unplanned())

    async def _attempt(self, claim: Claim, stop: Stop) -> None:
        """Settle last: until then nobody else can begin with this task, and meet what is left."""
        policy = await insist(lambda: self._tasks.policy_of(claim.task))
        log.info("attempt begins", rule=policy.rule.name, agent=policy.agent.name)
        attempt = UnderWay(claim=claim, policy=policy, stop=stop)
        with stop.scope:
            try:
                attempt.ending = await self._execute(attempt)
            finally:
                with anyio.CancelScope(shield=True):
                    await self._preparing.clear(attempt)
            await self._compare_heads(attempt)
        if stop.reason is not None:
            log.info("attempt stopped", reason=stop.reason)
        await self._settle(attempt)

    # --- the steps ---

    async def _execute(self, attempt: UnderWay) -> Ending:
        """Announce, prepare and run the agent; whatever goes wrong is an ending too."""
        try:
            await self._announce(attempt)
            await self._prepare(attempt)
            await insist(lambda: self._tasks.note_phase(attempt.claim, Phase.EXECUTOR))
            ending = await self._executing.execute(attempt)
            await self._preparing.take_out(attempt, ending)
        except ClaimLostError:
            raise
        except (GitError, GitHubError, StoreError, AgentShortageError) as error:
            return failed(error, retryable=True)
        except CovendError as error:
            return failed(error, retryable=False)
        except Exception:
            log.exception("an attempt failed inside covend")
            return broken()
        return ending

    async def _announce(self, attempt: UnderWay) -> None:
        """Show on GitHub that work has begun; once, however many attempts it takes."""
        if attempt.claim.attempt == 1:
            effects = self._settlements.begin(attempt.claim, attempt.policy)
            now = self._clock.now()
            await insist(lambda: self._tasks.announce(attempt.claim, effects, now))
            self._wakeups.effects.wake()

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
        if ending is None or not _ends_visibly(attempt, ending):
            return
        try:
            await self._compare(attempt, ending)
        except GitHubError as error:
            log.warning("the live head cannot be looked up", code=error.code, error=str(error))
        except Exception:
            log.exception("the live head cannot be compared")
            attempt.ending = broken(ending)

    async def _compare(self, attempt: UnderWay, ending: Ending) -> None:
        subject, task = attempt.claim.task.subject, attempt.claim.task
        assert task.repository is not None
        assert subject.number is not None
        place = (self._github, task.installation_id, task.repository, subject.number)
        pull = await get_pull(*place)
        if subject.head_sha is not None and pull.head_sha != subject.head_sha:
            log.info("the head moved", was=subject.head_sha, now=pull.head_sha)
            attempt.ending = superseded(ending, pull.head_sha)
        elif _is_found(ending) and EffectKind.REVIEW in attempt.policy.rule.publish:
            attempt.files = await list_files(*place)

    async def _settle(self, attempt: UnderWay) -> None:
        """Write outcome, move and effects in one transaction; a busy store is asked again."""
        planned = self._settlements.plan(
            attempt.claim,
            attempt.policy,
            attempt.ended(),
            files=attempt.files,
            log_bytes=attempt.log_bytes,
        )
        self._observe_end(attempt, await self._write_end(attempt.claim, planned))

    async def _write_end(self, claim: Claim, settlement: Settlement) -> Settlement:
        """Give what was written, which is another end where somebody has asked to cancel."""
        now = self._clock.now()
        with anyio.CancelScope(shield=True):
            written = await insist(lambda: self._tasks.settle(claim, settlement, now))
        self._wakeups.effects.wake()
        self._wakeups.queued.wake()
        return written

    def _observe_end(self, attempt: UnderWay, settlement: Settlement) -> None:
        policy, ending = attempt.policy, settlement.ending
        self._metrics.attempts.labels(
            policy.agent.name, ending.outcome, ending.error_code or "none"
        ).inc()
        if settlement.target is not TaskState.QUEUED:
            repository = attempt.claim.task.repository or "none"
            self._metrics.count_task(policy.rule.name, repository, settlement.target)
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


def _ends_visibly(attempt: UnderWay, ending: Ending) -> bool:
    """Say whether the task ends by this on a pull request, and something of it shall be seen."""
    task, policy = attempt.claim.task, attempt.policy
    following = choose_next(task, ending, policy.agent.retry, 0, 0.0)
    return (
        following.target in (TaskState.COMPLETED, TaskState.FAILED)
        and bool(policy.rule.publish)
        and task.subject.type is SubjectType.PULL_REQUEST
    )
