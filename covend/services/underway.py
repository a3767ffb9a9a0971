"""What is known of one attempt while it runs; each step writes, the next reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from covend.core.contract.outcome import Exit, StopReason, judge
from covend.core.effects.diff import ChangedFile
from covend.core.ending import Ending, Result
from covend.core.errors import InvalidResultError
from covend.core.model import Claim, Usage
from covend.core.presets.stream import StreamReport
from covend.core.safeguards.shapes import Spent
from covend.core.sessions import Session
from covend.core.settings import Policy
from covend.edges.workspace.checkout import Checkout
from covend.edges.workspace.directory import Directory
from covend.services.endings import NO_ANSWER, stopped_early
from covend.services.stopping import Stop

_Number = TypeVar("_Number", int, float)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """One run of the agent that is over: how it ended, and what it and its tool have told."""

    exit: Exit
    report: StreamReport | None
    result: Result | InvalidResultError | None = None


@dataclass(slots=True, kw_only=True)
class UnderWay:
    """One attempt."""

    claim: Claim
    policy: Policy
    """With the task's present agent at work."""
    stop: Stop
    budget: Spent | None = None
    """What it may spend; None where nothing bounds it."""
    directory: Directory | None = None
    checkout: Checkout | None = None
    previous: Session | None = None
    """The conversation that an earlier attempt on the same subject had."""
    resumes: Session | None = None
    """That one, where this attempt goes on with it."""
    ran: Ran | None = None
    """Its last run, also where that was stopped."""
    before: Usage = field(default_factory=Usage)
    """What runs before that one have used, of this attempt."""
    ending: Ending | None = None
    """What the agent, or what went wrong, has made of it."""
    files: Sequence[ChangedFile] | None = None
    """The changed files of its pull request, where findings are to be put onto their lines."""
    outdated: Sequence[str] = ()
    """The ids of earlier reviews of covend's own that its end outdates."""
    log_bytes: int = 0

    @property
    def name(self) -> str:
        """Its name in paths, cgroups and containers."""
        return f"{self.claim.task.id}-{self.claim.attempt}"

    def ended(self) -> Ending:
        """Say how it ended; who stopped it goes before what it has come to.

        At covend's own end, what had been brought to its end by then stands.
        """
        reason = self.stop.reason
        if self.ending is not None and reason in (None, StopReason.INTERRUPTED):
            return self.ending
        return self._stopped(reason or StopReason.INTERRUPTED)

    def judged(self, *, tail: str = "", stopped: StopReason | None = None) -> Ending:
        """Say how its last run ended; what the whole attempt has cost is in it."""
        assert self.ran is not None
        ran, agent = self.ran, self.policy.agent
        ending = judge(ran.exit, ran.result, ran.report, agent, stopped=stopped, tail=tail)
        usage = _sum(self.before, ending.result.usage)
        return replace(ending, result=replace(ending.result, usage=usage))

    def spent(self) -> Result:
        """Give what it has cost so far, and its session, as a result that says nothing else."""
        if self.ran is None:
            return replace(NO_ANSWER, usage=self.before)
        return self.judged(stopped=StopReason.INTERRUPTED).result

    def _stopped(self, reason: StopReason) -> Ending:
        """Drop what it has found; what it has cost is kept.

        An agent that was over its time before covend's own end is not merely interrupted.
        """
        if self.ran is None:
            return stopped_early(reason, self.spent())
        own = self.ran.exit.stopped
        if reason is StopReason.INTERRUPTED and own is not None:
            reason = own
        return self.judged(stopped=reason)


def _sum(one: Usage, other: Usage) -> Usage:
    return Usage(
        input_tokens=_plus(one.input_tokens, other.input_tokens),
        output_tokens=_plus(one.output_tokens, other.output_tokens),
        cost_usd=_plus(one.cost_usd, other.cost_usd),
    )


def _plus(one: _Number | None, other: _Number | None) -> _Number | None:
    if one is None or other is None:
        return other if one is None else one
    return one + other
