"""Publishes an agent's commits: pushes them to a branch of their own, and opens a pull request for
it or tells an open one anew.

Every step may be taken again, whatever became of it the last time: the same commit on the branch
is covend's own push, and a pull request is known by its branch and its marker. Refuses to write
over commits of others, and to open what people have closed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic
from typing import assert_never

from covend.core.clone_url import is_own
from covend.core.effects.marker import carries
from covend.core.errors import GitHubError
from covend.core.model import Effect, Json, Phase
from covend.core.scopes import WRITE_CONTENTS
from covend.core.secret import Secret
from covend.edges.github.client import GitHubClient, Sent
from covend.edges.github.errors import MissingPermission, OutcomeUnknown, Refused, Unreachable
from covend.edges.github.pull_requests import Opened, PullRequests
from covend.edges.github.repositories import LiveRepository, get_repository
from covend.edges.workspace.git import Access
from covend.edges.workspace.mirror import Mirrors
from covend.edges.workspace.push import Became, Pushed, Remote, find_tip, push
from covend.telemetry.logs import Log
from covend.telemetry.metrics import Metrics

WRITE = "contents=write"
WORKFLOWS = "workflows=write"
log = Log("pushing")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where one effect becomes visible."""

    effect: Effect
    live: LiveRepository
    pulls: PullRequests

    @property
    def request(self) -> Json:
        return self.effect.request

    @property
    def branch(self) -> str:
        return self.pulls.branch

    @property
    def again(self) -> str:
        return f"then send it again: `covend retry --effect {self.effect.id}`"


class Pushing:
    """The surface of `EffectKind.PULL_REQUEST`."""

    def __init__(self, *, mirrors: Mirrors, api_url: str, metrics: Metrics) -> None:
        """Push from `mirrors`, to no forge but the one behind `api_url`."""
        self._mirrors = mirrors
        self._api_url = api_url
        self._metrics = metrics

    async def send(
        self,
        client: GitHubClient,
        effect: Effect,
        previous: Sent | None,  # noqa: ARG002  what people did with it since is asked of GitHub
    ) -> Sent:
        """Push, and propose what was pushed; raises the errors of `edges.github.errors`, of which
        only OutcomeUnknown leaves open whether anything was written.
        """
        begun, result = monotonic(), "failed"
        try:
            sent = await self._send(client, effect)
            result = "ok"
        except OutcomeUnknown:
            result = "unknown"
            raise
        finally:
            self._metrics.phase.labels(Phase.PUBLISH, result).observe(monotonic() - begun)
        return sent

    async def look_up(self, client: GitHubClient, effect: Effect) -> Sent | None:
        """Find the pull request that says it is of this very version; its branch was pushed then.

        A branch alone is no answer: what is sent again finds it where it is.
        """
        place = await self._place(client, effect)
        found = _proposed(await place.pulls.list(), effect, await client.auth.own_login())
        if found is None:
            return None
        self._let_go(effect)
        return found.sent

    async def _send(self, client: GitHubClient, effect: Effect) -> Sent:
        place = await self._place(client, effect)
        own = await client.auth.own_login()
        listed = await place.pulls.list()
        if (done := _proposed(listed, effect, own)) is not None:
            sent = done.sent
        else:
            await self._push(client, place, listed)
            sent = await _propose(place, listed, own)
        self._let_go(effect)
        return sent

    async def _place(self, client: GitHubClient, effect: Effect) -> _Place:
        """Look where the repository is now; raises Refused where that is not on this forge."""
        request, installation = effect.request, effect.installation_id
        live = await get_repository(client, installation, request["repository"])
        if not is_own(live.clone_url, self._api_url):
            message = f"{live.clone_url} is not an address of the forge at {self._api_url}"
            raise Refused(message, status=0)
        branch: str = request["body"]["head"]
        pulls = PullRequests(
            client=client, installation=installation, repository=live.full_name, branch=branch
        )
        return _Place(effect=effect, live=live, pulls=pulls)

    # --- the branch ---

    async def _push(self, client: GitHubClient, place: _Place, listed: Sequence[Opened]) -> None:
        """Bring the branch to the agent's last commit; a token that is not taken is made anew,
        once.
        """
        done, token = await self._push_once(client, place, listed)
        if done.became is Became.NOT_ACCEPTED and client.auth.forget(token):
            done, _ = await self._push_once(client, place, listed)
        if done.is_overdue:
            self._metrics.phase_timeouts.labels(Phase.PUBLISH).inc()
        if (error := _error_of(done, place)) is not None:
            raise error
        log.info("pushed", became=done.became, branch=place.branch, sha=place.request["sha"])

    async def _push_once(
        self, client: GitHubClient, place: _Place, listed: Sequence[Opened]
    ) -> tuple[Pushed, str]:
        """Push with a token that can do nothing else, which is given as well."""
        token = await client.auth.token_for(
            place.effect.installation_id, place.live.full_name, WRITE_CONTENTS
        )
        url, request = place.live.clone_url, place.request
        mirror = self._mirrors.root / request["mirror"]
        remote = Remote(url=url, branch=place.branch, access=Access(url=url, token=Secret(token)))
        if (closed := _closed(listed)) is not None:
            tip = await find_tip(mirror, remote)
            if tip.failed is not None:
                return tip.failed, token
            if tip.sha is not None:
                raise _was_closed(closed, place)
        return await push(mirror, remote, request["sha"], request["attempt"]), token

    def _let_go(self, effect: Effect) -> None:
        mirror = self._mirrors.find(effect.request["mirror"])
        if mirror is not None:
            mirror.let_go(effect.request["attempt"])


def _error_of(done: Pushed, place: _Place) -> GitHubError | None:
    """Say what stands in the way of a push, and who mends it how."""
    error: GitHubError | None
    branch, said, name = place.branch, done.said, place.live.full_name
    match done.became:
        case Became.PUSHED | Became.THERE_ALREADY:
            error = None
        case Became.FOREIGN:
            error = _foreign(place, said)
        case Became.NOT_ALLOWED | Became.NOT_ACCEPTED:
            message = f"{branch} cannot be pushed to {name} (needs {WRITE}): {said}"
            error = MissingPermission(message, permission=WRITE)
        case Became.WORKFLOW:
            message = (
                f"{branch} changes a workflow, for which GitHub asks {WORKFLOWS}; covend never"
                f" asks for that: push these commits by hand, or leave workflows alone: {said}"
            )
            error = MissingPermission(message, permission=WORKFLOWS)
        case Became.REFUSED:
            error = Refused(f"{branch} was refused by {name}: {said}", status=0)
        case Became.LOST:
            gone = f"the commits for {branch} are no longer in {place.request['mirror']}"
            error = Refused(f"{gone}: ask for the work once more", status=0)
        case Became.NOT_REACHED:
            error = Unreachable(f"git_push: {said}")
        case Became.UNKNOWN:
            error = OutcomeUnknown(f"git_push: {said}")
        case _:
            assert_never(done.became)
    return error


def _foreign(place: _Place, sha: str) -> Refused:
    message = (
        f"the branch {place.branch} of {place.live.full_name} is at {sha}, which covend did not"
        f" push: commits of somebody else are on it. Delete or rename that branch, {place.again}"
    )
    return Refused(message, status=0)


# --- the pull request -----------------------------------------------------------------------------


async def _propose(place: _Place, listed: Sequence[Opened], own: str) -> Sent:
    """Tell an open pull request of the branch anew, or open one. One that somebody else has opened
    for it shows the commits already, in their words.
    """
    opened = next((each for each in listed if each.is_open), None)
    body = place.request["body"]
    if opened is None:
        base = place.request["base"] or place.live.default_branch
        return await place.pulls.open({**body, "base": base})
    return opened.sent if opened.author != own else await place.pulls.tell(opened, body)


def _proposed(listed: Sequence[Opened], effect: Effect, own: str) -> Opened | None:
    """Find covend's own pull request with this version's marker, whatever became of it since."""
    marker = effect.request["marker"]
    ours = (each for each in listed if each.author == own)
    return next((each for each in ours if carries(each.body, marker)), None)


def _closed(listed: Sequence[Opened]) -> Opened | None:
    """Give the newest pull request, where people have closed it unmerged."""
    newest = next(iter(listed), None)
    is_refused = newest is not None and not newest.is_open and not newest.is_merged
    return newest if is_refused and not any(each.is_open for each in listed) else None


def _was_closed(closed: Opened, place: _Place) -> Refused:
    message = (
        f"pull request #{closed.number} of {place.branch} was closed, and covend opens none again:"
        f" reopen it, or delete the branch, {place.again}"
    )
    return Refused(message, status=0)
