"""One attempt from its claim to its settlement: announce, check out, execute, clear away, compare
heads, settle.

Whatever goes wrong on the way becomes an `Ending`, and there is one settlement. Only a lost claim
is not settled: its result is dropped, since somebody else may own the task by now. What the store
refuses for too long is given back when its lease is over.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from time import monotonic

import anyio
import anyio.to_thread
import orjson

from covend.core.clone_url import is_own
from covend.core.contract.brief import brief_of, environment_of
from covend.core.contract.outcome import Exit, judge
from covend.core.contract.prompt import render
from covend.core.contract.result import parse_result
from covend.core.effects.diff import ChangedFile
from covend.core.errors import (
    ClaimLostError,
    CovendError,
    GitError,
    GitHubError,
    InvalidResultError,
    StoreError,
)
from covend.core.model import (
    Claim,
    EffectKind,
    Ending,
    Phase,
    Result,
    SubjectType,
)
from covend.core.presets import PRESETS
from covend.core.presets.stream import Reader, Words, takes_prompt_on_stdin
from covend.core.redact import Redactor
from covend.core.settings import Checkout, Policy, Secret
from covend.core.states import Outcome, TaskState
from covend.edges.agents import process
from covend.edges.agents.leftovers import boot_id
from covend.edges.agents.marked import end_marked
from covend.edges.agents.output import Log as OutputLog
from covend.edges.agents.output import Stream
from covend.edges.agents.process import Stop
from covend.edges.github.client import GitHubClient
from covend.edges.github.pulls import get_pull, list_files
from covend.edges.github.repositories import get_repository
from covend.edges.workspace import checkout
from covend.services.clock import Clock
from covend.services.endings import broken, failed, stopped_early, superseded
from covend.services.insisting import insist
from covend.services.settling import Settlements, choose_next, unplanned
from covend.services.surroundings import Surroundings
from covend.services.wakeups import Wakeups
from covend.store.protocol import Settlement, Started, Tasks
from covend.telemetry.logs import Log, about
from covend.telemetry.metrics import Metrics

READ_CONTENTS = {"contents": "read"}
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
        surroundings: Surroundings,
    ) -> None:
        """Check out and look up through `github`."""
        self._tasks = tasks
        self._github = github
        self._clock = clock
        self._wakeups = wakeups
        self._metrics = metrics
        self._settlements = settlements
        self._around = surroundings

    async def run(self, claim: Claim, stop: Stop) -> None:
        """Execute a claimed task once, and settle it; `stop` ends it early by the same way."""
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
        attempt = _Attempt(claim, policy, stop)
        try:
            ending = await self._execute(attempt)
        finally:
            with anyio.CancelScope(shield=True):
                await self._clear(attempt)
        ending, files = await self._compare_heads(attempt, ending)
        await self._settle(attempt, ending, files)

    # --- the steps ---

    async def _announce(self, attempt: _Attempt) -> None:
        """Show on GitHub that work has begun; once, however many attempts it takes."""
        if attempt.claim.attempt == 1:
            effects = self._settlements.begin(attempt.claim, attempt.policy)
            now = self._clock.now()
            await insist(lambda: self._tasks.announce(attempt.claim, effects, now))
            self._wakeups.effects.wake()

    async def _execute(self, attempt: _Attempt) -> Ending:
        """Announce, check out and run the agent; whatever goes wrong is an ending too."""
        try:
            await self._announce(attempt)
            await self._prepare(attempt)
            if attempt.stop.reason is not None:
                return stopped_early(attempt.stop.reason)
            await insist(lambda: self._tasks.note_phase(attempt.claim, Phase.EXECUTOR))
            return await self._run_agent(attempt)
        except ClaimLostError:
            raise
        except (GitError, GitHubError, StoreError) as error:
            return failed(error, retryable=True)
        except CovendError as error:
            return failed(error, retryable=False)
        except Exception:
            log.exception("an attempt failed inside covend")
            return broken()

    async def _prepare(self, attempt: _Attempt) -> None:
        """Make the workspace; a request to stop ends this as well."""
        begun = monotonic()
        attempt.directory = await checkout.make_directory(
            self._around.workspaces, attempt.claim.task.id, attempt.claim.attempt
        )
        await _unless_stopped(attempt.stop, partial(self._check_out, attempt, attempt.directory))
        result = "stopped" if attempt.stop.reason else "ok"
        self._metrics.phase.labels(Phase.CHECKOUT, result).observe(monotonic() - begun)

    async def _check_out(self, attempt: _Attempt, directory: checkout.Directory) -> None:
        task, rule = attempt.claim.task, attempt.policy.rule
        if rule.checkout is Checkout.NONE or task.repository is None:
            return
        live = await get_repository(self._github, task.installation_id, task.repository)
        if not is_own(live.clone_url, self._around.api_url):
            message = f"{live.clone_url} is not an address of the forge at {self._around.api_url}"
            raise GitError(message)
        token = await self._github.auth.token_for(
            task.installation_id, task.repository, READ_CONTENTS
        )
        is_pull = task.subject.type is SubjectType.PULL_REQUEST
        spec = checkout.Spec(
            kind=rule.checkout,
            url=live.clone_url,
            token=Secret(token),
            number=task.subject.number if is_pull else None,
            head_sha=task.subject.head_sha,
            base_sha=task.subject.base_sha,
            base_ref=task.subject.base_ref,
            default_branch=live.default_branch,
        )
        await checkout.checkout(spec, directory)

    async def _run_agent(self, attempt: _Attempt) -> Ending:
        """Run the agent's process to its end, and judge it."""
        begun, agent = monotonic(), attempt.policy.agent
        assert attempt.directory is not None
        reader = PRESETS[agent.preset].reader()
        spec = self._specify(attempt, attempt.directory)
        with OutputLog(
            self.log_path(attempt.claim), limit=agent.limits.output_bytes, clock=self._clock.now
        ) as output:
            exit_ = await process.run(
                spec,
                on_start=lambda pid, ticks: self._note_process(attempt.claim, pid, ticks),
                on_line=lambda stream, line: _take_line(output, reader, stream, line),
                stop=attempt.stop,
            )
            attempt.log_bytes = output.size
            if exit_.stopped is not None and exit_.signal is not None:
                self._metrics.processes_killed.labels(exit_.signal).inc()
            ending = self._judge(attempt, attempt.directory, exit_, reader, output.tail)
        self._metrics.count_agent(agent.name, ending, monotonic() - begun)
        return ending

    def _judge(
        self,
        attempt: _Attempt,
        directory: checkout.Directory,
        exit_: Exit,
        reader: Reader,
        tail: str,
    ) -> Ending:
        """Read the result file, without any secret in it, and say how the attempt ended."""
        result: Result | InvalidResultError | None
        try:
            data = checkout.read_result(directory.result)
            redactor = Redactor(self._around.secrets_of(attempt.policy.agent))
            result = parse_result(redactor.clean(data)) if data is not None else None
        except InvalidResultError as error:
            result = error
        return judge(exit_, result, reader.report(), attempt.policy.agent, tail=tail)

    async def _compare_heads(
        self, attempt: _Attempt, ending: Ending
    ) -> tuple[Ending, tuple[ChangedFile, ...] | None]:
        """Look whether the head is still the one that was worked on, before the task ends; if it
        moved, what was found is withheld, and so is a failure.

        Where GitHub cannot be asked, the attempt stands: a review names the commit it is about.
        """
        if not _ends_visibly(attempt, ending):
            return ending, None
        try:
            return await self._compared(attempt, ending)
        except GitHubError as error:
            log.warning("the live head cannot be looked up", code=error.code, error=str(error))
            return ending, None
        except Exception:
            log.exception("the live head cannot be compared")
            return broken(ending), None

    async def _compared(
        self, attempt: _Attempt, ending: Ending
    ) -> tuple[Ending, tuple[ChangedFile, ...] | None]:
        subject, task = attempt.claim.task.subject, attempt.claim.task
        assert task.repository is not None
        assert subject.number is not None
        place = (self._github, task.installation_id, task.repository, subject.number)
        pull = await get_pull(*place)
        if subject.head_sha is not None and pull.head_sha != subject.head_sha:
            log.info("the head moved", was=subject.head_sha, now=pull.head_sha)
            return superseded(ending, pull.head_sha), None
        is_found = ending.outcome is Outcome.SUCCEEDED
        wants_lines = is_found and EffectKind.REVIEW in attempt.policy.rule.publish
        return ending, await list_files(*place) if wants_lines else None

    async def _settle(
        self, attempt: _Attempt, ending: Ending, files: tuple[ChangedFile, ...] | None
    ) -> None:
        """Write outcome, move and effects in one transaction; a busy store is asked again."""
        settlement = self._settlements.plan(
            attempt.claim, attempt.policy, ending, files=files, log_bytes=attempt.log_bytes
        )
        await self._write_end(attempt.claim, settlement)
        self._observe_end(attempt, settlement)

    async def _write_end(self, claim: Claim, settlement: Settlement) -> None:
        now = self._clock.now()
        with anyio.CancelScope(shield=True):
            await insist(lambda: self._tasks.settle(claim, settlement, now))
        self._wakeups.effects.wake()
        self._wakeups.queued.wake()

    async def _clear(self, attempt: _Attempt) -> None:
        """End what the agent has left behind in sessions of its own, then remove the workspace.

        What cannot be cleared away is no reason to forget how the attempt ended.
        """
        claim = attempt.claim
        end_left = partial(end_marked, [claim.task.id], attempt=claim.attempt)
        try:
            left = await anyio.to_thread.run_sync(end_left)
            if left:
                self._metrics.processes_killed.labels("SIGKILL").inc(left)
                log.warning("processes outlived their agent, and were ended", count=left)
            if attempt.directory is not None:
                await checkout.remove_directory(attempt.directory)
        except Exception:
            log.exception("an attempt could not be cleared away")

    # --- what they need ---

    def log_path(self, claim: Claim) -> Path:
        """Say where the output of an attempt is kept."""
        return self._around.logs / f"{claim.task.id}-{claim.attempt}.jsonl"

    def _specify(self, attempt: _Attempt, directory: checkout.Directory) -> process.Spec:
        """Write the brief, and say what to run."""
        claim, policy, agent = attempt.claim, attempt.policy, attempt.policy.agent
        deadline = self._clock.now() + round(agent.timeout_s * 1000)
        brief = brief_of(claim, policy, "", deadline)
        places = directory.places
        prompt = render(
            policy.rule.prompt, brief, result_path=places.result, brief_path=places.brief
        )
        checkout.write_brief(directory, orjson.dumps(brief | {"prompt": prompt}))
        words = Words(
            prompt=prompt,
            brief=str(places.brief),
            result=str(places.result),
            workspace=str(places.workspace),
            model=agent.model,
            edits=EffectKind.PULL_REQUEST in policy.rule.publish,
        )
        return process.Spec(
            argv=PRESETS[agent.preset].argv(agent, words),
            environment=environment_of(claim, agent, places, deadline, self._around.environ),
            cwd=directory.workspace,
            stdin=prompt.encode() if takes_prompt_on_stdin(agent) else None,
            timeout_s=agent.timeout_s,
            idle_timeout_s=agent.idle_timeout_s,
            stop_signal=agent.stop_signal,
            grace_s=agent.grace_s,
            secrets=self._around.secrets_of(agent),
        )

    async def _note_process(self, claim: Claim, pid: int, ticks: int) -> None:
        started = Started(pid=pid, pid_started=ticks, boot_id=boot_id())
        await insist(lambda: self._tasks.note_process(claim, started))

    # --- what is counted ---

    def _observe_end(self, attempt: _Attempt, settlement: Settlement) -> None:
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


class _Attempt:
    """What is known of one attempt while it runs."""

    def __init__(self, claim: Claim, policy: Policy, stop: Stop) -> None:
        self.claim = claim
        self.policy = policy
        self.stop = stop
        self.directory: checkout.Directory | None = None
        self.log_bytes = 0


def _ends_visibly(attempt: _Attempt, ending: Ending) -> bool:
    """Say whether the task ends by this on a pull request, and something of it shall be seen."""
    task, policy = attempt.claim.task, attempt.policy
    following = choose_next(task, ending, policy.agent.retry, 0, 0.0)
    return (
        following.target in (TaskState.COMPLETED, TaskState.FAILED)
        and bool(policy.rule.publish)
        and task.subject.type is SubjectType.PULL_REQUEST
    )


async def _unless_stopped(stop: Stop, step: Callable[[], Awaitable[None]]) -> None:
    """Take a step that a request to stop cancels; what it raises is raised in no group."""
    failure: Exception | None = None
    async with anyio.create_task_group() as group:
        group.start_soon(_cancel_when_stopped, stop, group.cancel_scope)
        try:
            await step()
        except Exception as error:  # noqa: BLE001  raised below
            failure = error
        group.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def _cancel_when_stopped(stop: Stop, scope: anyio.CancelScope) -> None:
    await stop.wait()
    scope.cancel()


def _take_line(output: OutputLog, reader: Reader, stream: Stream, line: str) -> None:
    output.write(stream, line)
    if stream is Stream.OUT:
        reader.feed(line)
