"""Decides what the safeguards learn from the end of an attempt.

The store reads the rows that `lesson_ids` names in the transaction that settles the attempt, and
writes what `learn` answers; each safeguard counts for itself, in a file of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from covend.core.bounds import Safeguards
from covend.core.ending import Ending
from covend.core.errors import InvalidResultError
from covend.core.failures import Source, source_of
from covend.core.model import Moment, Task
from covend.core.presets.stream import Failure
from covend.core.safeguards import circuit, crash_loop, loop, names
from covend.core.safeguards.circuit import News, Word
from covend.core.safeguards.shapes import EVERYTHING, Lesson, Safeguard, Scope
from covend.core.settings import Checkout, Policy
from covend.core.states import Outcome, TaskState

_WITH_AN_ANSWER = frozenset(
    {
        "agent_error",
        InvalidResultError.code,
        Failure.INVALID_REQUEST.value,
        Failure.BUDGET.value,
        Failure.MAX_TURNS.value,
        Failure.REFUSED.value,
    },
)
"""Failures of an agent whose service has answered."""
_ENDED = frozenset({Outcome.FAILED, Outcome.TIMED_OUT, Outcome.IDLE_TIMED_OUT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """An attempt that has ended, and what becomes of its task."""

    task: Task
    """As it was when the attempt was claimed: its agent is the attempt's."""
    policy: Policy
    ending: Ending
    target: TaskState
    settings: Safeguards
    hosts: tuple[str, ...]
    """The outside hosts that an attempt of this daemon needs."""
    now: Moment


def lesson_ids(task: Task, agent: str, hosts: Sequence[str]) -> tuple[str, ...]:
    """List the safeguards that have to be read to learn from an end; `agent` is its name."""
    found = (
        names.loop(task),
        names.crash_loop(agent, task),
        names.agent_circuit(agent),
        *(names.host_circuit(host) for host in hosts),
    )
    return tuple(each for each in found if each is not None)


def learn(ended: Ended, guards: Mapping[str, Safeguard]) -> Lesson:
    """Say what is to be written, removed and released; `guards` are the rows that there are of
    `lesson_ids`.
    """
    return _together(_lessons(ended, guards))


def _lessons(ended: Ended, guards: Mapping[str, Safeguard]) -> Iterator[Lesson]:
    task, ending, settings, now = ended.task, ended.ending, ended.settings, ended.now
    subject = guards.get(names.loop(task) or "")
    yield loop.learn(task, ending, ended.target, subject, settings.loop, now)
    suppression = guards.get(names.crash_loop(task.agent, task) or "")
    yield crash_loop.learn(task, ending, suppression, settings.crash_loop, now)
    for safeguard, news in _news(ended):
        guard = guards.get(safeguard)
        yield circuit.learn(safeguard, guard, news, settings.circuit, now)


def _news(ended: Ended) -> Iterator[tuple[str, News]]:
    """Say what the end tells of the agent's service, and of each host."""
    task, ending = ended.task, ended.ending
    code = ending.error_code or ending.outcome
    agent = News(
        word=_word_of_agent(ending), code=code, task=task.id, scope=Scope(agent=task.agent)
    )
    yield names.agent_circuit(task.agent), agent
    for host in ended.hosts:
        news = News(word=_word_of_host(ended), code=code, task=task.id, scope=EVERYTHING)
        yield names.host_circuit(host), news


def _word_of_agent(ending: Ending) -> Word:
    """Say what the end tells of the agent's service; an agent that fell over tells nothing."""
    if ending.outcome is Outcome.SUCCEEDED:
        return Word.ANSWERED
    if ending.outcome is not Outcome.FAILED:
        return Word.NOTHING
    if source_of(ending) is Source.SERVICE:
        return Word.FAILED
    return Word.ANSWERED if ending.error_code in _WITH_AN_ANSWER else Word.NOTHING


def _word_of_host(ended: Ended) -> Word:
    """Say what the end tells of the forge: whoever got past a checkout has been answered."""
    ending = ended.ending
    has_succeeded = ending.outcome is Outcome.SUCCEEDED
    if not has_succeeded and ending.outcome not in _ENDED:
        return Word.NOTHING
    if not has_succeeded and source_of(ending) is Source.HOST:
        return Word.FAILED
    has_begun = has_succeeded or source_of(ending) in (Source.AGENT, Source.SERVICE)
    has_asked = ended.task.repository and ended.policy.rule.checkout is not Checkout.NONE
    return Word.ANSWERED if has_begun and has_asked else Word.NOTHING


def _together(lessons: Iterable[Lesson]) -> Lesson:
    found = tuple(lessons)
    return Lesson(
        writes=tuple(each for lesson in found for each in lesson.writes),
        removes=tuple(each for lesson in found for each in lesson.removes),
        releases=tuple(each for lesson in found for each in lesson.releases),
        trips=tuple(each for lesson in found for each in lesson.trips),
    )
