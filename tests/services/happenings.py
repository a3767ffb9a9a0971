"""What happens at a forge in memory, each with the webhook that tells of it: those may be delivered
late, in any order, and more than once.

The moments in them are the forge's own, to the second, whatever covend's clock says.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from covend.core.model import Moment
from covend.demo import payloads
from covend.demo.payloads.scene import fresh_sha
from covend.demo.records import Account, Scene
from covend.store.protocol import Accepted
from tests.services.forge import Forge, Place
from tests.services.hand_clock import NOON
from tests.services.rooms import WEBHOOK_SECRET

STRANGER = Account(login="passing-by", id=77)
RERUNNER = Account(login="once-more", id=78)
"""Who asks for checks again, and nothing else."""
KEEPER = payloads.MAINTAINER
PLACES: tuple[Place, ...] = tuple(
    (repository, number) for repository in ("acme/till", "acme/shop") for number in (7, 8)
)
ASKERS: Mapping[Place, Account] = {
    place: STRANGER if place == PLACES[-1] else payloads.AUTHOR for place in PLACES
}
"""Who opens a pull request and pushes to it; a stranger's work waits for an approval."""
_INSTALLATIONS = {"acme/till": 1, "acme/shop": 2}
_LOSSES = {
    "suspended": "installation.suspend",
    "removed": "installation_repositories.removed",
    "deleted": "installation.deleted",
}
_GIVEN_BACK = {
    "suspended": "installation.unsuspend",
    "removed": "installation_repositories.added",
}
LOST = tuple(_LOSSES.values())
GIVEN = tuple(_GIVEN_BACK.values())
_ROLES = {KEEPER.login: "maintain", payloads.AUTHOR.login: "write"}


@dataclass(slots=True, kw_only=True)
class Told:
    """One webhook, and what covend said to it when it first took it."""

    name: str
    """With its action."""
    place: Place
    head: str
    body: bytes
    delivery: str
    at: Moment
    """The second in which its subject was changed."""
    accepted: Accepted | None = None

    def headers(self, delivery: str | None = None) -> Mapping[str, str]:
        """Sign it, under its own id or another one."""
        event = self.name.partition(".")[0]
        return payloads.signed(self.body, WEBHOOK_SECRET, event, delivery or self.delivery)


@dataclass
class World:
    """The forge, its time, and everything that was ever told of it."""

    at: Moment = NOON
    told: list[Told] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.forge = Forge(now=lambda: self.at, roles=dict(_ROLES))
        self._serials: Iterator[int] = itertools.count(1)
        self._changed_at: dict[Place, Moment] = {}
        self._place_of: dict[str, Place] = {}
        """By every head that there ever was."""
        self.lost: dict[str, str] = {}
        """Repositories that are out of covend's reach, and how."""

    def new_id(self) -> str:
        """Make an id of a delivery; the same ones in every run."""
        return str(UUID(int=next(self._serials) | 4 << 76 | 8 << 60))

    # --- what happens -----------------------------------------------------------------------------

    def push(self, place: Place) -> Told | None:
        """Open it, open it again, or give it a new head. Here and below: nobody is told of what
        happens where covend is not installed.
        """
        before, head = self.forge.heads.get(place), fresh_sha("head", next(self._serials))
        self.forge.heads[place] = head
        self._place_of[head] = place
        self._changed_at[place] = self.at
        if before is None:
            return self._tell("pull_request.opened", place)
        if place in self.forge.closed:
            self.forge.closed.discard(place)
            return self._tell("pull_request.reopened", place)
        return self._tell("pull_request.synchronize", place, before=before)

    def close(self, place: Place) -> Told | None:
        """Close it, or open it again as it was; None where it was never opened."""
        if place not in self.forge.heads:
            return None
        self._changed_at[place] = self.at
        if place in self.forge.closed:
            self.forge.closed.discard(place)
            return self._tell("pull_request.reopened", place)
        self.forge.closed.add(place)
        return self._tell("pull_request.closed", place)

    def say(self, place: Place, words: str, who: Account) -> Told | None:
        """Write a comment; None where there is nothing to comment on."""
        if place not in self.forge.heads:
            return None
        self._changed_at[place] = self.at
        association = "NONE" if who is STRANGER else "MEMBER"
        return self._tell(
            "issue_comment.created", place, sender=who, text=words, association=association
        )

    def check(self, place: Place, said: str) -> Told | None:
        """Let the tests of others end on the head; None where there is none."""
        head = self.forge.heads.get(place)
        if head is None:
            return None
        self.forge.checked[head] = said
        return self._tell("check_run.completed", place)

    def rerequest(self, pick: int, *, is_of_all: bool) -> Told | None:
        """Ask for a check again, or for all of its head; None where none has ended."""
        ended = [
            each
            for each in map(self.forge.shown.__getitem__, self._checks())
            if each["status"] == "completed"
        ]
        if not ended:
            return None
        check = ended[-1 - pick % len(ended)]
        name, head = "check_suite" if is_of_all else "check_run", check["head_sha"]
        serial = next(self._serials)
        asked = {"id": serial, "head_sha": head, "pull_requests": []}
        if not is_of_all:
            asked["external_id"] = check["external_id"]
        place = self._place_of[head]
        told = self._tell_of(
            f"{name}.rerequested",
            place,
            {name: asked, "sender": {"login": RERUNNER.login, "id": RERUNNER.id, "type": "User"}},
            head=head,
        )
        if told is not None:
            self.forge.asked.add(head)
        return told

    def _checks(self) -> list[int]:
        return [each.remote for each in self.forge.made("check")]

    def lose(self, repository: str, how: str) -> Told:
        """Take a repository out of covend's reach, in one of several ways."""
        told = self._tell_of_installation(_LOSSES[how], repository)
        self.lost[repository] = how
        self.forge.out_of_reach.add(repository)
        return told

    def give_back(self, repository: str) -> Told | None:
        """Undo it; None where nothing is lost, or for good."""
        how = self.lost.get(repository)
        if how not in _GIVEN_BACK:
            return None
        del self.lost[repository]
        self.forge.out_of_reach.discard(repository)
        return self._tell_of_installation(_GIVEN_BACK[how], repository)

    # --- how it is told ---------------------------------------------------------------------------

    def _tell(
        self,
        name: str,
        place: Place,
        *,
        sender: Account | None = None,
        text: str = "",
        association: str | None = None,
        before: str | None = None,
    ) -> Told | None:
        scene = self._scene(place, sender or ASKERS[place], text)
        payload = payloads.SAMPLES[name](scene)
        _adapt(payload, association=association, before=before)
        return self._keep(name, place, payload, self.forge.heads[place], self._changed_at[place])

    def _tell_of(
        self, name: str, place: Place, payload: dict[str, Any], *, head: str
    ) -> Told | None:
        """Tell of something beside a subject."""
        repository, _ = place
        hosted = self._scene(place, KEEPER, "").repository
        payload |= {
            "action": name.rpartition(".")[2],
            "repository": {"id": hosted.id, "full_name": repository},
            "installation": {"id": _INSTALLATIONS[repository]},
        }
        return self._keep(name, place, payload, head, self.at)

    def _tell_of_installation(self, name: str, repository: str) -> Told:
        _event, _, action = name.partition(".")
        place = next(each for each in PLACES if each[0] == repository)
        stub = {"id": self._scene(place, KEEPER, "").repository.id, "full_name": repository}
        installation = {
            "id": _INSTALLATIONS[repository],
            "account": {"login": "acme"},
            "updated_at": datetime.fromtimestamp(self.at / 1000, UTC).isoformat(),
        }
        payload = {"action": action, "installation": installation, f"repositories_{action}": [stub]}
        told = self._keep(name, (repository, 0), payload, "", self.at)
        assert told is not None
        return told

    def _keep(
        self, name: str, place: Place, payload: dict[str, Any], head: str, at: Moment
    ) -> Told | None:
        if place[0] in self.lost:
            return None
        told = Told(
            name=name,
            place=place,
            head=head,
            body=payloads.encode(payload),
            delivery=self.new_id(),
            at=at // 1000 * 1000,
        )
        self.told.append(told)
        return told

    def _scene(self, place: Place, sender: Account, text: str) -> Scene:
        repository, number = place
        moment = datetime.fromtimestamp(self._changed_at[place] / 1000, UTC)
        scene = payloads.scene(
            now=moment,
            serial=next(self._serials),
            repository=repository,
            number=number,
            head_sha=self.forge.heads[place],
            base_sha="b" * 40,
            sender=sender,
            installation_id=_INSTALLATIONS[repository],
            text=text,
        )
        author = ASKERS[place]
        association = "NONE" if author is STRANGER else "MEMBER"
        state = "closed" if place in self.forge.closed else "open"
        pull = replace(scene.pull, author=author, association=association, state=state)
        return replace(scene, pull=pull)


def _adapt(payload: dict[str, Any], *, association: str | None, before: str | None) -> None:
    if before is not None:
        payload["before"] = before
    if association is not None:
        payload["comment"]["author_association"] = association
