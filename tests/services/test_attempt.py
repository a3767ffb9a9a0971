"""From an agent's end to its task's state and what GitHub shows, by the table of the contract."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

from covend.core.bounds import Retry
from covend.core.contract.outcome import StopReason
from covend.core.errors import StoreBusyError
from covend.core.model import Claim, Conclusion, Moment, Phase
from covend.core.settings import Checkout
from covend.core.states import Outcome, TaskState
from covend.edges import children
from covend.services.stopping import Stop
from covend.store.protocol import Settlement, TaskStory
from covend.store.tasks import StoredTasks
from tests.services.alive import is_alive
from tests.services.house import (
    CHECK,
    COMMENT,
    REVIEW,
    House,
    a_rule,
    an_agent,
)
from tests.services.rooms import WEBHOOK_SECRET
from tests.services.writing import writing


async def attempted(house: House, script: str, **changes: object) -> TaskStory:
    """Run a shell agent once, and publish what is due."""
    await house.adopt(a_rule(), an_agent(script, **changes))
    story = await house.attempt()
    await house.publish()
    return await house.story(story.task.id)


async def again(house: House, story: TaskStory) -> TaskStory:
    """Turn the clock to the task's next attempt, and run it."""
    house.clock.turn(s=max(0, story.task.not_before_at - house.clock.now()) / 1000)
    story = await house.run(await house.claim())
    await house.publish()
    return story


def conclusion(house: House) -> str | None:
    (run,) = house.github.state.check_runs
    return run.conclusion


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row of the table: what the agent does, and what becomes of it."""

    script: str
    outcome: Outcome
    state: TaskState
    check: str | None
    error: str | None = None


TABLE = {
    "says nothing": Row(
        script="true", outcome=Outcome.SUCCEEDED, state=TaskState.COMPLETED, check="success"
    ),
    "success": Row(
        script=writing(conclusion="success", summary="Fine."),
        outcome=Outcome.SUCCEEDED,
        state=TaskState.COMPLETED,
        check="success",
    ),
    "neutral": Row(
        script=writing(conclusion="neutral", summary="Hm."),
        outcome=Outcome.SUCCEEDED,
        state=TaskState.COMPLETED,
        check="neutral",
    ),
    "failure is a verdict": Row(
        script=writing(conclusion="failure", summary="Broken."),
        outcome=Outcome.SUCCEEDED,
        state=TaskState.COMPLETED,
        check="failure",
    ),
    "needs input": Row(
        script=writing(conclusion="needs_input", summary="Which one?"),
        outcome=Outcome.SUCCEEDED,
        state=TaskState.COMPLETED,
        check="action_required",
    ),
    "asks for a retry": Row(
        script="exit 75",
        outcome=Outcome.FAILED,
        state=TaskState.QUEUED,
        check=None,
        error="try_again",
    ),
    "says that it may be retried": Row(
        script=writing(error={"code": "quota", "message": "later", "retryable": True}),
        outcome=Outcome.FAILED,
        state=TaskState.QUEUED,
        check=None,
        error="agent_error",
    ),
    "invalid result": Row(
        script='echo "{" > "$COVEND_RESULT"',
        outcome=Outcome.FAILED,
        state=TaskState.QUEUED,
        check=None,
        error="invalid_result",
    ),
    "another exit code": Row(
        script="exit 3",
        outcome=Outcome.FAILED,
        state=TaskState.FAILED,
        check="failure",
        error="exit_code",
    ),
    "a signal": Row(
        script="kill -SEGV $$",
        outcome=Outcome.FAILED,
        state=TaskState.FAILED,
        check="failure",
        error="signal",
    ),
}


@pytest.mark.parametrize("row", TABLE.values(), ids=TABLE.keys())
async def test_an_agents_end_becomes_its_tasks_state(house: House, row: Row) -> None:
    story = await attempted(house, row.script)
    (attempt,) = story.attempts
    assert (attempt.outcome, attempt.error_code) == (row.outcome, row.error)
    assert story.task.state is row.state
    assert conclusion(house) == row.check
    has_said_something = row.outcome is Outcome.SUCCEEDED and row.script != "true"
    assert bool(house.github.state.reviews) == has_said_something


async def test_a_retry_waits_and_counts_as_a_failure(house: House) -> None:
    story = await attempted(house, "exit 75", retry=Retry(attempts=2, base_s=30.0))
    task = story.task
    assert (task.reason, task.failures, task.infrastructure_failures) == ("retry", 1, 0)
    assert house.clock.now() <= task.not_before_at <= house.clock.now() + 30_000


async def test_a_retry_is_not_claimed_before_its_time(house: House) -> None:
    await attempted(house, "exit 75")
    house.meddle("UPDATE tasks SET not_before_at = :at", at=house.clock.now() + 5_000)
    house.clock.turn(s=4.999)
    with pytest.raises(AssertionError, match="nothing to claim"):
        await house.claim()
    house.clock.turn(s=0.001)
    assert (await house.claim()).attempt == 2


@pytest.mark.parametrize("script", ["exit 75", 'echo "[" > "$COVEND_RESULT"'])
async def test_a_task_fails_when_its_retries_are_used_up(house: House, script: str) -> None:
    story = await again(house, await attempted(house, script))
    assert story.task.state is TaskState.FAILED
    assert story.task.reason.endswith("exhausted")
    assert len(story.attempts) == 2
    assert conclusion(house) == "failure"
    assert len(house.posted("/check-runs")) == 1


async def test_a_retry_that_succeeds_completes_the_task(house: House) -> None:
    script = 'test "$COVEND_ATTEMPT" = 2 || exit 75'
    story = await again(house, await attempted(house, script))
    assert story.task.state is TaskState.COMPLETED
    assert [attempt.outcome for attempt in story.attempts] == [Outcome.FAILED, Outcome.SUCCEEDED]
    assert story.task.error_code is None
    assert conclusion(house) == "success"


async def test_over_its_time_the_whole_tree_is_killed(house: House, tmp_path: Path) -> None:
    """The sleepers outlive SIGTERM, and are children and grandchildren of the agent."""
    pids = tmp_path / "pids"
    script = (
        "trap '' TERM; "
        f"(trap '' TERM; sleep 1000 & echo $! >> {pids}; wait; sleep 1000) & "
        f"echo $! >> {pids}; echo $$ >> {pids}; sleep 1000; sleep 1000"
    )
    retry = Retry(attempts=1)
    story = await attempted(house, script, timeout_s=0.5, grace_s=0.3, retry=retry)
    (attempt,) = story.attempts
    assert attempt.outcome is Outcome.TIMED_OUT
    assert story.task.state is TaskState.FAILED
    assert conclusion(house) == "timed_out"
    written = [int(line) for line in pids.read_text().split()]
    assert len(written) == 3
    assert not [pid for pid in written if is_alive(pid)]


async def test_a_timeout_is_retried_by_the_policy(house: House) -> None:
    story = await attempted(house, "exec sleep 1000", timeout_s=0.2)
    assert (story.task.state, story.task.failures) == (TaskState.QUEUED, 1)


async def test_silence_over_its_time_ends_the_agent(house: House) -> None:
    retry = Retry(attempts=1)
    story = await attempted(house, "exec sleep 1000", idle_timeout_s=0.2, retry=retry)
    assert story.attempts[0].outcome is Outcome.IDLE_TIMED_OUT
    assert conclusion(house) == "timed_out"


async def test_findings_on_a_head_that_has_moved_are_withheld(house: House) -> None:
    rule = a_rule(publish=(CHECK, COMMENT, REVIEW), supersede=False)
    await house.adopt(rule, an_agent(f"echo 1 >> {house.folder}/ran; {writing(summary='Old.')}"))
    claim = await house.claimed()
    house.till.git.push(7, {"README.md": "Pushed meanwhile.\n"}, "One more")
    story = await house.run(claim)
    await house.publish()
    assert (house.folder / "ran").exists()
    assert story.task.state is TaskState.SUPERSEDED
    assert story.attempts[0].outcome is Outcome.SUPERSEDED
    assert conclusion(house) == "neutral"
    assert house.github.state.reviews == []
    assert house.github.state.comments == []


async def test_without_github_the_review_still_names_its_commit(house: House) -> None:
    await house.adopt(a_rule(), an_agent(writing(summary="Fine.")))
    claim = await house.claimed()
    house.github.faults.add("GET", "*/pulls/7", "error_500", 1_000)
    story = await house.run(claim)
    house.github.faults.clear()
    await house.publish()
    assert story.task.state is TaskState.COMPLETED
    (review,) = house.github.state.reviews
    assert review.commit_id == claim.task.subject.head_sha


async def test_a_secret_that_the_agent_prints_is_seen_nowhere(house: House) -> None:
    half = len(WEBHOOK_SECRET) // 2
    start, rest = WEBHOOK_SECRET[:half], WEBHOOK_SECRET[half:]
    said = writing(summary=f"It is {WEBHOOK_SECRET}.", outputs={"it": WEBHOOK_SECRET})
    whole = f"echo {WEBHOOK_SECRET}; echo {WEBHOOK_SECRET} >&2"
    torn = f"printf {start}; sleep 0.1; echo {rest}"
    story = await attempted(house, f"{whole}; {torn}; {said}")
    log = (house.folder / "logs" / f"{story.task.id}-1.jsonl").read_text()
    (review,) = house.github.state.reviews
    seen = [log, story.task.summary or "", review.body, json.dumps(house.posted("/check-runs"))]
    seen += [str(each.request) for each in story.effects]
    assert len(log.splitlines()) == 3
    assert not [text for text in seen if WEBHOOK_SECRET in text]
    assert "It is" in review.body


async def test_a_secret_in_a_plain_summary_is_taken_out(house: House) -> None:
    story = await attempted(house, f"echo 'It is {WEBHOOK_SECRET}.'")
    assert "It is" in (story.task.summary or "")
    assert WEBHOOK_SECRET not in (story.task.summary or "")


@pytest.mark.parametrize("script", ["true", "exit 3", "exec sleep 1000"])
async def test_the_workspace_is_gone_after_the_end(house: House, script: str) -> None:
    outside = house.folder / "outside"
    outside.write_text("not the agent's")
    mess = f"mkdir -p a/b && touch a/b/c && chmod 500 a/b && ln -s {house.folder} up && "
    await house.adopt(a_rule(checkout=Checkout.HEAD), an_agent(mess + script, timeout_s=1.0))
    await house.attempt()
    assert list((house.folder / "workspaces").iterdir()) == []
    assert outside.read_text() == "not the agent's"


async def test_the_agent_finds_the_head_its_brief_and_its_prompt(house: House) -> None:
    script = (
        'git rev-parse HEAD; cat; echo; test -s "$COVEND_BRIEF" && test -f src/till/basket.py'
        " && env | cut -d= -f1 | sort | tr '\\n' ' '"
    )
    await house.adopt(a_rule(checkout=Checkout.HEAD, prompt="Look at it."), an_agent(script))
    story = await house.attempt()
    said = (story.task.summary or "").splitlines()
    assert said[:2] == [house.till.live_pull(7).head_sha, "Look at it."]
    names = set(said[2].split())
    assert names >= {"COVEND_TASK", "COVEND_BRIEF", "COVEND_RESULT", "COVEND_DEADLINE", "PATH"}
    assert not names & set(os.environ) - {"PATH", "PWD", "SHLVL", "_", "OLDPWD"}


async def test_an_agent_whose_rule_has_no_prompt_reads_nothing_and_works(house: House) -> None:
    await house.adopt(a_rule(prompt=""), an_agent("cat; echo done"))
    story = await house.attempt()
    assert (story.task.state, story.task.summary) == (TaskState.COMPLETED, "done")


async def test_what_fails_before_its_agent_starts_is_no_success(house: House) -> None:
    story = await attempted(house, "true", command=("no-such-agent",))
    assert (story.task.state, story.task.conclusion) == (TaskState.FAILED, Conclusion.FAILURE)


async def test_a_checkout_that_fails_is_retried(house: House) -> None:
    house.github.faults.add("*", "*/acme/till.git/*", "error_500", 1_000)
    await house.adopt(a_rule(checkout=Checkout.HEAD), an_agent())
    story = await house.attempt()
    code = story.attempts[0].error_code
    assert (story.task.state, code) == (TaskState.QUEUED, "git_unreachable")


async def test_a_missing_program_fails_and_names_it(house: House) -> None:
    await house.adopt(a_rule(), an_agent(command=("no-such-agent",)))
    story = await house.attempt()
    assert (story.task.state, story.task.error_code) == (TaskState.FAILED, "agent_not_found")
    assert "no-such-agent" in (story.task.error_message or "")


async def test_an_interrupted_task_goes_back_and_uses_up_no_retry(house: House) -> None:
    await house.adopt(a_rule(), an_agent("exec sleep 1000", retry=Retry(attempts=1)))
    claim, stop = await house.claimed(), Stop()
    stop.request(StopReason.INTERRUPTED)
    story = await house.run(claim, stop)
    task = story.task
    assert (task.state, task.reason) == (TaskState.QUEUED, "interrupted")
    assert (task.failures, task.infrastructure_failures) == (0, 1)
    assert task.not_before_at <= house.clock.now()


async def test_a_lost_claim_settles_and_publishes_nothing(house: House) -> None:
    await house.adopt(a_rule(), an_agent(writing(summary="Mine.")))
    claim = await house.claimed()
    house.meddle("UPDATE tasks SET claim = 'somebody else'")
    house.meddle("UPDATE attempts SET claim = 'somebody else'")
    story = await house.run(claim)
    assert (story.task.state, story.attempts[0].outcome) == (TaskState.RUNNING, None)
    assert story.effects == ()


async def test_the_check_begins_once_however_many_attempts_there_are(house: House) -> None:
    story = await again(house, await attempted(house, "exit 75"))
    begun = [each for each in story.effects if each.request["body"].get("status") == "in_progress"]
    assert len(begun) == 1


async def test_a_fault_of_covend_fails_the_attempt_and_not_the_daemon(house: House) -> None:
    """The task stayed `running` until the next start."""
    await house.adopt(a_rule(), an_agent(retry=Retry(attempts=1)))
    claim = await house.claimed()
    (house.folder / "workspaces").write_text("in the way")
    story = await house.run(claim)
    assert (story.task.state, story.task.error_code) == (TaskState.FAILED, "internal")


class Busy(StoredTasks):
    """A store that another program holds whenever an attempt wants to write."""

    def __init__(self, house: House) -> None:
        super().__init__(house.connection)
        self.refused: list[str] = []

    async def note_phase(self, claim: Claim, phase: Phase) -> None:
        self._refuse_once("note_phase")
        await super().note_phase(claim, phase)

    async def settle(self, claim: Claim, settlement: Settlement, now: Moment) -> Settlement:
        self._refuse_once("settle")
        return await super().settle(claim, settlement, now)

    def _refuse_once(self, what: str) -> None:
        if what not in self.refused:
            self.refused.append(what)
            raise StoreBusyError


async def test_a_busy_store_costs_no_attempt(house: House) -> None:
    """A store that was busy for a moment failed the task for good, or left it `running`."""
    await house.adopt(a_rule(), an_agent())
    claim, busy = await house.claimed(), Busy(house)
    await house.attempts(busy).run(claim, Stop())
    story = await house.story(claim.task.id)
    assert busy.refused == ["note_phase", "settle"]
    assert [attempt.outcome for attempt in story.attempts] == [Outcome.SUCCEEDED]
    assert story.task.conclusion is Conclusion.SUCCESS


async def test_a_start_for_which_the_machine_has_nothing_left_is_tried_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It failed the task for good, though it passes by itself."""

    def start(*_: object, **__: object) -> NoReturn:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    await house.adopt(a_rule(), an_agent())
    claim = await house.claimed()
    monkeypatch.setattr(children, "start", start)
    story = await house.run(claim)
    assert (story.task.state, story.task.error_code) == (TaskState.QUEUED, "agent_shortage")
