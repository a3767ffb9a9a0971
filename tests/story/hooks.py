"""Signed webhooks that a story tells in an order of its own: with moments, heads that follow each
other, words that were edited. All that they tell is so on the stage as well.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

from covend.demo import payloads
from covend.demo.payloads import on_commits
from covend.demo.records import Account, CheckRun, CommitStatus, JsonObject
from covend.demo.stage import NUMBER, WEBHOOK_SECRET, Stage
from tests.story.process import Covend

Hook = tuple[bytes, dict[str, str]]
"""Body and headers."""
COMMENT = "issue_comment.created"
COMMENT_IDS = 2_600_000_000
"""A comment's id is this and the serial of what told it."""


def sign(event: str, payload: JsonObject, delivery: str | None = None) -> Hook:
    """Sign a payload as GitHub does; `event` may name the action as well."""
    body, name = payloads.encode(payload), event.partition(".")[0]
    return body, payloads.signed(body, WEBHOOK_SECRET, name, delivery or str(uuid4()))


def pull_event(
    stage: Stage, action: str, *, at_s: int = 0, before: str | None = None, number: int = NUMBER
) -> Hook:
    """Tell of the pull request as it is now, changed so many seconds after it was opened; `before`
    is the head that a push replaced.
    """
    scene = stage.github.scene(stage.till, number, serial=at_s + 1)
    at = scene.pull.created_at + timedelta(seconds=at_s)
    scene = replace(scene, pull=replace(scene.pull, updated_at=at))
    payload = payloads.SAMPLES[f"pull_request.{action}"](scene)
    if before is not None:
        payload["before"] = before
    return sign("pull_request", payload)


def pushed(stage: Stage, at_s: int, *, number: int = NUMBER) -> tuple[str, Hook]:
    """Push one more commit, and give the new head and what GitHub tells of it."""
    git = stage.till.git
    before = git.commit_at(f"refs/pull/{number}/head")
    files = {"src/till/more.py": f"SECONDS = {at_s}\n"}
    head = git.push(number, files, f"More, after {at_s} s")
    return head, pull_event(stage, "synchronize", at_s=at_s, before=before, number=number)


def edited(stage: Stage, *, serial: int, text: str, former: str, sender: Account) -> Hook:
    """Tell that a comment, `COMMENT_IDS + serial`, has another text now."""
    scene = stage.github.scene(stage.till, NUMBER, serial=serial, sender=sender, text=text)
    payload = payloads.SAMPLES[COMMENT](scene)
    payload |= {"action": "edited", "changes": {"body": {"from": former}}}
    return sign(COMMENT, payload)


def checked(stage: Stage, run: CheckRun) -> Hook:
    """Tell of the end of a check run on the pull request's head."""
    scene = stage.github.scene(stage.till, NUMBER, serial=run.id, sender=payloads.CI.bot)
    return sign("check_run", on_commits.check_run("completed", run, scene))


def status_set(stage: Stage, status: CommitStatus) -> Hook:
    """Tell of a commit status on the pull request's head."""
    scene = stage.github.scene(stage.till, NUMBER, serial=status.id, sender=payloads.CI.bot)
    return sign("status", on_commits.status(status, scene))


async def kept(covend: Covend, hook: Hook) -> Any:
    """Send a webhook that is new, and give the answer."""
    status, answer = await covend.post(*hook)
    assert status == 202, answer
    return answer


async def task_of(covend: Covend, hook: Hook) -> str:
    """Send a webhook that asks for one task, and give it."""
    (task,) = (await kept(covend, hook))["tasks"]
    return str(task)
