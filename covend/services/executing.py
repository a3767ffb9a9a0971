"""Runs the agent of an attempt whose workspace stands, from its brief to its judged end.

Refuses to run it less confined than its settings say, and to let it go on beyond its budget as far
as its tool tells what it uses. Cancellation ends the agent and all that it started before it goes
on; what the agent had cost by then is known.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from functools import partial
from time import monotonic

import anyio
import anyio.to_thread
import orjson

from covend.core.contract.brief import brief_of, environment_of
from covend.core.contract.outcome import StopReason
from covend.core.contract.prompt import render
from covend.core.contract.result import parse_result
from covend.core.ending import Ending, Result
from covend.core.errors import ClaimLostError, InvalidResultError, SandboxError, StoreError
from covend.core.model import EffectKind, Mode, Moment
from covend.core.presets import PRESETS
from covend.core.presets.stream import (
    Failure,
    Reader,
    StreamReport,
    Words,
    takes_prompt_on_stdin,
)
from covend.core.redact import Redactor
from covend.core.safeguards.shapes import Spent
from covend.core.sessions import own_part, previous_result, starts_afresh
from covend.core.settings import Sandbox
from covend.edges.agents.gate import without_capabilities
from covend.edges.agents.output import Log as OutputLog
from covend.edges.agents.output import Stream
from covend.edges.agents.process import Agent
from covend.edges.agents.sandbox import Confined, Confinement, confine, remove
from covend.edges.agents.spec import Spec
from covend.edges.agents.threads import in_thread
from covend.edges.agents.tree import Containment, Tree
from covend.edges.proc import boot_id
from covend.edges.workspace.directory import Directory, discard_result, read_result, write_brief
from covend.services.clock import Clock
from covend.services.insisting import insist
from covend.services.live import log_path
from covend.services.surroundings import Surroundings
from covend.services.underway import Ran, UnderWay
from covend.services.wakeups import Wakeups
from covend.store.protocol import Started, Tasks
from covend.telemetry.logs import Log
from covend.telemetry.metrics import Metrics

Step = Callable[[], Coroutine[None, None, object]]
AFRESH = "the session could not be resumed; the agent starts afresh"
OVER_BUDGET = "the budget is spent; the agent is asked to end"
log = Log("attempt")


class Executing:
    """Runs agents; each call of `execute` is one attempt's."""

    def __init__(
        self,
        *,
        tasks: Tasks,
        containment: Containment,
        surroundings: Surroundings,
        clock: Clock,
        wakeups: Wakeups,
        metrics: Metrics,
    ) -> None:
        """Hold each agent in a tree of `containment`."""
        self._tasks = tasks
        self._containment = containment
        self._around = surroundings
        self._clock = clock
        self._wakeups = wakeups
        self._metrics = metrics

    async def execute(self, attempt: UnderWay) -> Ending:
        """Run the agent to its end and judge it; raises `AgentError` where it cannot be run."""
        begun = monotonic()
        with self._open_log(attempt) as output:
            try:
                ending = await self._run(attempt, output)
                if attempt.resumes is not None and _is_to_start_afresh(attempt):
                    await self._start_afresh(attempt, output)
                    ending = await self._run(attempt, output)
            finally:
                attempt.log_bytes = output.size
        self._metrics.count_agent(attempt.policy.agent.name, ending, monotonic() - begun)
        return ending

    async def _start_afresh(self, attempt: UnderWay, output: OutputLog) -> None:
        """Let nobody try this session again, and go on without it and what it has said."""
        log.warning("a session could not be resumed", session=attempt.resumes)
        output.write(Stream.MARK, AFRESH)
        output.forget_tail()
        assert attempt.directory is not None
        discard_result(attempt.directory)
        workspace, lost = attempt.directory.root.name, attempt.resumes
        await insist(
            lambda: self._tasks.note_mode(
                attempt.claim, mode=Mode.FRESH, workspace=workspace, resumes=lost
            )
        )
        if attempt.ran is not None:
            attempt.before, attempt.ran = attempt.spent().usage, None
        attempt.resumes = None

    async def _run(self, attempt: UnderWay, output: OutputLog) -> Ending:
        """Run the agent once."""
        assert attempt.directory is not None
        settings = attempt.policy.agent
        reader = PRESETS[settings.preset].reader()
        spec, confined = await self._specify(attempt, attempt.directory)
        tree = await anyio.to_thread.run_sync(self._containment.tree, attempt.name, settings.limits)
        is_over = partial(_is_over, attempt, attempt.budget) if attempt.budget else None
        listener = _Listener(output, reader, is_over)
        agent = Agent(spec, tree, listener.take)
        companions = (
            partial(self._note_session, attempt, listener),
            partial(self._stop_at_budget, agent, listener, output),
        )
        try:
            run = partial(agent.run, partial(self._note_process, attempt, tree))
            await _beside(companions, run)
        finally:
            self._note_run(attempt, agent, reader)
            with anyio.CancelScope(shield=True):
                await _undo(confined)
        return attempt.judged(tail=output.tail)

    def _note_run(self, attempt: UnderWay, agent: Agent, reader: Reader) -> None:
        """Keep how it ended and what it told; count whom it took to end it."""
        if agent.exit is None:
            return
        report = reader.report()
        if report is not None:
            report = own_part(report, attempt.policy.agent, attempt.resumes)
        attempt.ran = Ran(exit=agent.exit, report=report)
        attempt.ran = replace(attempt.ran, result=self._read_result(attempt))
        killed = self._metrics.processes_killed
        was_ended = agent.exit.stopped is not None or agent.exit.exceeded is not None
        if was_ended and agent.exit.signal is not None:
            killed.labels(agent.exit.signal).inc()
        if agent.exit.unended:
            log.error("processes of an agent do not end", pids=agent.exit.unended)
        if agent.exit.left_behind:
            killed.labels("SIGKILL").inc(agent.exit.left_behind)
            log.warning("processes outlived their agent", count=agent.exit.left_behind)

    def _read_result(self, attempt: UnderWay) -> Result | InvalidResultError | None:
        """Read the result file, without any secret in it; what it cost counts however it ended."""
        assert attempt.directory is not None
        try:
            data = read_result(attempt.directory.result)
            redactor = Redactor(self._around.secrets_of(attempt.policy.agent))
            return parse_result(redactor.json(data)) if data is not None else None
        except InvalidResultError as error:
            return error

    # --- what it needs ---

    def _open_log(self, attempt: UnderWay) -> OutputLog:
        task, number = attempt.claim.task.id, attempt.claim.attempt
        return OutputLog(
            log_path(self._around.logs, task, number),
            limit=attempt.policy.agent.limits.output_bytes,
            clock=self._clock.now,
            on_written=partial(self._wakeups.followers.wake, task),
        )

    async def _specify(self, attempt: UnderWay, directory: Directory) -> tuple[Spec, Confined]:
        """Write the brief, and say what to run and in what."""
        agent, tool = attempt.policy.agent, PRESETS[attempt.policy.agent.preset]
        deadline = self._clock.now() + round(agent.timeout_s * 1000)
        words = self._brief(attempt, directory, deadline)
        argv = tool.argv(agent, words)
        confined = await anyio.to_thread.run_sync(
            confine, self._confinement(attempt, directory, argv[0], deadline)
        )
        spec = Spec(
            argv=argv,
            prefix=confined.prefix or without_capabilities(),
            environment=confined.environment,
            cwd=directory.workspace,
            stdin=words.prompt.encode() if words.prompt and takes_prompt_on_stdin(agent) else None,
            timeout_s=agent.timeout_s,
            idle_timeout_s=agent.idle_timeout_s,
            idle_by_output=not tool.progress_by_events,
            stop_signal=agent.stop_signal,
            grace_s=agent.grace_s,
            secrets=self._around.secrets_of(agent),
            is_elsewhere=agent.sandbox is Sandbox.CONTAINER,
            is_held=confined.is_held,
        )
        return spec, confined

    def _brief(self, attempt: UnderWay, directory: Directory, deadline: Moment) -> Words:
        """Write the brief, and give what the command's placeholders stand for."""
        policy, places, previous = attempt.policy, directory.places, attempt.previous
        brief = brief_of(
            attempt.claim,
            policy,
            "",
            deadline,
            previous_session=previous.id if previous else None,
            previous_result=previous_result(previous) if previous else None,
        )
        template, prompt = policy.rule.prompt, ""
        if template:  # a rule may have none, where its agent knows what to do
            prompt = render(template, brief, result_path=places.result, brief_path=places.brief)
        write_brief(directory, orjson.dumps(brief | {"prompt": prompt}))
        return Words(
            prompt=prompt,
            brief=str(places.brief),
            result=str(places.result),
            workspace=str(places.workspace),
            session=attempt.resumes.id if attempt.resumes else None,
            model=policy.agent.model,
            edits=EffectKind.PULL_REQUEST in policy.rule.publish,
        )

    def _confinement(
        self, attempt: UnderWay, directory: Directory, program: str, deadline: Moment
    ) -> Confinement:
        claim, agent, places = attempt.claim, attempt.policy.agent, directory.places
        return Confinement(
            agent=agent,
            program=program,
            name=attempt.name,
            workspace=directory.workspace,
            exchange=directory.exchange,
            home=directory.home,
            objects=attempt.checkout.borrows if attempt.checkout else None,
            hidden=(self._around.state_dir,),
            environment=environment_of(claim, agent, places, deadline, self._around.environ),
            surrounding=self._around.environ,
            is_root=os.geteuid() == 0,
        )

    async def _note_session(self, attempt: UnderWay, listener: _Listener) -> None:
        """Put the session on disk as soon as it is told: a crash shall not lose it."""
        await listener.heard.wait()
        assert listener.session is not None
        session = listener.session
        try:
            await insist(lambda: self._tasks.note_session(attempt.claim, session))
        except (ClaimLostError, StoreError) as error:
            log.error("the session is not noted", code=error.code, error=str(error))

    async def _stop_at_budget(self, agent: Agent, listener: _Listener, output: OutputLog) -> None:
        """Ask the agent to end when it has spent what it may; what there is then is its answer."""
        await listener.spent.wait()
        log.warning("an agent has spent its budget")
        output.write(Stream.MARK, OVER_BUDGET)
        agent.stop(StopReason.BUDGET)

    async def _note_process(self, attempt: UnderWay, tree: Tree, pid: int, ticks: int) -> None:
        started = Started(pid=pid, pid_started=ticks, boot_id=boot_id(), cgroup=tree.cgroup)
        await insist(lambda: self._tasks.note_process(attempt.claim, started))


def _is_to_start_afresh(attempt: UnderWay) -> bool:
    """Never beside what the first run has left."""
    ran = attempt.ran
    return ran is not None and not ran.exit.unended and starts_afresh(ran.report, ran.exit)


def _is_over(attempt: UnderWay, budget: Spent, report: StreamReport) -> bool:
    """Say whether a tool that goes on has spent what its attempt may, by what it has told so far;
    one that has ended has an end of its own.
    """
    if report.error_code is not Failure.INCOMPLETE:
        return False
    used = own_part(report, attempt.policy.agent, attempt.resumes).usage
    before = attempt.before
    tokens = (used.input_tokens, used.output_tokens, before.input_tokens, before.output_tokens)
    usd = (used.cost_usd or 0.0) + (before.cost_usd or 0.0)
    return usd >= budget.usd or sum(each or 0 for each in tokens) >= budget.tokens


async def _beside(companions: Sequence[Step], step: Step) -> None:
    """Take a step, and its companions only as long; what the step raises is raised in no group."""
    failure: Exception | None = None
    async with anyio.create_task_group() as group:
        for companion in companions:
            group.start_soon(companion)
        try:
            await step()
        except Exception as error:  # noqa: BLE001  raised below
            failure = error
        group.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def _undo(confined: Confined) -> None:
    """Remove what no signal reaches, such as a container; where that fails, the ending stands."""
    if confined.undo is None:
        return
    try:
        await in_thread(partial(remove, confined.undo))
    except SandboxError as error:
        log.error("a container may still be there", error=str(error))


class _Listener:
    """Keeps what the agent prints; hears the session when it is first told, and when what is told
    is too much.
    """

    def __init__(
        self, output: OutputLog, reader: Reader, is_over: Callable[[StreamReport], bool] | None
    ) -> None:
        self.session: str | None = None
        self.heard = anyio.Event()
        self.spent = anyio.Event()
        self._output = output
        self._reader = reader
        self._is_over = is_over

    def take(self, stream: Stream, line: str) -> bool:
        """Keep a line, and say whether the tool got on by it."""
        self._output.write(stream, line)
        if stream is not Stream.OUT:
            return self._reader.report() is None
        got_on = self._reader.feed(line)
        if self.session is None or self._is_over is not None:
            self._hear(self._reader.report())
        return got_on

    def _hear(self, report: StreamReport | None) -> None:
        if report is None:
            return
        if self.session is None and report.session:
            self.session = report.session
            self.heard.set()
        if self._is_over is not None and self._is_over(report):
            self.spent.set()
