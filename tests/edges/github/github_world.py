"""A clock turned by hand, a count of what was asked, and a client of the stand-in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import aiohttp
import anyio
from msgspec import structs

from covend.core.effects.diff import ChangedFile
from covend.core.effects.plan import plan_end, plan_start
from covend.core.ending import Ending, Finding
from covend.core.model import Effect, EffectDraft, EffectId, EffectKind
from covend.core.secret import Secret
from covend.core.settings import GitHub
from covend.core.states import EffectState, TaskState
from covend.demo.github import Hosted, StandInGitHub
from covend.edges.github.auth import Auth, open_auth
from covend.edges.github.client import GitHubClient, Sent
from covend.edges.github.surfaces import SURFACES
from tests.core.effects.effect_samples import KEY, NOON, PULL, claim, ending, policy, task

INSTALLATION = 1
REPOSITORY = "acme/till"
MARA_TOKEN = "github_pat_" + "m" * 40


@dataclass(slots=True)
class Clock:
    """ms UTC, and the same as a datetime for the stand-in."""

    at: int = NOON

    def now(self) -> int:
        return self.at

    def moment(self) -> datetime:
        return datetime.fromtimestamp(self.at / 1000, UTC)

    def turn(self, *, s: float) -> None:
        self.at += int(s * 1000)


@dataclass(kw_only=True)
class World:
    github: StandInGitHub
    till: Hosted
    clock: Clock
    """GitHub's, and the machine's."""
    session: aiohttp.ClientSession
    observed: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.covend_clock = self.clock
        """covend's own, until a test gives it another."""

    def observe(self, operation: str, status: str) -> None:
        self.observed.append((operation, status))

    def auth(self, **changed: Any) -> Auth:
        settings = GitHub(
            app_id=self.github.state.app.id,
            private_key=Secret(self.github.key.private),
            api_url=self.github.api_url,
        )
        settings, now = replace(settings, **changed), self.covend_clock.now
        return open_auth(settings, self.session, now, self.observe, wall=self.clock.now)

    def client(self, auth: Auth | None = None, *, write_gap_ms: int = 0) -> GitHubClient:
        auth = auth or self.auth()
        return GitHubClient(
            self.session,
            self.github.api_url,
            auth,
            self.clock.now,
            self.observe,
            write_gap_ms=write_gap_ms,
        )

    def client_with_token(self) -> GitHubClient:
        """As the pull request's author, with a personal token."""
        self.github.add_personal_token(MARA_TOKEN, self.till.live_pull(7).author)
        return self.client(self.auth(app_id=None, private_key=None, token=Secret(MARA_TOKEN)))

    def asked(self, method: str, ending: str) -> list[Any]:
        """The bodies of requests to paths with this end, in order."""
        return [
            each.body
            for each in self.github.requests
            if each.method == method and each.path.endswith(ending)
        ]

    # --- effects on pull request 7 ---

    def start(self, *, app: bool = True, **of_task: Any) -> Effect:
        claimed = claim(subject=self._subject(), **of_task)
        (draft,) = plan_start(claimed, policy(EffectKind.CHECK), app=app, key=KEY)
        return effect(draft)

    def end(
        self,
        kind: EffectKind,
        how: Ending | None = None,
        *,
        app: bool = True,
        files: Sequence[ChangedFile] | None = None,
        **of_task: Any,
    ) -> Effect:
        (only,) = self.ends(kind, how, app=app, files=files, **of_task)
        return only

    def ends(
        self,
        kind: EffectKind,
        how: Ending | None = None,
        *,
        app: bool = True,
        files: Sequence[ChangedFile] | None = None,
        outdated: Sequence[str] = (),
        **of_task: Any,
    ) -> list[Effect]:
        drafts = plan_end(
            claim(subject=self._subject(), **of_task),
            policy(kind),
            how or ending(summary="All is well."),
            target=TaskState.COMPLETED,
            app=app,
            key=KEY,
            now=self.clock.now(),
            files=files,
            outdated=outdated,
        )
        return [effect(draft) for draft in drafts]

    def review(
        self, *findings: Finding, files: Sequence[ChangedFile] | None = None, event: str = ""
    ) -> Effect:
        how = ending(findings=findings, summary="Look.", review_event=event)
        return self.end(EffectKind.REVIEW, how, files=files)

    def _subject(self) -> Any:
        return structs.replace(PULL, head_sha=self.till.live_pull(7).head_sha)


def effect(draft: EffectDraft) -> Effect:
    """An effect as the store gives it while it is being sent."""
    return Effect(
        id=EffectId("01kaj000000000000000000000"),
        task=task().id,
        kind=draft.kind,
        slot=draft.slot,
        subject=draft.subject,
        target=draft.target,
        installation_id=INSTALLATION,
        repository=REPOSITORY,
        request=draft.request,
        state=EffectState.SENDING,
        tries=1,
        not_before_at=NOON,
        remote_id=None,
        remote_url=None,
        error=None,
        created_at=NOON,
        sent_at=NOON,
        done_at=None,
    )


async def until(is_so: Callable[[], bool], *, within_s: float = 10.0) -> None:
    """Wait for what comes true while a request is held."""
    with anyio.fail_after(within_s):
        while not is_so():  # noqa: ASYNC110 (the stand-in tells only what it has answered)
            await anyio.sleep(0.002)


async def send(client: GitHubClient, effect: Effect, previous: Sent | None = None) -> Sent:
    return await SURFACES[effect.kind].send(client, effect, previous)


async def look_up(client: GitHubClient, effect: Effect) -> Sent | None:
    return await SURFACES[effect.kind].look_up(client, effect)


def visible(world: World, kind: EffectKind) -> list[Any]:
    """What of a kind can be seen on GitHub."""
    state = world.github.state
    lists: dict[EffectKind, list[Any]] = {
        EffectKind.CHECK: state.check_runs,
        EffectKind.COMMENT: state.comments,
        EffectKind.REVIEW: state.reviews,
        EffectKind.STATUS: state.statuses,
    }
    return lists[kind]
