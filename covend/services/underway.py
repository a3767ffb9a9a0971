"""What is known of one attempt while it runs; each step writes, the next reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from covend.core.contract.outcome import Exit, StopReason, judge
from covend.core.effects.diff import ChangedFile
from covend.core.model import Claim, Ending
from covend.core.presets.stream import StreamReport
from covend.core.sessions import Session
from covend.core.settings import Policy
from covend.edges.workspace.checkout import Checkout
from covend.edges.workspace.directory import Directory
from covend.services.endings import stopped_early
from covend.services.stopping import Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """One run of the agent that is over: how it ended, and what its tool told of itself."""

    exit: Exit
    report: StreamReport | None


@dataclass(slots=True, kw_only=True)
class UnderWay:
    """One attempt."""

    claim: Claim
    policy: Policy
    stop: Stop
    directory: Directory | None = None
    checkout: Checkout | None = None
    previous: Session | None = None
    """The conversation that an earlier attempt on the same subject had."""
    resumes: Session | None = None
    """That one, where this attempt goes on with it."""
    ran: Ran | None = None
    """Its last run, also where that was stopped."""
    ending: Ending | None = None
    """What the agent, or what went wrong, has made of it."""
    files: Sequence[ChangedFile] | None = None
    """The changed files of its pull request, where findings are to be put onto their lines."""
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

    def _stopped(self, reason: StopReason) -> Ending:
        """Drop what it has found; what it has cost is kept.

        An agent that was over its time before covend's own end is not merely interrupted.
        """
        if self.ran is None:
            return stopped_early(reason)
        own = self.ran.exit.stopped
        if reason is StopReason.INTERRUPTED and own is not None:
            reason = own
        return judge(self.ran.exit, None, self.ran.report, self.policy.agent, stopped=reason)
