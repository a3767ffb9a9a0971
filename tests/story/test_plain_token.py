"""covend without an App: one token and one webhook of a repository are enough, and what it cannot
do with them it says.
"""

from __future__ import annotations

from dataclasses import replace

import orjson

from covend.demo import payloads
from covend.demo.github.deliveries import write_down
from covend.demo.payloads import HOOK_ID
from covend.demo.payloads.people import PERMISSIONS
from covend.demo.records import Account
from covend.demo.stage import WEBHOOK_SECRET, Stage
from tests.story.conftest import SetUp
from tests.story.held import ended, told
from tests.story.hooks import Hook, task_of
from tests.story.process import serving
from tests.story.test_cancel import run

TOKEN = "ghp_0123456789abcdefghijklmnopqrstuvwxyz"
NOW_KEPT = "now kept 1 of these ignored 1"
ROBOT = Account(login="acme-robot", id=5_150)


def use_token(stage: Stage) -> None:
    """Let covend be the owner of a token instead of an App."""
    stage.github.add_personal_token(TOKEN, ROBOT)
    stage.till.roles[ROBOT.login] = "admin"
    (stage.folder / "token").write_text(TOKEN)
    (stage.folder / "token").chmod(0o600)
    lines = stage.config.read_text("utf-8").splitlines()
    kept = [line for line in lines if not line.startswith(("app_id", "private_key"))]
    kept.insert(kept.index("[github]") + 1, 'token = { file = "token" }')
    stage.config.write_text("\n".join(kept), "utf-8")


def hook(stage: Stage, event: str, *, serial: int) -> Hook:
    """Sign as a repository's own webhook does, which tells of no installation."""
    body, headers = stage.signed(event, serial=serial)
    payload = orjson.loads(body)
    del payload["installation"]
    body = payloads.encode(payload)
    name, delivery = headers["X-GitHub-Event"], headers["X-GitHub-Delivery"]
    target = stage.till.repository.id
    return body, payloads.signed(
        body, WEBHOOK_SECRET, name, delivery, target_type="repository", target_id=target
    )


def lose(stage: Stage, *, serial: int) -> str:
    """GitHub has sent a webhook that nobody took; give its id."""
    body, headers = hook(stage, "push", serial=serial)
    entry = write_down(stage.github.state, orjson.loads(body), headers, hook=HOOK_ID)
    return entry.guid


async def test_a_token_and_a_repositorys_webhook_are_enough(staged: SetUp) -> None:
    async with staged() as stage:
        use_token(stage)
        code, checked, _ = await run(stage, "check")
        assert (code, "becomes a commit status" in checked) == (0, True)
        state = stage.github.state
        async with serving(stage) as covend:
            lost = lose(stage, serial=2)
            assert "no webhook is known yet" in await told(stage, "reconcile")
            task = await task_of(covend, hook(stage, "pull_request.opened", serial=1))
            await ended(covend, task)
            await stage.github.wait_for(lambda: len(state.statuses) == 2)
            assert NOW_KEPT in " ".join((await told(stage, "reconcile")).split())
            assert lost in await told(stage, "deliveries")
            forbid_hooks(stage)
            lose(stage, serial=3)
            code, looked, why = await run(stage, "reconcile")
            _, ready = await covend.get("/readyz")
    assert (code, looked) == (77, "")
    assert why == f"covend: {ready['reconcile']} (not_permitted)\n"
    assert "github.token needs admin:repo_hook" in why
    assert [each.state for each in state.statuses] == ["pending", "failure"]
    (review,) = state.reviews
    (comment,) = state.comments
    assert review.author == comment.author == ROBOT
    assert state.check_runs == []


def forbid_hooks(stage: Stage) -> None:
    """Take from the token what it does not need to work."""
    tokens = stage.github.state.tokens
    tokens[TOKEN] = replace(tokens[TOKEN], permissions=PERMISSIONS)
