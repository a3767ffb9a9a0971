"""Every verb in every state: each makes the moves that the tables give it, and no other ever."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count

import pytest
from msgspec import structs

from covend.core.errors import ClaimLostError
from covend.core.installing import (
    InstallationNews,
    InstallationState,
    News,
    RepositoryNews,
    RepositoryState,
)
from covend.core.model import (
    Claim,
    ClaimToken,
    EffectDraft,
    EffectId,
    EffectKind,
    Need,
    Subject,
    SubjectType,
    TaskId,
)
from covend.core.rules.verdicts import TaskDraft
from covend.core.states import EFFECT_MOVES, TASK_MOVES, EffectState, Outcome, TaskState
from covend.store.installing import StoredInstallations, keep_news
from covend.store.protocol import Arrival, Gone, Overdue, Settlement
from tests.store.arrivals import NOW, Database, arrival, draft
from tests.store.hand_endings import FAILED_AGAIN, ended
from tests.store.hand_gate import HandGate, take, taken

R, Q, RUN = TaskState.RECEIVED, TaskState.QUEUED, TaskState.RUNNING
OK, NO, OUT = TaskState.COMPLETED, TaskState.FAILED, TaskState.CANCELLED
OLD, IGN = TaskState.SUPERSEDED, TaskState.IGNORED


@dataclass(slots=True, kw_only=True)
class Case:
    """One task in one state, and who might hold it."""

    database: Database
    draft: TaskDraft
    id: TaskId
    claim: Claim | None = None

    async def state(self) -> TaskState:
        story = await self.database.tasks.story(self.id)
        assert story is not None
        return story.task.state

    async def settle(self, settlement: Settlement) -> None:
        """End it by its claim, or by one that never was."""
        story = await self.database.tasks.story(self.id)
        assert story is not None
        never = Claim(
            task=story.task, attempt=1, token=ClaimToken("x"), lease_until=0, started_at=0
        )
        with suppress(ClaimLostError):
            await self.database.tasks.settle(self.claim or never, settlement, NOW)

    async def end(self, target: TaskState, mark: str) -> None:
        """End it as what nobody is at, once it is marked so."""
        self.database.connection._writer.execute(  # noqa: SLF001  by hand, past every query
            f"UPDATE tasks SET {mark} WHERE id = ?", (self.id,)
        )
        story = await self.database.tasks.story(self.id)
        assert story is not None
        overdue = Overdue(task=story.task, target=target, reason="closed")
        await self.database.tasks.end(overdue, effects=(), now=NOW)


def telling(asked: Arrival, **changes: object) -> Arrival:
    """Let an arrival's event tell something else."""
    return structs.replace(asked, event=structs.replace(asked.event, **changes))


# --- the verbs ------------------------------------------------------------------------------------


async def ripen(case: Case) -> None:
    await case.database.tasks.ripen(case.id, Subject(), NOW)


async def approve(case: Case) -> None:
    await case.database.tasks.approve(case.id, by="@ann", now=NOW)


async def hold(case: Case) -> None:
    await case.database.tasks.hold(case.id, Subject(), NOW)


async def postpone(case: Case) -> None:
    await case.database.tasks.postpone(case.id, reason="r", until=NOW, now=NOW)


async def refuse(case: Case) -> None:
    await case.database.tasks.refuse(case.id, reason="r", message="m", now=NOW)


async def claim(case: Case) -> None:
    await take(case.database, HandGate())


async def cancel(case: Case) -> None:
    story = await case.database.tasks.story(case.id)
    assert story is not None
    await case.database.tasks.cancel(story.task, reason="operator", effects=(), now=NOW)


async def request_cancel(case: Case) -> None:
    await case.database.tasks.request_cancel(case.id, reason="operator", now=NOW)


async def retry(case: Case) -> None:
    await case.database.tasks.retry(case.id, reason="retry", now=NOW)


async def renew(case: Case) -> None:
    token = case.claim.token if case.claim else ClaimToken("x")
    await case.database.tasks.renew({token: case.id}, now=NOW, lease_s=9.0)


async def newer_head(case: Case) -> None:
    head = structs.replace(case.draft.subject, head_sha="f" * 40)
    key = f"{case.draft.key}:newer"
    newer = structs.replace(case.draft, subject=head, key=key, needs=frozenset())
    await case.database.deliveries.accept(telling(arrival(newer), subject_updated_at=NOW + 1_000))


async def withdraw(case: Case) -> None:
    story = await case.database.tasks.story(case.id)
    assert story is not None
    await case.database.tasks.withdraw(story.task, effects=(), reason="head_moved", now=NOW)


async def close(case: Case) -> None:
    news = {"action": "closed", "subject": case.draft.subject, "closed_at": NOW + 1_000}
    await case.database.deliveries.accept(telling(arrival(), **news))


async def end_gone(case: Case, reason: str) -> None:
    """End it as gone, once it is: its installation, or its repository."""
    story = await case.database.tasks.story(case.id)
    assert story is not None
    installations = StoredInstallations(case.database.connection)
    await installations.end(Gone(task=story.task, reason=reason), NOW)


async def lose_repository(case: Case) -> None:
    repository = RepositoryNews(id=1, full_name="acme/r1", state=RepositoryState.REMOVED)
    await tell(case.database, News(installation=None, repositories=(repository,)))
    await end_gone(case, "repository_removed")
    back = structs.replace(repository, state=RepositoryState.PRESENT)
    await tell(case.database, News(installation=None, repositories=(back,)))


async def lose_installation(case: Case) -> None:
    case.database.connection._writer.execute(  # noqa: SLF001  by hand, past every query
        "UPDATE tasks SET installation_id = 5 WHERE id = ?", (case.id,)
    )
    told = InstallationNews(
        id=5,
        account="acme",
        state=InstallationState.SUSPENDED,
        permissions={},
        events=(),
        told_at=NOW,
    )
    await tell(case.database, News(installation=told, repositories=()))
    await end_gone(case, "installation_suspended")


async def tell(database: Database, news: News) -> None:
    await database.connection.write(keep_news([(news, NOW)]))


def settling(settlement: Settlement) -> Callable[[Case], Awaitable[None]]:
    return lambda case: case.settle(settlement)


def ending(target: TaskState, mark: str) -> Callable[[Case], Awaitable[None]]:
    return lambda case: case.end(target, mark)


VERBS: Mapping[str, Callable[[Case], Awaitable[None]]] = {
    "ripen": ripen,
    "approve": approve,
    "hold": hold,
    "postpone": postpone,
    "refuse": refuse,
    "claim": claim,
    "cancel": cancel,
    "request_cancel": request_cancel,
    "retry": retry,
    "renew": renew,
    "newer_head": newer_head,
    "close": close,
    "withdraw": withdraw,
    "lose_repository": lose_repository,
    "lose_installation": lose_installation,
    "complete": settling(ended(OK)),
    "fail": settling(ended(NO, Outcome.FAILED)),
    "try_again": settling(FAILED_AGAIN),
    "defer": settling(replace(FAILED_AGAIN, is_deferred=True)),
    "fall_back": settling(replace(FAILED_AGAIN, agent="second")),
    "interrupt": settling(ended(Q, Outcome.INTERRUPTED)),
    "recover": settling(ended(Q, Outcome.LOST)),
    "stop": settling(ended(OUT, Outcome.CANCELLED)),
    "overtake": settling(ended(OLD, Outcome.SUPERSEDED)),
    "end_overtaken": ending(OLD, "superseded_by = 'newer'"),
    "end_closed": ending(OUT, "reason = 'closed'"),
    "end_aged": ending(NO, "retry_until_at = 0"),
}

MADE: Mapping[tuple[TaskState, str], TaskState] = {
    (R, "ripen"): Q,
    (R, "approve"): Q,
    (R, "refuse"): IGN,
    (R, "cancel"): OUT,
    (R, "newer_head"): OLD,
    (R, "close"): OUT,
    (R, "lose_repository"): IGN,
    (R, "lose_installation"): OUT,
    (Q, "claim"): RUN,
    (Q, "cancel"): OUT,
    (Q, "newer_head"): OLD,
    (Q, "close"): OUT,
    (Q, "lose_repository"): IGN,
    (Q, "lose_installation"): OUT,
    (Q, "end_overtaken"): OLD,
    (Q, "end_closed"): OUT,
    (Q, "end_aged"): NO,
    (RUN, "complete"): OK,
    (RUN, "fail"): NO,
    (RUN, "try_again"): Q,
    (RUN, "defer"): Q,
    (RUN, "fall_back"): Q,
    (RUN, "interrupt"): Q,
    (RUN, "recover"): Q,
    (RUN, "stop"): OUT,
    (RUN, "overtake"): OLD,
    (OK, "end_overtaken"): OLD,
    (OK, "withdraw"): OLD,
    (NO, "retry"): Q,
    (OUT, "retry"): Q,
}
"""What each verb makes of each state; in all others it changes none."""

priorities = count(1)


async def case_in(database: Database, state: TaskState) -> Case:
    """Bring a fresh task to a state by the verbs alone; it is the next that a claim would find."""
    number = next(priorities)
    wanted = draft(
        priority=number,
        is_by_head=True,
        needs=frozenset({Need.APPROVAL}) if state in (R, IGN) else frozenset(),
        subject=Subject(type=SubjectType.PULL_REQUEST, number=number, head_sha="a" * 40),
    )
    news = telling(arrival(wanted), subject_updated_at=NOW)
    (task,) = (await database.deliveries.accept(news)).tasks
    case = Case(database=database, draft=wanted, id=task)
    if state in (RUN, OK, NO):
        case.claim = await taken(database, HandGate())
        assert case.claim.task.id == task
    for name in {OK: ["complete"], NO: ["fail"], OUT: ["cancel"]}.get(state, []):
        await VERBS[name](case)
    if state is IGN:
        await refuse(case)
    if state is OLD:
        await newer_head(case)
    assert await case.state() is state
    return case


@pytest.mark.parametrize("state", [*TaskState])
async def test_a_verb_makes_its_moves_of_a_task_and_no_other(
    database: Database, state: TaskState
) -> None:
    for name, verb in VERBS.items():
        case = await case_in(database, state)
        await verb(case)
        assert await case.state() is MADE.get((state, name), state), name


def test_every_move_of_the_table_has_its_verb() -> None:
    assert {(state, target) for (state, _), target in MADE.items()} == set(TASK_MOVES)


# --- effects --------------------------------------------------------------------------------------


async def withhold(database: Database, effect: EffectId) -> None:
    """Let a newer head overtake its task, and withhold what is left of it."""
    database.connection._writer.execute(  # noqa: SLF001  by hand, past every query
        "UPDATE tasks SET superseded_by = 'newer'"
        " WHERE id = (SELECT task_id FROM effects WHERE id = ?)",
        (effect,),
    )
    await database.effects.withhold_overtaken(NOW)


async def postpone_installation(database: Database, effect: EffectId) -> None:
    found = await database.effects.find(effect)
    assert found is not None
    await database.effects.postpone_installation(found, error="x", until=NOW)


EffectVerb = Callable[[Database, EffectId], Awaitable[object]]
EFFECT_VERBS: Mapping[str, EffectVerb] = {
    "begin": lambda d, e: d.effects.begin(e, NOW),
    "finish": lambda d, e: d.effects.finish(e, remote_id="1", remote_url=None, now=NOW),
    "fail": lambda d, e: d.effects.fail(e, error="x", now=NOW),
    "retry": lambda d, e: d.effects.retry(e, error="x", until=NOW),
    "postpone": lambda d, e: d.effects.postpone(e, error="x", until=NOW),
    "doubt": lambda d, e: d.effects.doubt(e, error="x", until=NOW),
    "look_again": lambda d, e: d.effects.look_again(e, error="x", until=NOW),
    "doubt_all_sending": lambda d, _: d.effects.doubt_all_sending(NOW),
    "withhold_overtaken": withhold,
    "ask_again": lambda d, e: d.effects.ask_again(e, NOW),
    "postpone_installation": postpone_installation,
}
EFFECT_MADE: Mapping[tuple[EffectState, str], EffectState] = {
    (EffectState.PENDING, "begin"): EffectState.SENDING,
    (EffectState.PENDING, "withhold_overtaken"): EffectState.WITHHELD,
    (EffectState.SENDING, "finish"): EffectState.DONE,
    (EffectState.SENDING, "fail"): EffectState.FAILED,
    (EffectState.SENDING, "retry"): EffectState.PENDING,
    (EffectState.SENDING, "doubt"): EffectState.UNKNOWN,
    (EffectState.SENDING, "doubt_all_sending"): EffectState.UNKNOWN,
    (EffectState.SENDING, "postpone_installation"): EffectState.PENDING,
    (EffectState.FAILED, "ask_again"): EffectState.PENDING,
    (EffectState.UNKNOWN, "finish"): EffectState.DONE,
    (EffectState.UNKNOWN, "fail"): EffectState.FAILED,
    (EffectState.UNKNOWN, "retry"): EffectState.PENDING,
}
EFFECT_WAYS: Mapping[EffectState, tuple[str, ...]] = {
    EffectState.PENDING: (),
    EffectState.SENDING: ("begin",),
    EffectState.DONE: ("begin", "finish"),
    EffectState.FAILED: ("begin", "fail"),
    EffectState.UNKNOWN: ("begin", "doubt"),
    EffectState.WITHHELD: ("withhold_overtaken",),
}


async def effect_state(database: Database, effect: EffectId) -> EffectState:
    items, _ = await database.effects.page(limit=1_000)
    return {each.id: each.state for each in items}[effect]


@pytest.mark.parametrize("state", [*EffectState])
async def test_a_verb_makes_its_moves_of_an_effect_and_no_other(
    database: Database, state: EffectState
) -> None:
    for name, verb in EFFECT_VERBS.items():
        case = await case_in(database, RUN)
        effect = EffectId(f"e-{case.id}")
        seen = EffectDraft(
            kind=EffectKind.COMMENT, slot=effect, subject=effect, target="t", request={}
        )
        await case.settle(ended(effects=((effect, seen),)))
        for step in EFFECT_WAYS[state]:
            await EFFECT_VERBS[step](database, effect)
        assert await effect_state(database, effect) is state
        await verb(database, effect)
        assert await effect_state(database, effect) is EFFECT_MADE.get((state, name), state), name


def test_every_move_of_an_effect_has_its_verb() -> None:
    made = {(state, target) for (state, _), target in EFFECT_MADE.items()}
    assert made == set(EFFECT_MOVES)
