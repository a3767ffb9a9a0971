"""Work that does not come from GitHub: a schedule's tick happens once, also when covend is killed
in the midst of it, and another sender is believed by its signature alone.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from covend.demo.github import Fault
from covend.demo.stage import Stage
from tests.story.agent import Script
from tests.story.cast import Cast
from tests.story.conftest import SetUp
from tests.story.held import ended, serving_later, told
from tests.story.process import WITHIN_S, Covend, serving
from tests.story.test_proposed import COMMITS, proposed

AUDIT = """
[[rules]]
name = "audit"
on = ["schedule.daily"]
agent = "example"
checkout = "head"
publish = ["pull_request"]

[[schedules]]
name = "daily"
cron = "{cron}"
rule = "audit"
repository = "acme/till"
missed = "run_once"
"""
CI_SECRET = "the secret of a build machine"
CI = """
[sources.ci]
kind = "hmac"
secrets = [{{{{ file = "ci.secret" }}}}]
header = "X-Signature"
prefix = "sha256="
event_header = "X-Event"
id_header = "X-Id"

[[rules]]
name = "look-into"
on = ["ci:build.failed"]
agent = "example"
checkout = "none"
publish = []
"""


@pytest.fixture
def committer(tmp_path: Path) -> Script:
    return Script.write(tmp_path / "commits.sh", COMMITS)


@pytest.fixture
def cast(tmp_path: Path) -> Cast:
    return Cast(tmp_path)


# --- by the clock ---------------------------------------------------------------------------------


async def test_a_missed_tick_is_one_task_and_proposes_once_over_two_kills(
    staged: SetUp, committer: Script
) -> None:
    """It comes once a day and has passed between two starts. The first kill is before the tick is
    kept, the second right after.
    """
    passed_at = datetime.now(UTC) + timedelta(hours=1)
    cron = f"{passed_at.minute} {passed_at.hour} * * *"
    async with staged(committer, more=AUDIT.format(cron=cron)) as stage:
        async with serving(stage) as covend:
            await covend.hears("a schedule begins", schedule="daily")
            covend.send(signal.SIGTERM)
            assert await covend.exit_code() == 0
        held = stage.github.faults.add("GET", "/repos/acme/till", Fault.HELD)
        async with serving_later(stage) as covend:
            await asyncio.wait_for(held.reached.wait(), WITHIN_S)
            await covend.kill()
        held.release()
        async with serving_later(stage) as covend:
            (task,) = (await covend.hears("tick", schedule="daily"))["tasks"]
            await covend.kill()
        async with serving_later(stage) as covend:
            story = await ended(covend, task)
            await stage.github.wait_for(lambda: proposed(stage))
            _, deliveries = await covend.get("/api/v1/deliveries")
            _, tasks = await covend.get("/api/v1/tasks")
        (pull,) = proposed(stage)
    (delivery,) = deliveries["items"]
    assert (delivery["via"], delivery["event"], delivery["action"]) == (
        "schedule",
        "schedule",
        "daily",
    )
    assert ([each["id"] for each in tasks["items"]], story["state"]) == ([task], "completed")
    assert (pull.head_ref, pull.base_ref, pull.draft) == (f"covend/{task}", "main", True)


# --- another sender -------------------------------------------------------------------------------


async def post_ci(stage: Stage, covend: Covend, *, secret: str, identifier: str) -> tuple[int, Any]:
    """Tell of a failed build, signed with a secret."""
    body = orjson.dumps({"build": 12, "log": "https://ci.example.org/12"})
    signature = hmac.digest(secret.encode(), body, hashlib.sha256).hex()
    headers = {
        "Content-Type": "application/json",
        "X-Signature": f"sha256={signature}",
        "X-Event": "build.failed",
        "X-Id": identifier,
    }
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(f"{covend.public}/webhooks/ci", data=body) as answer,
    ):
        return answer.status, await answer.json()


async def test_another_sender_starts_work_once_and_by_its_signature_alone(
    staged: SetUp, cast: Cast
) -> None:
    async with staged(cast, more=CI.format()) as stage:
        (stage.folder / "ci.secret").write_text(CI_SECRET)
        (stage.folder / "ci.secret").chmod(0o600)
        async with serving(stage) as covend:
            status, refused = await post_ci(stage, covend, secret="wrong", identifier="12")
            assert (status, refused["error"]["code"]) == (401, "bad_signature")
            _, deliveries = await covend.get("/api/v1/deliveries")
            assert deliveries["items"] == []
            status, answer = await post_ci(stage, covend, secret=CI_SECRET, identifier="12")
            (task,) = answer["tasks"]
            assert (status, answer["state"]) == (202, "routed")
            await covend.kill()
        async with serving(stage) as covend:
            status, again = await post_ci(stage, covend, secret=CI_SECRET, identifier="12")
            assert (status, again["duplicate"], again["tasks"]) == (200, True, [task])
            story = await ended(covend, task)
            shown = await told(stage, "show", answer["delivery"])
    assert (story["state"], story["rule"], story["trust"]) == ("completed", "look-into", "member")
    assert "ci, via webhook" in shown
