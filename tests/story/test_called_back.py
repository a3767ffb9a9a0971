"""A receiver of callbacks hears of each end: signed, in the same bytes however often it is told,
and never again once it has said that it has it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

from covend.demo.stage import Stage
from tests.receivers import RESET, SECRET, SILENT, Answer, Receiver, Seen, receiving
from tests.story.config import ALONE
from tests.story.conftest import SetUp
from tests.story.held import send
from tests.story.process import WITHIN_S, Covend, serving
from tests.story.test_proposed import SOONER

CALLS = ALONE.replace("publish = []", 'publish = ["callback"]')
BRIDGE = """
[callbacks.bridge]
url = "http://127.0.0.1:{port}/hooks/covend"
secrets = [{{{{ file = "bridge.secret" }}}}]
allow_addresses = ["127.0.0.1/32"]
events = ["task.completed", "task.failed"]
"""
CALLED = "called back"


def bridge(receiver: Receiver) -> str:
    """Configure the receiver's callback."""
    return BRIDGE.format(port=receiver.port)


def keep_secret(stage: Stage) -> None:
    (stage.folder / "bridge.secret").write_text(SECRET)
    (stage.folder / "bridge.secret").chmod(0o600)


def is_signed(call: Seen) -> bool:
    """Judge a call as its specification says, by nothing of covend's."""
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    told = f"{call.headers['webhook-id']}.{call.headers['webhook-timestamp']}.".encode()
    wanted = base64.b64encode(hmac.digest(key, told + call.body, hashlib.sha256)).decode()
    return call.headers["webhook-signature"] == f"v1,{wanted}"


async def test_a_callback_is_the_same_over_a_500_a_reset_and_kill_9_and_ends_with_its_2xx(
    staged: SetUp,
) -> None:
    async with (
        receiving(Answer(status=500), RESET, SILENT, Answer(status=204)) as receiver,
        staged(rule=CALLS, more=bridge(receiver)) as stage,
    ):
        keep_secret(stage)
        async with serving(stage, SOONER) as first:
            task = await send(stage, first, 1)
            await receiver.arrived(3, within_s=WITHIN_S)
            await first.kill()
        async with serving(stage, SOONER) as second:
            await second.hears(CALLED)
            await second.kill()
        calls = list(receiver.seen)
        async with serving(stage, SOONER) as third:
            # Calls to one receiver leave one after the other, the oldest first.
            other = await send_anew(stage, third)
            await third.hears(CALLED, task=other)
            story = await third.task(task)
        late = receiver.seen[len(calls) :]
    assert len(calls) == 4
    assert all(map(is_signed, [*calls, *late]))
    assert len({(call.path, call.body, call.headers["webhook-id"]) for call in calls}) == 1
    assert [call.headers["webhook-id"] for call in late] != [calls[0].headers["webhook-id"]]
    assert len(late) == 1
    (effect,) = story["effects"]
    assert (effect["kind"], effect["state"], effect["tries"]) == ("callback", "done", 4)
    assert (effect["id"], effect["target"]) == (calls[0].headers["webhook-id"], "bridge")


async def send_anew(stage: Stage, covend: Covend) -> str:
    """Send work on another head."""
    stage.till.git.push(7, {"src/till/more.py": "SECONDS = 1\n"}, "More")
    return await send(stage, covend, 2)
