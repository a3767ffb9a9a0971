"""What a running attempt notes of itself, each note fenced by its claim; and the session that the
next one may go on with.
"""

from __future__ import annotations

import orjson

from covend.core.errors import ClaimLostError
from covend.core.model import Claim, Conclusion, Mode, Moment, Phase, Task, TaskId, Usage
from covend.core.sessions import SESSION_AGE_MAX_S, UNUSABLE, Session
from covend.store.connection import Answer, Ask, Row, Script, one
from covend.store.protocol import Started


def fenced(claim: Claim, ask: Ask) -> Script[Answer]:
    """Ask something that only the owner may; raise where no row was ours."""
    answer = yield ask
    if not answer.rows:
        raise _lost(claim)
    return answer


def note_process(claim: Claim, started: Started) -> Script[Answer]:
    """See `Tasks.note_process`."""
    return _note(
        claim,
        "note_process",
        pid=started.pid,
        pid_started=started.pid_started,
        boot_id=started.boot_id,
        cgroup=started.cgroup,
    )


def note_phase(claim: Claim, phase: Phase) -> Script[Answer]:
    """See `Tasks.note_phase`."""
    return _note(claim, "note_phase", phase=phase)


def note_session(claim: Claim, session: str) -> Script[Answer]:
    """See `Tasks.note_session`."""
    return _note(claim, "note_session", session=session)


def note_mode(claim: Claim, mode: Mode, workspace: str, resumes: Session | None) -> Script[bool]:
    """See `Tasks.note_mode`."""
    goes_on = resumes if mode is Mode.RESUME else None
    past = goes_on.used if goes_on else Usage()
    row = yield from one(
        "note_mode",
        task_id=claim.task.id,
        claim=claim.token,
        mode=mode,
        workspace=workspace,
        resumes=resumes.id if resumes else None,
        session=goes_on.id if goes_on else None,
        past_input_tokens=past.input_tokens or 0,
        past_output_tokens=past.output_tokens or 0,
    )
    if row is None:
        held = yield from one("find_open_attempt", task_id=claim.task.id)
        if held is None or held["claim"] != claim.token:
            raise _lost(claim)
    return row is not None


def last_session(task: Task, now: Moment) -> Script[Session | None]:
    """See `Tasks.last_session`."""
    row = yield from one(
        "find_last_session",
        task_id=task.id,
        too_old_at=now - round(SESSION_AGE_MAX_S * 1000),
        unusable=orjson.dumps(sorted(UNUSABLE)).decode(),
    )
    return _session_of(row) if row else None


def _session_of(row: Row) -> Session:
    return Session(
        id=row["session"],
        task=TaskId(row["task_id"]),
        agent=row["agent"],
        workspace=row["workspace"],
        ended_at=row["ended_at"],
        used=Usage(input_tokens=row["input_tokens"], output_tokens=row["output_tokens"]),
        conclusion=Conclusion(row["conclusion"]) if row["conclusion"] else None,
        summary=row["summary"],
    )


def _note(claim: Claim, query: str, **parameters: object) -> Script[Answer]:
    mine = {"task_id": claim.task.id, "claim": claim.token}
    return fenced(claim, Ask(query, mine | parameters))


def _lost(claim: Claim) -> ClaimLostError:
    return ClaimLostError(f"task {claim.task.id} is not held by attempt {claim.attempt} any more")
