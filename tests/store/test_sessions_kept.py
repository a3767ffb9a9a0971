"""Which session a later attempt at the same subject is offered, and who may note one."""

from __future__ import annotations

import re
import sqlite3
from dataclasses import replace

import pytest

from covend.core.ending import Ending, Result
from covend.core.errors import ClaimLostError
from covend.core.model import (
    Attempt,
    Claim,
    ClaimToken,
    Conclusion,
    Mode,
    Subject,
    SubjectType,
    Trust,
    Usage,
)
from covend.core.sessions import SESSION_AGE_MAX_S, Session
from covend.core.states import Outcome, TaskState
from covend.store.protocol import Settlement, Started
from tests.store.arrivals import NOW, Database, arrival, draft, numbers, terms

PULL = Subject(type=SubjectType.PULL_REQUEST, number=7, head_sha="a" * 40)


async def claimed(
    database: Database,
    subject: Subject = PULL,
    *,
    repository_id: int = 1,
    node: str = "n",
    **more: object,
) -> Claim:
    """Accept a task on a subject and claim it."""
    accepted = await database.deliveries.accept(
        arrival(draft(subject=subject, **more), repository_id=repository_id)
    )
    claim = await taken(database, node)
    assert (claim.task.id,) == accepted.tasks
    return claim


async def taken(database: Database, node: str = "n") -> Claim:
    """Claim the one task that waits."""
    token = ClaimToken(f"token-{next(numbers)}")
    found = await database.tasks.claim(node=node, token=token, now=NOW, lease_s=90.0, terms=terms())
    assert found.claim is not None
    return found.claim


def settlement(session: str | None = None, error_code: str | None = None) -> Settlement:
    """Give the end of an attempt that had a session."""
    used = Usage(input_tokens=100, output_tokens=10)
    result = Result(conclusion=Conclusion.NEUTRAL, summary="Looked.", session=session, usage=used)
    outcome = Outcome.FAILED if error_code else Outcome.SUCCEEDED
    return Settlement(
        target=TaskState.FAILED if error_code else TaskState.COMPLETED,
        reason="r",
        ending=Ending(outcome=outcome, result=result, error_code=error_code),
    )


async def ended(
    database: Database,
    session: str | None = "s1",
    error_code: str | None = None,
    *,
    claim: Claim | None = None,
    now: int = NOW,
) -> Claim:
    """Have an attempt in a directory of its own, and end it."""
    claim = claim or await claimed(database)
    name = f"{claim.task.id}-{claim.attempt}"
    assert await database.tasks.note_mode(claim, mode=Mode.FRESH, workspace=name)
    await database.tasks.settle(claim, settlement(session, error_code), now)
    return claim


async def offered(database: Database, claim: Claim, now: int = NOW) -> str | None:
    """Give the id of the session that a claimed attempt is offered."""
    session = await database.tasks.last_session(claim.task, now)
    if session is None:
        return None
    assert session.id
    return session.id


async def attempt_of(database: Database, claim: Claim) -> Attempt:
    story = await database.tasks.story(claim.task.id)
    assert story is not None
    return story.attempts[-1]


async def test_a_follow_up_is_offered_the_session_with_what_came_of_it(database: Database) -> None:
    first = await ended(database)
    second = await claimed(database)
    assert await database.tasks.last_session(second.task, NOW) == Session(
        id="s1",
        task=first.task.id,
        agent="echo",
        workspace=f"{first.task.id}-1",
        ended_at=NOW,
        used=Usage(input_tokens=100, output_tokens=10),
        conclusion=Conclusion.NEUTRAL,
        summary="Looked.",
    )


async def test_a_retry_is_offered_the_session_of_the_try_before(database: Database) -> None:
    claim = await claimed(database)
    await database.tasks.note_mode(claim, mode=Mode.FRESH, workspace="w")
    again = replace(settlement("s1", "overloaded"), target=TaskState.QUEUED, not_before_at=NOW)
    await database.tasks.settle(claim, again, NOW)
    second = await taken(database)
    session = await database.tasks.last_session(second.task, NOW)
    assert session is not None
    assert (session.id, session.summary) == ("s1", None)


async def test_the_newest_session_is_offered(database: Database) -> None:
    await ended(database, "s1")
    await ended(database, "s2")
    assert await offered(database, await claimed(database)) == "s2"


@pytest.mark.parametrize(
    "other",
    [
        {"subject": Subject(type=SubjectType.PULL_REQUEST, number=8)},
        {"subject": Subject(type=SubjectType.ISSUE, number=7)},
        {"repository_id": 2},
        {"rule": "fix"},
        {"agent": "claude"},
        {"trust": Trust.FORK},
        {"node": "another"},
    ],
    ids=str,
)
async def test_other_work_is_offered_nothing(database: Database, other: dict[str, object]) -> None:
    await ended(database)
    assert await offered(database, await claimed(database, **other)) is None  # type: ignore[arg-type]
    assert await offered(database, await claimed(database)) == "s1"


@pytest.mark.parametrize("type_", [SubjectType.NONE, SubjectType.COMMIT])
async def test_work_on_a_commit_or_on_nothing_has_no_follow_up(
    database: Database, type_: SubjectType
) -> None:
    subject = Subject(type=type_, number=7)
    await ended(database, claim=await claimed(database, subject))
    assert await offered(database, await claimed(database, subject)) is None


async def test_an_old_session_is_not_offered(database: Database) -> None:
    await ended(database)
    claim = await claimed(database)
    over = NOW + round(SESSION_AGE_MAX_S * 1000)
    assert await offered(database, claim, over - 1) == "s1"
    assert await offered(database, claim, over) is None


@pytest.mark.parametrize("code", ["session_unknown", "invalid_request", "refused"])
async def test_a_session_that_would_fail_again_is_not_offered_nor_is_an_older_one(
    database: Database, code: str
) -> None:
    await ended(database, "s0")
    await ended(database, "s1", code)
    assert await offered(database, await claimed(database)) is None


async def test_an_attempt_that_never_had_a_session_hides_none(database: Database) -> None:
    await ended(database, "s1")
    await ended(database, None, "agent_not_found")
    assert await offered(database, await claimed(database)) == "s1"


async def resumed(database: Database) -> tuple[Claim, Session]:
    """Have an attempt go on with the session of an earlier one, in its directory."""
    await ended(database)
    claim = await claimed(database)
    session = await database.tasks.last_session(claim.task, NOW)
    assert session is not None
    assert await database.tasks.note_mode(
        claim, mode=Mode.RESUME, workspace=session.workspace, resumes=session
    )
    return claim, session


async def test_a_session_whose_directory_is_in_use_is_not_offered(database: Database) -> None:
    claim, session = await resumed(database)
    other = await claimed(database)
    assert await offered(database, other) is None
    await database.tasks.settle(claim, settlement("s1"), NOW)
    found = await database.tasks.last_session(other.task, NOW)
    assert found is not None
    assert (found.id, found.workspace) == ("s1", session.workspace)


async def test_two_attempts_never_work_in_one_directory(database: Database) -> None:
    claim, session = await resumed(database)
    other = await claimed(database)
    name = session.workspace
    assert not await database.tasks.note_mode(other, mode=Mode.RESUME, workspace=name)
    assert (await attempt_of(database, other)).workspace is None
    assert await database.tasks.note_mode(claim, mode=Mode.FRESH, workspace=name)
    writer = database.connection._writer  # noqa: SLF001  by hand, past every query
    with pytest.raises(sqlite3.IntegrityError):
        writer.execute("UPDATE attempts SET workspace = ? WHERE outcome IS NULL", (name,))


async def test_a_resumed_attempt_tells_its_session_before_its_agent_does(
    database: Database,
) -> None:
    claim, session = await resumed(database)
    attempt = await attempt_of(database, claim)
    assert (attempt.mode, attempt.session, attempt.resumes) == (Mode.RESUME, "s1", "s1")
    assert attempt.workspace == session.workspace


async def test_a_session_uses_up_what_all_its_attempts_did(database: Database) -> None:
    claim, _ = await resumed(database)
    await database.tasks.settle(claim, settlement("s1"), NOW)
    session = await database.tasks.last_session((await claimed(database)).task, NOW)
    assert session is not None
    assert session.used == Usage(input_tokens=200, output_tokens=20)


async def test_an_attempt_that_tells_no_session_any_more_keeps_the_one_it_had(
    database: Database,
) -> None:
    claim, _ = await resumed(database)
    await database.tasks.settle(claim, settlement(None, "timed_out"), NOW)
    attempt = await attempt_of(database, claim)
    assert (attempt.mode, attempt.session) == (Mode.RESUME, "s1")
    assert await offered(database, await claimed(database)) == "s1"


@pytest.mark.parametrize("is_told_early", [True, False])
async def test_an_agent_that_begins_a_new_session_by_itself_was_fresh(
    database: Database, is_told_early: bool
) -> None:
    claim, _ = await resumed(database)
    if is_told_early:
        await database.tasks.note_session(claim, "s2")
    await database.tasks.settle(claim, settlement("s2"), NOW)
    attempt = await attempt_of(database, claim)
    assert (attempt.mode, attempt.session, attempt.resumes) == (Mode.FRESH, "s2", "s1")
    session = await database.tasks.last_session((await claimed(database)).task, NOW)
    assert session is not None
    assert (session.id, session.used.input_tokens) == ("s2", 100)


async def test_a_session_that_could_not_be_resumed_is_not_offered_again(
    database: Database,
) -> None:
    claim, session = await resumed(database)
    assert await database.tasks.note_mode(
        claim, mode=Mode.FRESH, workspace=session.workspace, resumes=session
    )
    await database.tasks.settle(claim, settlement(None, "network"), NOW)
    attempt = await attempt_of(database, claim)
    assert (attempt.mode, attempt.session, attempt.resumes) == (Mode.FRESH, None, "s1")
    assert await offered(database, await claimed(database)) is None


async def test_a_session_outlives_the_daemon_that_saw_it_begin(database: Database) -> None:
    claim = await claimed(database)
    await database.tasks.note_mode(claim, mode=Mode.FRESH, workspace="w")
    await database.tasks.note_session(claim, "s1")
    lost = Settlement(
        target=TaskState.QUEUED,
        reason="lost",
        ending=Ending(outcome=Outcome.LOST, result=Result()),
        not_before_at=NOW,
    )
    await database.tasks.settle(claim, lost, NOW)
    assert await offered(database, await taken(database)) == "s1"


async def test_notes_are_taken_from_the_attempt_itself_alone(database: Database) -> None:
    claim = await claimed(database)
    stranger = replace(claim, token=ClaimToken("another"))
    with pytest.raises(ClaimLostError):
        await database.tasks.note_mode(stranger, mode=Mode.FRESH, workspace="w")
    with pytest.raises(ClaimLostError):
        await database.tasks.note_session(stranger, "s")
    attempt = await attempt_of(database, claim)
    assert (attempt.workspace, attempt.session) == (None, None)


async def test_what_holds_the_processes_is_kept(database: Database) -> None:
    claim = await claimed(database)
    started = Started(pid=1, pid_started=2, boot_id="b", cgroup="/sys/fs/cgroup/covend/t-1")
    await database.tasks.note_process(claim, started)
    assert (await attempt_of(database, claim)).cgroup == "/sys/fs/cgroup/covend/t-1"


async def test_finding_a_session_reads_the_subjects_own_tasks_alone(database: Database) -> None:
    writer, queries = database.connection._writer, database.connection._queries  # noqa: SLF001
    values = {"task_id": "t", "too_old_at": 0, "unusable": "[]"}
    plan = writer.execute(
        "EXPLAIN QUERY PLAN " + queries["find_last_session"].text, values
    ).fetchall()
    lines = [row["detail"] for row in plan]
    assert any(
        "tasks_by_subject (repository_key=? AND subject_number=? AND rule=?" in line
        for line in lines
    ), lines
    assert any("attempt_one_open_per_workspace (workspace=?)" in line for line in lines), lines
    scanned = {line.split()[1] for line in lines if line.startswith("SCAN")}
    assert scanned == {"n", "u"}, lines  # the one row that was found, and the list it is held to
    assert not any("TEMP B-TREE" in line for line in lines), lines


async def test_looking_for_the_directory_reads_no_other_attempts(database: Database) -> None:
    writer, queries = database.connection._writer, database.connection._queries  # noqa: SLF001
    query = queries["note_mode"].text
    values = dict.fromkeys(re.findall(r":(\w+)", query), "")
    plan = writer.execute("EXPLAIN QUERY PLAN " + query, values).fetchall()
    lines = [row["detail"] for row in plan]
    assert not any("SCAN" in line or "TEMP B-TREE" in line for line in lines), lines
