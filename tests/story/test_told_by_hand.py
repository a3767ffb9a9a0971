"""What an operator sees of the outbox, of installations and of what was missed, and mends, all from
the command line.
"""

from __future__ import annotations

from covend.demo import payloads
from covend.demo.stage import NUMBER, Stage
from tests.story.conftest import SetUp
from tests.story.held import told
from tests.story.hooks import Hook, kept, sign
from tests.story.process import serving
from tests.story.test_cancel import run
from tests.story.test_kill import opened
from tests.story.test_missed import lost

NEEDED = "the App's installation does not give pull_requests=write on acme/till"
READ, WRITE = {"pull_requests": "read", "issues": "read"}, {"pull_requests": "write"}
"""With one of the two GitHub takes a review as well as a comment."""


def installed(stage: Stage) -> Hook:
    """Tell of the installation."""
    scene = stage.github.scene(stage.till, NUMBER, serial=9)
    return sign("installation", payloads.SAMPLES["installation.created"](scene))


async def test_what_failed_is_listed_with_its_reason_and_sent_once_that_is_mended(
    staged: SetUp,
) -> None:
    async with staged() as stage, serving(stage) as covend:
        state = stage.github.state
        state.permissions |= READ
        task = await opened(stage, covend)
        for kind in ("review", "comment"):
            await covend.hears("could not be published", kind=kind)
        code, listed, hint = await run(stage, "effects", "--state", "failed")
        rows = [row.split() for row in listed.splitlines()[1:]]
        comment, review = [row[0] for row in rows]
        command = ["retry", "--effect", review, "--effect", comment]
        assert (code, [row[2] for row in rows]) == (0, ["comment", "review"])
        assert listed.count(NEEDED) == 2
        assert hint == (
            "2 effects have failed: once what stood in the way is mended, "
            f"`covend {' '.join(command)}` sends them\n"
        )
        assert (await run(stage, "show", task))[2] == hint
        state.permissions |= WRITE
        code, _, refused = await run(stage, *command, "--effect", "nonsense")
        assert (code, refused) == (1, "covend: There is no effect nonsense.\n")
        await stage.github.wait_for(lambda: state.comments and state.reviews)
        await covend.hears("published", kind="comment")
        assert await run(stage, "effects", "--state", "failed") == (0, "", "nothing there\n")
        code, _, refused = await run(stage, *command)
        assert (code, refused.count("is done: it is visible")) == (1, 2)
    assert (len(state.comments), len(state.reviews)) == (1, 1)


async def test_where_the_app_is_and_what_was_missed_is_told(staged: SetUp) -> None:
    async with staged() as stage, serving(stage) as covend:
        nowhere = "GitHub has told of no installation yet\n"
        assert await run(stage, "installations") == (0, "", nowhere)
        await kept(covend, installed(stage))
        head, row = (await told(stage, "installations")).splitlines()
        assert head.split() == ["INSTALLATION", "ACCOUNT", "STATE", "REPOSITORIES", "PERMISSIONS"]
        assert row.split()[:5] == ["1", "acme", "active", "1", "checks=write,"]
        _, guid = lost(stage, "push", 4)
        looked = dict(
            line.rsplit(maxsplit=1) for line in (await told(stage, "reconcile")).splitlines()
        )
        assert (looked["now kept"], looked["of these ignored"]) == ("1", "1")
        assert f"{guid}  push" in await told(stage, "deliveries")
        again = " ".join((await told(stage, "reconcile", "--since", "3d")).split())
        assert again.startswith("entries of the log 1 known here 1 fetched 0")
        await covend.kill()
        code, _, why = await run(stage, "reconcile")
    assert (code, "is it running?" in why) == (69, True)
