"""Whatever the description of the API allows, and much that it does not, is answered as it says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import anyio

from covend.core.model import EffectId
from covend.core.safeguards.shapes import Safeguard, SafeguardKind
from tests.store.arrivals import NOW
from tests.web.desk import TOKEN, Desk

CONFIG = """
seed = 6
headers = { Authorization = "Bearer ${COVEND_TEST_TOKEN}" }
request-timeout = 5.0
max-stream-events = 1
max-time = 45
warnings = false

[generation]
deterministic = true
max-examples = 5
no-shrink = true
unique-inputs = true
with-security-parameters = false

[checks]
max_response_time = 5.0

# A described scope or id need not be there, and what is not there is not accepted.
[checks.positive_data_acceptance]
enabled = false

[phases.stateful]
enabled = false

# A stream that follows has no end that could be waited for: tests/web/test_admin_streams.py and
# tests/web/test_api_events.py hold those two to their word.
[[operations]]
include-operation-id = ["follow_events"]
parameters = { follow = 0 }

[[operations]]
include-operation-id = ["get_log"]
parameters = { follow = 0 }
"""
LIMIT_S = 90.0


async def fill(desk: Desk) -> None:
    """Have one of everything that can be asked for."""
    for title in ("waits", "is done", "has failed"):
        await desk.arrive(title=title)
    await desk.complete(await desk.claim())
    running = await desk.claim()
    (desk.logs / f"{running.task.id}-1.jsonl").write_text("")
    effects, _ = await desk.effects.page(limit=1)
    await desk.effects.begin(EffectId(effects[0].id), NOW + 6_000)
    await desk.effects.fail(effects[0].id, error="refused", now=NOW + 7_000)
    for kind, scope, state in (
        (SafeguardKind.CIRCUIT, "agent:claude", "open"),
        (SafeguardKind.LOOP, "acme/r1#1", "blocked"),
    ):
        guard = Safeguard(
            id=f"{kind}/{scope}",
            kind=kind,
            scope=scope,
            state=state,
            reason="network",
            until=NOW + 120_000,
            values={"by": "operator"},
        )
        await desk.guards.put(guard, NOW)


async def test_no_request_is_answered_otherwise_than_the_api_says_of_itself(
    desk: Desk, tmp_path: Path
) -> None:
    await fill(desk)
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    argv = [sys.executable, "-m", "schemathesis.cli", "run"]
    with anyio.fail_after(LIMIT_S):
        async with anyio.create_task_group() as group:
            group.start_soon(desk.reconciler.run)
            found = await anyio.run_process(
                [*argv, f"http://127.0.0.1:{desk.port}/openapi.json"],
                cwd=tmp_path,
                env={**os.environ, "COVEND_TEST_TOKEN": TOKEN, "NO_COLOR": "1"},
                check=False,
                stderr=subprocess.STDOUT,
            )
            group.cancel_scope.cancel()
    assert found.returncode == 0, found.stdout.decode()
