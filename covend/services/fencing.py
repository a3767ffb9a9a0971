"""Keeps findings about an old head from being published: looks at the live head right before, and
withdraws what it has left behind.

Refuses to guess: where the head cannot be read, nothing leaves; and a head that
`services.sending` has read only once to be another withdraws nothing.
"""

from __future__ import annotations

from typing import NamedTuple

from covend.core.errors import StoreError
from covend.core.model import Effect, Task
from covend.core.states import TaskState
from covend.edges.github.client import GitHubClient
from covend.edges.github.pulls import get_pull
from covend.services.clock import Clock
from covend.services.settling import Effects, Settlements
from covend.services.wakeups import Wakeups
from covend.store.protocol import Tasks
from covend.telemetry.logs import Log
from covend.telemetry.metrics import Metrics

HEAD_MOVED = "head_moved"
"""Why a task is superseded that no newer task has overtaken."""
FENCE = "fence"
"""The field of a request that names the one head it may be published for."""

log = Log("fencing")


class Fence(NamedTuple):
    """The head of a pull request that an effect is about."""

    number: int
    head_sha: str


class Fencing:
    """Stands between the outbox and a pull request whose head may have moved."""

    def __init__(
        self,
        *,
        tasks: Tasks,
        github: GitHubClient,
        clock: Clock,
        wakeups: Wakeups,
        metrics: Metrics,
        settlements: Settlements,
    ) -> None:
        """Read heads from `github`; plan by `settlements` what is seen of a withdrawn task."""
        self._tasks = tasks
        self._github = github
        self._clock = clock
        self._wakeups = wakeups
        self._metrics = metrics
        self._settlements = settlements

    async def has_moved(self, effect: Effect, fence: Fence) -> bool:
        """Ask for the live head; raises the errors of `edges.github.errors`."""
        repository = effect.request["repository"]
        pull = await get_pull(self._github, effect.installation_id, repository, fence.number)
        if pull.head_sha == fence.head_sha:
            return False
        log.info("the head moved", was=fence.head_sha, now=pull.head_sha, target=effect.target)
        return True

    async def withdraw(self, effect: Effect) -> None:
        """Supersede the effect's task, conclude its check, and withhold what was found."""
        assert effect.task is not None, "only what a task has found is about a head"
        story = await self._tasks.story(effect.task)
        assert story is not None, "an effect's task is kept as long as the effect"
        effects, now = await self._planned(story.task), self._clock.now()
        withdrawn = await self._tasks.withdraw(
            story.task, effects=effects, reason=HEAD_MOVED, now=now
        )
        self._wakeups.effects.wake()
        self._wakeups.callbacks.wake()
        if withdrawn is None:
            log.info("findings withheld", task=story.task.id, state=story.task.state)
            return
        log.info("task ended", task=withdrawn.id, state=withdrawn.state, reason=HEAD_MOVED)
        self._metrics.count_task(withdrawn.rule, withdrawn.repository or "none", withdrawn.state)
        self._wakeups.followers.wake(withdrawn.id)

    async def _planned(self, task: Task) -> Effects:
        """Plan what shall be seen; what cannot be planned lets no finding through."""
        try:
            policy = await self._tasks.policy_of(task)
            return self._settlements.stop(task, policy, TaskState.SUPERSEDED)
        except StoreError:
            raise
        except Exception:
            log.exception("the end of a task cannot be shown", task=task.id)
            return ()


def fence_of(effect: Effect) -> Fence | None:
    """Read the head that an effect may be published for; None where any will do."""
    fence = effect.request.get(FENCE)
    return Fence(fence["number"], fence["head_sha"]) if fence else None
