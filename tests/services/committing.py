"""An agent that commits, and what becomes of its commits: the steps that the outbox takes, one by
one.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from covend.core.errors import GitHubError
from covend.core.model import Effect, EffectKind
from covend.core.secret import Secret
from covend.core.settings import Checkout, GitHub, Rule
from covend.demo import payloads
from covend.demo.records import PullRequest
from covend.edges.github.auth import open_auth
from covend.edges.github.client import GitHubClient, Sent
from covend.edges.github.errors import OutcomeUnknown, Refused
from covend.edges.github.surfaces import Surface
from covend.edges.github.wire import Observe
from covend.services.pushing import Pushing
from tests.services.house import House, a_rule, an_agent
from tests.services.writing import writing

COMMITS = (
    "mkdir -p $(dirname {file}) && echo $COVEND_ATTEMPT > {file} && git add -- {file} &&"
    " git -c user.name=sh -c user.email=sh@localhost commit --quiet -m 'Mend it'"
)
ROUNDS_MAX = 10
PERSONAL = "github_pat_" + "m" * 40
TITLE = "Mend the basket"


def committing(file: str = "mended.txt", **result: Any) -> str:
    """Shell that commits a file, and says what it has done."""
    told = {"summary": "It is mended.", "pull_request": {"title": TITLE}} | result
    return f"{COMMITS.format(file=file)} && {writing(**told)}"


def a_fix(**changes: Any) -> Rule:
    plain: dict[str, Any] = {"checkout": Checkout.HEAD, "publish": (EffectKind.PULL_REQUEST,)}
    return a_rule(**plain | changes)


@dataclass(kw_only=True)
class Committed:
    """The draft of a pull request, as it lies in the outbox."""

    house: House
    effect: Effect
    mended: int = 0

    @classmethod
    async def make(cls, house: House, script: str = "", **scene: Any) -> Committed:
        """Run an agent that commits."""
        await house.adopt(a_fix(), an_agent(script or committing()))
        await house.attempt(**scene)
        return cls(house=house, effect=await house.effect(EffectKind.PULL_REQUEST))

    # --- what covend does ---

    @property
    def pushing(self) -> Pushing:
        """A new one each time: nothing is remembered but on the disk and on GitHub."""
        house = self.house
        return Pushing(
            mirrors=house.workspaces.mirrors,
            api_url=house.github.api_url,
            metrics=house.metrics,
        )

    @property
    def surface(self) -> Surface:
        """The same for the outbox."""
        pushing = self.pushing
        return Surface(send=pushing.send, look_up=pushing.look_up)

    async def send(self, effect: Effect | None = None) -> Sent:
        return await self.pushing.send(self.house.client, effect or self.effect, None)

    async def look_up(self, effect: Effect | None = None) -> Sent | None:
        return await self.pushing.look_up(self.house.client, effect or self.effect)

    async def publish(self) -> Sent:
        """Do as the outbox does, without its waiting."""
        for _ in range(ROUNDS_MAX):
            try:
                return await self.send()
            except Refused:
                raise
            except OutcomeUnknown:
                if (found := await self.look_up()) is not None:
                    return found
            except GitHubError:
                self.mended += 1
        raise AssertionError("it was never published")

    def later(self) -> Effect:
        """Its next version: another commit of the same task, taken out by a later attempt."""
        request, git = self.effect.request, self.mirror
        tree = run(git, "rev-parse", f"{request['sha']}^{{tree}}")
        who = ("-c", "user.name=sh", "-c", "user.email=sh@localhost")
        parent = run(git, "rev-parse", f"{request['sha']}^")
        sha = run(git, *who, "commit-tree", "-p", parent, "-m", "Mend it better", tree)
        task, _, number = request["attempt"].rpartition("-")
        attempt = f"{task}-{int(number) + 1}"
        run(git, "update-ref", f"refs/covend/attempts/{attempt}", sha)
        marker = request["marker"].replace(".1 sig=", ".2 sig=")
        assert marker != request["marker"]
        body = {
            **request["body"],
            "title": "Mend it better",
            "body": request["body"]["body"].replace(request["marker"], marker),
        }
        changed = {"sha": sha, "attempt": attempt, "marker": marker, "body": body}
        return replace(self.effect, request={**request, **changed})

    def be_a_person(self) -> None:
        """Go on with a personal token instead of an App's."""
        house = self.house
        house.github.add_personal_token(PERSONAL, payloads.MAINTAINER)
        settings = GitHub(token=Secret(PERSONAL), api_url=house.github.api_url)
        observe: Observe = lambda *_: None  # noqa: E731
        auth = open_auth(settings, house.session, house.clock.now, observe, wall=house.clock.now)
        url, now = house.github.api_url, house.clock.now
        house.client = GitHubClient(house.session, url, auth, now, observe)

    # --- what can be seen ---

    @property
    def branch(self) -> str:
        return f"covend/{self.effect.task}"

    @property
    def tip(self) -> str | None:
        return self.house.till.git.resolve(f"refs/heads/{self.branch}")

    @property
    def sha(self) -> str:
        sha: str = self.effect.request["sha"]
        return sha

    @property
    def mirror(self) -> Path:
        return self.house.workspaces.mirrors.root / str(self.effect.request["mirror"])

    @property
    def waits(self) -> bool:
        found = self.house.workspaces.mirrors.find(self.effect.request["mirror"])
        assert found is not None
        return found.is_waited_for

    @property
    def opened(self) -> list[PullRequest]:
        pulls = self.house.till.pulls.values()
        return [pull for pull in pulls if pull.head_ref == self.branch]

    @property
    def branches(self) -> set[str]:
        told = run(self.house.till.git.path, "for-each-ref", "--format=%(refname)", "refs/heads")
        return set(told.split())

    def pushes(self) -> int:
        asked = [each.path for each in self.house.github.requests if each.method == "POST"]
        return sum(path.endswith("/git-receive-pack") for path in asked)

    def closed(self, *, merged: bool = False) -> None:
        """Let somebody close it."""
        (pull,) = self.opened
        self.house.till.pulls[pull.number] = replace(pull, state="closed", merged=merged)


def run(repository: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", f"--git-dir={repository}", *arguments], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()
