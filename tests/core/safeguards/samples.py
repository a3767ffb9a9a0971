"""Tasks and policies for the safeguards, and a world of rows that answers what a claim asks."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from covend.core.bounds import Safeguards
from covend.core.ending import Ending, Result
from covend.core.model import Conclusion, Moment, Subject, SubjectType, Task, TaskId, Trust
from covend.core.safeguards.gate import judge, questions
from covend.core.safeguards.learning import Ended, learn, lesson_ids
from covend.core.safeguards.shapes import (
    Candidate,
    Decision,
    Facts,
    Lesson,
    Pass,
    Safeguard,
    SafeguardKind,
    Scope,
    SpendingId,
    Spent,
    Terms,
)
from covend.core.settings import Agent, Policy, Rule
from covend.core.states import Outcome, TaskState

NOW = 1_754_000_000_000
"""2025-07-31 22:13:20 UTC"""
HOUR_MS = 3_600_000
HOST = "api.github.com"


def a_task(task: str = "t1", **changes: Any) -> Task:
    """A review of acme/till#7, queued."""
    plain: dict[str, Any] = {
        "id": TaskId(task),
        "state": TaskState.QUEUED,
        "reason": "new",
        "not_before_at": NOW,
        "rule": "review",
        "agent": "claude",
        "priority": 0,
        "key": f"review:17:{task}",
        "generation": 1,
        "policy": "sha",
        "trust": Trust.WRITE,
        "event": "pull_request",
        "installation_id": 5,
        "repository_id": 17,
        "repository": "Acme/Till",
        "default_branch": "main",
        "clone_url": None,
        "subject": Subject(type=SubjectType.PULL_REQUEST, number=7),
        "command": None,
        "needs": frozenset(),
        "delivery": None,
        "attempts": 0,
        "failures": 0,
        "infrastructure_failures": 0,
        "created_at": NOW,
        "updated_at": NOW,
        "finished_at": None,
        "conclusion": None,
        "summary": None,
        "error_code": None,
        "error_message": None,
        "cost_usd": None,
        "repository_key": "17",
        "actor": "mona",
    }
    return Task(**plain | changes)


def an_agent(name: str = "claude", **changes: Any) -> Agent:
    return Agent(name=name, command=(name,), **changes)


def a_policy(*fallbacks: Agent, agent: Agent | None = None, **rule: Any) -> Policy:
    """The rule `review`, done by claude."""
    plain: dict[str, Any] = {"name": "review", "on": (), "agent": "claude", "prompt": ""}
    return Policy(
        sha256="sha", rule=Rule(**plain | rule), agent=agent or an_agent(), fallbacks=fallbacks
    )


def success(conclusion: Conclusion = Conclusion.SUCCESS) -> Ending:
    return Ending(outcome=Outcome.SUCCEEDED, result=Result(conclusion=conclusion))


def failure(code: str, message: str = "", **changes: Any) -> Ending:
    result = Result(conclusion=Conclusion.FAILURE)
    plain = Ending(
        outcome=Outcome.FAILED, result=result, error_code=code, error_message=message or code
    )
    return replace(plain, **changes)


def guard(safeguard: str, state: str, until: Moment | None = None, **values: Any) -> Safeguard:
    """A row as the store gives it."""
    kind, _, scope = safeguard.partition("/")
    return Safeguard(
        id=safeguard,
        kind=SafeguardKind(kind),
        scope=scope,
        state=state,
        reason="",
        until=until,
        values=values,
    )


@dataclass(kw_only=True)
class World:
    """What a store would hold: started attempts, safeguards, spending, running tasks."""

    terms: Terms = field(default_factory=lambda: Terms(concurrency=4, host=HOST))
    now: Moment = NOW
    guards: dict[str, Safeguard] = field(default_factory=dict)
    starts: list[tuple[Task, Moment]] = field(default_factory=list)
    spent: dict[SpendingId, Spent] = field(default_factory=dict)
    running: set[TaskId] = field(default_factory=set)
    is_key_busy: bool = False

    def put(self, *guards: Safeguard) -> None:
        self.guards.update({each.id: each for each in guards})

    def judge(self, task: Task, policy: Policy | None = None) -> Decision:
        """Judge by what is read for the questions, and nothing else."""
        candidate = Candidate(task=task, policy=policy or a_policy())
        asked = questions(candidate, self.terms, self.now)
        facts = Facts(
            now=self.now,
            is_key_busy=self.is_key_busy,
            running=frozenset(self.running),
            guards={each: self.guards[each] for each in asked.guards if each in self.guards},
            rates=tuple(self._start(*each) for each in asked.rates),
            spent={each: self.spent[each] for each in asked.spending if each in self.spent},
        )
        return judge(candidate, self.terms, facts)

    def claim(self, task: Task, policy: Policy | None = None) -> Decision:
        """Judge, and write what follows."""
        decision = self.judge(task, policy)
        if isinstance(decision, Pass):
            self.put(*decision.writes)
            self.running.add(task.id)
            self.starts.append((task, self.now))
        return decision

    def end(
        self,
        task: Task,
        ending: Ending,
        target: TaskState = TaskState.QUEUED,
        policy: Policy | None = None,
    ) -> Lesson:
        """End an attempt, and write what is learned."""
        hosts = (HOST,)
        ended = Ended(
            task=task,
            policy=policy or a_policy(),
            ending=ending,
            target=target,
            settings=self.terms.safeguards,
            hosts=hosts,
            now=self.now,
        )
        ids = lesson_ids(task, task.agent, hosts)
        lesson = learn(ended, {each: self.guards[each] for each in ids if each in self.guards})
        assert {each.id for each in lesson.writes} | set(lesson.removes) <= set(ids)
        self.put(*lesson.writes)
        for each in lesson.removes:
            del self.guards[each]
        self.running.discard(task.id)
        return lesson

    def complete(self, task: Task, conclusion: Conclusion = Conclusion.SUCCESS) -> Lesson:
        return self.end(task, success(conclusion), TaskState.COMPLETED)

    def fail(self, task: Task, ending: Ending) -> Lesson:
        return self.end(task, ending, TaskState.FAILED)

    def _start(self, scope: Scope, after: Moment, count: int) -> Moment | None:
        fitting = [at for task, at in self.starts if _fits(scope, task) and at > after]
        return sorted(fitting, reverse=True)[count - 1] if len(fitting) >= count else None


def guarded(**safeguards: Any) -> World:
    """A world whose safeguards are set so."""
    return World(terms=Terms(concurrency=4, host=HOST, safeguards=Safeguards(**safeguards)))


def _fits(scope: Scope, task: Task) -> bool:
    pairs = (
        (scope.rule, task.rule),
        (scope.agent, task.agent),
        (scope.actor, task.actor),
        (scope.repository_key, task.repository_key),
        (scope.subject_number, task.subject.number),
        (scope.installation_id, task.installation_id),
    )
    return all(asked is None or asked == value for asked, value in pairs)
