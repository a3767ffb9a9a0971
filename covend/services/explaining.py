"""Explains what would become of a payload, a stored delivery or a live pull request; it starts
nothing and writes nothing.

With `is_live` GitHub is asked for what the payload lacks, as ripening asks; without, it is said
what would be asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import orjson
from msgspec import structs

from covend.core import intake
from covend.core.errors import ConflictError, GitHubError, NotFoundError, UserError
from covend.core.intake import Accepted, Refused
from covend.core.model import DeliveryId, SubjectType, TaskId, Via
from covend.core.rules.admission import trust_of
from covend.core.rules.drafted import task_of
from covend.core.rules.explanation import Asked, Explanation, Prospect, explain
from covend.core.rules.prepared import choose
from covend.core.rules.routing import Reason
from covend.core.rules.verdicts import Routing, TaskDraft, Verdict
from covend.core.safeguards.shapes import Candidate
from covend.core.scopes import COMMENT_ON, GRANTS, ON_THREADS
from covend.core.settings import Checkout, Rule
from covend.edges.github.client import GitHubClient
from covend.edges.github.errors import NotFound
from covend.edges.github.live_pulls import payload_of, read_pull
from covend.services import looking_up
from covend.services.clock import Clock
from covend.services.looking_up import LOOK_UPS, LookUps, Refusal
from covend.services.repositories import Repositories
from covend.services.rulings import Rulings
from covend.services.unavailable import as_unavailable
from covend.store.protocol import Arrival, Deliveries, Outlook, Tasks, Wanted

ACTIONS = ("synchronize", "opened", "ready_for_review", "reopened", "labeled", "edited")
"""What a live pull request is taken for: the first of these that a rule listens to."""
UNHEARD = frozenset({Reason.EVENT_NOT_WANTED, Reason.NO_RULE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A store to look into."""

    deliveries: Deliveries
    tasks: Tasks
    outlook: Outlook


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What look-ups have made of the drafts and verdicts."""

    routing: Routing
    verdicts: tuple[Verdict, ...]
    refusals: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class Explaining:
    """What `explain` asks, with a daemon or without."""

    def __init__(
        self,
        *,
        rules: Rulings,
        mention: str | None,
        clock: Clock,
        stored: Stored | None,
        github: GitHubClient | None = None,
    ) -> None:
        """Judge by `rules`; without a store or GitHub, say what could not be looked at."""
        self._rules = rules
        self._mention = mention
        self._clock = clock
        self._stored = stored
        self._github = github
        self._look_ups = None
        self._repositories = None
        if github is not None and stored is not None:
            self._look_ups = LookUps(deliveries=stored.deliveries, github=github, mention=mention)
            self._repositories = Repositories(tasks=stored.tasks, github=github)

    async def of_delivery(
        self, delivery: str, *, rule: str | None = None, is_live: bool = False
    ) -> Explanation:
        """Explain a stored delivery by today's rules, as if it came in now.

        Raises NotFoundError, ConflictError where it cannot be read any more, and StoreError.
        """
        assert self._stored is not None
        with as_unavailable():
            found = await self._stored.deliveries.find(DeliveryId(delivery))
            if found is None:
                raise NotFoundError(f"There is no delivery {delivery}.", id=delivery)
            source = found.delivery.source
            read = intake.reopen(found.headers, found.body, self._mention, source=source)
            if isinstance(read, Refused):
                message = f"Delivery {delivery} cannot be read any more."
                raise ConflictError(message, id=delivery)
            return await self._explain(read, rule, is_live=is_live)

    async def of_payload(
        self, event: str, payload: bytes, *, rule: str | None = None, is_live: bool = False
    ) -> Explanation:
        """Explain a payload of GitHub's, as if it came in now; UserError where it is none."""
        with as_unavailable():
            read = self._read(event, payload)
            return await self._explain(read, rule, is_live=is_live)

    async def of_pull(
        self, repository: str, number: int, *, rule: str | None = None
    ) -> Explanation:
        """Explain a pull request as it is on GitHub now, as if its author had just pushed.

        Raises NotFoundError where covend cannot see it, GitHubError, and StoreError.
        """
        assert self._github is not None
        assert self._repositories is not None
        with as_unavailable():
            known = await self._repositories.find(repository)
            installation = known.installation_id
            try:
                pull = await read_pull(self._github, installation, known.full_name, number)
            except NotFound as error:
                message = f"There is no pull request {repository}#{number} that covend may see."
                raise NotFoundError(message, repository=repository, number=number) from error
            read, action = self._as_heard(pull, installation)
            note = f"taken for pull_request.{action} by {read.event.sender}, as it is now"
            return await self._explain(read, rule, is_live=True, notes=(note,))

    def _as_heard(self, pull: Mapping[str, Any], installation: int | None) -> tuple[Accepted, str]:
        """Take a pull request for what some rule listens to; a closed one is closed."""
        actions = ("closed",) if pull.get("state") == "closed" else ACTIONS
        reads = [
            (self._read("pull_request", orjson.dumps(payload_of(pull, each, installation))), each)
            for each in actions
        ]
        heard = (each for each in reads if self._rules.route(each[0].event).reason not in UNHEARD)
        return next(heard, reads[0])

    def _read(self, event: str, payload: bytes) -> Accepted:
        headers = {
            "content-type": "application/json",
            "x-github-event": event,
            "x-github-delivery": str(uuid4()),
        }
        read = intake.reopen(headers, payload, self._mention)
        if isinstance(read, Refused):
            raise UserError(read.message)
        return read

    async def _explain(
        self, read: Accepted, rule: str | None, *, is_live: bool, notes: tuple[str, ...] = ()
    ) -> Explanation:
        event = read.event
        routing = self._rules.route(event)
        found = _Found(routing=routing, verdicts=routing.verdicts)
        if is_live and self._look_ups is not None:
            found = await self._look_up(read, routing, self._look_ups)
        prospects = await self._prospects(read, found)
        drafts = found.routing.drafts
        shown = tuple(each for each in found.verdicts if rule in (None, each.rule))
        return explain(
            Asked(
                event=event,
                routing=found.routing,
                verdicts=shown,
                policy_of=self._rules.policy,
                permissions=tuple(self._permissions(draft) for draft in drafts),
                terms=self._rules.terms(),
                chain_depth=self._rules.chain_depth(),
                now=self._clock.now(),
                refusals=found.refusals,
                prospects=prospects,
                notes=(*notes, *found.notes),
            )
        )

    async def _look_up(self, read: Accepted, routing: Routing, look_ups: LookUps) -> _Found:
        """Let GitHub tell what ripening would ask for, draft by draft."""
        verdicts = {verdict.rule: verdict for verdict in routing.verdicts}
        drafts, refusals, notes = [], dict[str, str](), list[str]()
        for draft in routing.drafts:
            policy = self._rules.policy(draft.rule, draft.trust)
            drafts.append(draft)
            if policy is None or not draft.needs & LOOK_UPS:
                continue
            asked = looking_up.Asked(
                task=task_of(draft, read.event, self._clock.now()),
                event=read.event,
                is_by_permission=policy.rule.allow is not None or draft.command is not None,
            )
            try:
                found = await look_ups.consider(asked, policy.rule)
            except GitHubError as error:
                notes.append(f"rule {draft.rule}: GitHub did not tell what is needed: {error}")
                continue
            if isinstance(found, Refusal):
                refusals[draft.rule] = found.message
                continue
            learnt, verdicts[draft.rule] = found
            drafts[-1] = self._settled(draft, read, learnt)
        routing = structs.replace(routing, drafts=tuple(drafts))
        return _Found(
            routing=routing,
            verdicts=tuple(verdicts[each.rule] for each in routing.verdicts),
            refusals=refusals,
            notes=tuple(notes),
        )

    def _settled(self, draft: TaskDraft, read: Accepted, learnt: looking_up.Learnt) -> TaskDraft:
        """Complete a draft by what was looked up; its key is that of its coming in."""
        trust = trust_of(read.event, learnt.known)
        changes: dict[str, Any] = {
            "trust": trust,
            "subject": learnt.complete(draft.subject),
            "needs": draft.needs - LOOK_UPS,
        }
        policy = self._rules.policy(draft.rule, trust)
        if policy is not None:
            chosen = choose(policy)
            changes |= {
                "agent": chosen.agent,
                "policy": chosen.policy,
                "fallbacks": chosen.fallbacks,
            }
        return structs.replace(draft, **changes)

    async def _prospects(self, read: Accepted, found: _Found) -> tuple[Prospect, ...] | None:
        if self._stored is None:
            return None
        now, routing = self._clock.now(), found.routing
        arrival = Arrival(
            envelope=read.envelope,
            event=read.event,
            via=Via.WEBHOOK,
            routing=routing,
            received_at=now,
            task_ids=tuple(TaskId(self._clock.new_id()) for _ in routing.drafts),
        )
        foreseen = await self._stored.deliveries.foresee(arrival)
        prospects = []
        for draft, meeting in zip(routing.drafts, foreseen.meetings, strict=True):
            policy = self._rules.policy(draft.rule, draft.trust)
            assert policy is not None, "it was routed by it"
            candidate = Candidate(task=task_of(draft, read.event, now), policy=policy)
            wanted = Wanted(candidate=candidate, terms=self._rules.terms(), meeting=meeting)
            looked = self._stored.outlook.prospect(wanted, now, has_room=foreseen.has_room)
            prospects.append(await looked)
        return tuple(prospects)

    def _permissions(self, draft: TaskDraft) -> Mapping[str, str]:
        policy = self._rules.policy(draft.rule, draft.trust)
        return {} if policy is None else token_scope(policy.rule, draft.subject.type)


def token_scope(rule: Rule, subject: SubjectType) -> dict[str, str]:
    """Give the permissions of all tokens that covend asks for on behalf of a rule's work.

    Each request's own token has only those of its line in `core.scopes`.
    """
    scopes = [{"metadata": "read"}]
    if rule.checkout is not Checkout.NONE:
        scopes.append({"contents": "read"})
    if subject is SubjectType.PULL_REQUEST:
        scopes.append({"pull_requests": "read"})
    for kind in rule.publish:
        scope = COMMENT_ON.get(subject, {}) if kind in ON_THREADS else GRANTS.get(kind, {})
        scopes.append(dict(scope))
    scope = {}
    for each in scopes:
        scope |= {name: level for name, level in each.items() if scope.get(name) != "write"}
    return dict(sorted(scope.items()))
